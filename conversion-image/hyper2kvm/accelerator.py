"""Which accelerator guests run with: KVM where a Linux kernel was seen to run under it, else TCG, QEMU's emulation.

/dev/kvm may be there, open, and make virtual machines, and yet no guest ever gets anywhere: some nested hypervisors
are like that. So a kernel is started, and only what it says on its serial port counts.
"""

import errno
import fcntl
import functools
import os
import platform
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pydantic

from hyper2kvm.cache import cache_folder
from hyper2kvm.run import Service, last_lines, run
from hyper2kvm_api.document import Document

Accelerator = Literal["kvm", "tcg"]

QEMU = "qemu-system-x86_64"
CPUS: Mapping[Accelerator, str] = {"kvm": "max", "tcg": "max,la57=off,-erms,-fsrm"}
"""QEMU's model for every guest: all that the accelerator can do. Enterprise Linux 9 needs x86-64-v2, which QEMU's
default model is not. Where strings are said to be moved fast, kernels move them byte by byte, which is slow in an
emulation: without these two features a Debian guest starts in three quarters of the time. Page tables of five levels
are of no use to a guest of this size, and QEMU 7 had trouble with them (libguestfs leaves them off as well)."""

DEADLINE_VARIABLE = "HYPER2KVM_KVM_DEADLINE"
"""Environment variable: seconds that the kernel may take until it says something."""

_DEADLINE = 20.0
_DOUBT = 3600.0
"""Seconds after which a no is asked again: the machine may only have been too busy."""
_DEVICE = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_KVM_GET_API_VERSION = 0xAE00  # linux/kvm.h
_KVM_CREATE_VM = 0xAE01
_KVM_API_VERSION = 12
_KERNEL_SPEAKS = b"Linux version "


class AcceleratorProbe(Document):
    """What was found out about KVM."""

    accelerator: Accelerator
    """What guests run with."""
    why: str
    """In a sentence, why it is that one."""
    seconds: float
    """How long it took to find out."""
    key: str
    """What the answer depends on: this start of the machine, QEMU's version and the kernel."""


def proven() -> Accelerator:
    """The accelerator that guests run with, here and until the machine restarts.

    Raises:
        HostError: ProgramMissing, when there is no QEMU.
    """
    return probe().accelerator


@functools.cache
def probe() -> AcceleratorProbe:
    """Find out whether KVM runs guests; a yes is kept until the machine restarts.

    Raises:
        HostError: ProgramMissing, when there is no QEMU.
    """
    kernel = find_kernel()
    key = _key(kernel)
    obstacle = device_obstacle(_DEVICE)
    if obstacle is not None:
        return AcceleratorProbe(accelerator="tcg", why=obstacle, seconds=0, key=key)
    remembered = _recall(key)
    if remembered is not None:
        return remembered
    started = time.monotonic()
    obstacle = kernel_obstacle(kernel, deadline=_deadline())
    found = AcceleratorProbe(
        accelerator="tcg" if obstacle else "kvm",
        why=obstacle or f"{kernel} ran under KVM",
        seconds=round(time.monotonic() - started, 1),
        key=key,
    )
    _remember(found)
    return found


def device_obstacle(device: Path) -> str | None:
    """Why KVM cannot be used, as far as the device itself tells; None when it makes a virtual machine."""
    if platform.machine() != "x86_64":
        return f"this machine is {platform.machine()}: KVM runs x86-64 guests on x86-64 only"
    try:
        handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        known = {errno.ENOENT: "does not exist", errno.EACCES: "may not be opened by this user"}
        return f"{device} {known.get(error.errno or 0, f'does not open: {error.strerror}')}"
    try:
        version = fcntl.ioctl(handle, _KVM_GET_API_VERSION)
        if version != _KVM_API_VERSION:
            return f"{device} speaks version {version} of its interface, not {_KVM_API_VERSION}"
        os.close(fcntl.ioctl(handle, _KVM_CREATE_VM))
    except OSError as error:
        return f"{device} makes no virtual machine: {error.strerror}"
    finally:
        os.close(handle)
    return None


def kernel_obstacle(kernel: Path | None, *, deadline: float, cpu: str = CPUS["kvm"]) -> str | None:
    """Why a Linux kernel does not run under KVM; None when its own words were seen.

    It is given no root file system and panics for want of one, which ends QEMU (panic=-1 with -no-reboot).

    Args:
        kernel: a bzImage or an ELF kernel, or None when there is none.
        deadline: seconds until it must have spoken.
        cpu: QEMU's CPU model.
    """
    if kernel is None:
        return "there is no Linux kernel to try KVM with, neither in LIBGUESTFS_PATH nor as /boot/vmlinuz-*"
    with tempfile.TemporaryDirectory(prefix="h2k-kvm-") as folder:
        console, log = Path(folder, "console"), Path(folder, "qemu.log")
        arguments = _arguments(kernel, console, cpu)
        with Service(arguments, log=log) as qemu:
            code = qemu.wait(deadline)
        if _KERNEL_SPEAKS in (console.read_bytes() if console.exists() else b""):
            return None
        if code is None:
            return f"{kernel} said nothing within {deadline:.0f} s of being started under KVM"
        return f"QEMU ended with {code} under KVM: {_complaint(qemu.messages())}"


def find_kernel(boot: Path = Path("/boot"), environment: Mapping[str, str] = os.environ) -> Path | None:
    """A kernel of this machine: the fixed appliance's, else the newest readable one of `boot`."""
    folders = [folder for folder in environment.get("LIBGUESTFS_PATH", "").split(":") if folder]
    fixed = [Path(folder, "kernel") for folder in folders]
    installed = sorted(boot.glob("vmlinuz-*"), key=_version, reverse=True)
    return next((path for path in [*fixed, *installed] if path.is_file() and os.access(path, os.R_OK)), None)


def _version(kernel: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", kernel.name)]


def _arguments(kernel: Path, console: Path, cpu: str) -> list[str]:
    escaped = str(console).replace(",", ",,")
    return [
        *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35,accel=kvm", "-cpu", cpu, "-m", "256"),
        *("-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
        *("-chardev", f"file,id=console,path={escaped}", "-serial", "chardev:console"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    ]


def _complaint(messages: str) -> str:
    """QEMU's first error: later ones follow from it."""
    error = next((line for line in messages.splitlines() if "error" in line), messages)
    return last_lines(error.removeprefix(f"{QEMU}: "), 1)


def _deadline() -> float:
    given = os.environ.get(DEADLINE_VARIABLE, "")
    return float(given) if re.fullmatch(r"\d{1,4}(\.\d{1,3})?", given) else _DEADLINE


def _key(kernel: Path | None) -> str:
    version = run([QEMU, "--version"], deadline=30).text.partition("\n")[0]
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "unknown"
    return f"{boot} {version} {kernel} {_deadline():.0f}"


def _cache() -> Path:
    return cache_folder() / "accelerator.json"


def _recall(key: str) -> AcceleratorProbe | None:
    try:
        path = _cache()
        age = time.time() - path.stat().st_mtime
        found = AcceleratorProbe.model_validate_json(path.read_bytes())
    except (OSError, RuntimeError, pydantic.ValidationError):
        return None
    stale = found.accelerator == "tcg" and age > _DOUBT
    return None if stale or found.key != key else found


def _remember(found: AcceleratorProbe) -> None:
    """Keep the answer for the next process. A cache that cannot be written only costs time."""
    try:
        path = _cache()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(found.to_json())
        temporary.replace(path)
    except (OSError, RuntimeError):
        return
