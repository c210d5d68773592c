"""Gives up root's rights for good, in pods that are privileged to reach /dev/kvm.

Such a container starts as root with every capability, without a seccomp filter and with all devices of its node,
whatever else its security context says: containerd and CRI-O ignore the rest. What a disk image is opened with afterwards
is an ordinary user who reaches the devices that the pod names and no others.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

USER_VARIABLE = "HYPER2KVM_USER"
"""Environment variable: uid and gid to become, where the process is root's."""

DEVICES_VARIABLE = "HYPER2KVM_DEVICES"
"""Environment variable: paths, separated by colons, of the devices that this user is to reach, where they exist."""

_DEV = Path("/dev")
_COMMON = {"null", "zero", "full", "random", "urandom", "tty", "ptmx"}
"""What every container has in /dev (OCI runtime specification, "Default Devices")."""

_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION = 0x20080522
"""linux/prctl.h and linux/capability.h."""

_READ_WRITE = stat.S_IROTH | stat.S_IWOTH


def drop(environment: Mapping[str, str] = os.environ) -> None:
    """Become the user that the environment names, without capabilities and without a way back.

    Nothing happens in a process that is not root's, or where no user is named.

    Raises:
        HostError: PrivilegesKept.
    """
    if os.geteuid() != 0 or USER_VARIABLE not in environment:
        return
    try:
        user = _user(environment[USER_VARIABLE])
        groups = _hand_over([Path(path) for path in environment.get(DEVICES_VARIABLE, "").split(":") if path], user)
        _become(user, [user, *groups])
    except (OSError, ValueError) as error:
        raise HostError(Reason.PRIVILEGES_KEPT, f"cannot become {environment[USER_VARIABLE]}: {error}") from error
    kept = _kept(user)
    if kept:
        raise HostError(Reason.PRIVILEGES_KEPT, f"after becoming {user} the process has {', '.join(kept)}")


def _user(told: str) -> int:
    user = int(told)
    if user <= 0:
        raise ValueError("that is no ordinary user")
    return user


def _hand_over(devices: Sequence[Path], user: int) -> list[int]:
    """Let the user reach the devices, and close all others; returns the groups that it takes.

    Nodes that the runtime made for this container alone are changed. One that is the machine's own, mounted here, is
    not: its group is taken, unless it is a disk's, which would open the node's other disks too.
    """
    own = set(_own_nodes())
    for path in own:
        if path in devices:
            os.chown(path, user, user)
            path.chmod(0o660)
        elif path.parent != _DEV or path.name not in _COMMON:
            path.chmod(0)
    groups = []
    for path in devices:
        if path in own or not path.exists():
            continue
        found = path.stat()
        mode = stat.S_IMODE(found.st_mode)
        if mode & _READ_WRITE == _READ_WRITE:
            continue
        if stat.S_ISCHR(found.st_mode) and mode & _READ_WRITE << 3 == _READ_WRITE << 3:
            groups.append(found.st_gid)
        else:
            sys.stderr.write(f"{path} belongs to the machine and is closed to uid {user}: it is not used\n")
    return groups


def _own_nodes() -> Iterator[Path]:
    """The device nodes that this container has for itself: those of the tmpfs that the runtime made at /dev."""
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    kinds = [fields[fields.index("-") + 1] for fields in mounts if fields[4] == str(_DEV)]
    if kinds[-1:] != ["tmpfs"]:
        return
    here = _DEV.stat().st_dev
    for folder, inner, names in os.walk(_DEV):
        inner[:] = [name for name in inner if Path(folder, name).lstat().st_dev == here]
        for path in (Path(folder, name) for name in names):
            found = path.lstat()
            if found.st_dev == here and (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
                yield path


def _become(user: int, groups: Sequence[int]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(result: int) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def prctl(option: int, *arguments: int) -> None:
        padded = (*arguments, 0, 0, 0, 0)[:4]
        call(libc.prctl(option, *(ctypes.c_ulong(argument) for argument in padded)))

    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        prctl(_PR_CAPBSET_DROP, capability)
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    os.setgroups(groups)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # Effective and permitted ones went with the uid; inheritable ones stay until they are put down.
    call(libc.capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()))
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # A process that changed its user may not look into its own /proc, which programs that it starts rely on.
    prctl(_PR_SET_DUMPABLE, 1)


def _kept(user: int) -> list[str]:
    """What is left of root's rights, as the kernel tells it (proc(5), /proc/pid/status)."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    wanted = {"Uid": {str(user)}, "Gid": {str(user)}, "NoNewPrivs": {"1"}}
    wanted |= {f"Cap{kind}": {"0" * 16} for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    return [f"{name} {status[name].strip()}" for name, values in wanted.items() if set(status[name].split()) != values]
