"""Putting the probe into the throw-away overlays, in an appliance."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hyper2kvm.accelerator import Accelerator
from hyper2kvm.boot.probe import permissive, probe_edits
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.events import Events
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.apply import apply
from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.encryption import LUKS, read_keys, unlock
from hyper2kvm_api.errors import GuestError


@dataclass(frozen=True)
class Inserted:
    """What was done.

    Attributes:
        probe: whether the probe is in.
        passphrases: those that open encrypted devices of the guest.
    """

    probe: bool = False
    passphrases: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Overlays:
    """The disks of a guest that may be written.

    Attributes:
        ids: ids of the machine's disks, in its order.
        nodes: QEMU's options of their block graphs, in the same order.
        sockets: folder with a short path.
        logs: folder for the logs of servers and appliance.
    """

    ids: Sequence[str]
    nodes: Sequence[Mapping[str, object]]
    sockets: Path
    logs: Path


def insert_probe(
    overlays: Overlays, guest: Guest, keys: Path | None, accelerator: Accelerator, token: str, events: Events
) -> Inserted:
    """Put the probe into a guest that systemd starts.

    Without a probe the check goes on: a login prompt counts then.

    Args:
        overlays: the guest's disks; nothing else may have them open.
        guest: what is on them.
        keys: folder whose files are tried as keys of encrypted disks, or None.
        accelerator: what the appliance runs with.
        token: letters and digits; marks the reports of this start.
        events: where is told why there is no probe, or what it changes.

    Raises:
        HostError: ApplianceFailed, or a program failed.
    """
    if guest.os is None or guest.os.init != "systemd":
        events.note("no probe is put into a guest that systemd does not start: its login prompt counts")
        return Inserted()
    try:
        inserted, changed = _insert(overlays, guest, keys, accelerator, token)
    except GuestError as error:
        events.warn(
            "ProbeNotInserted",
            f"the boot check has no probe inside of the guest: {error.message}",
            hint="The guest's login prompt counts alone; what it says of mounts and addresses is not known.",
        )
        return Inserted()
    if changed:
        events.warn(
            "CheckedPermissive",
            "the boot check starts the guest with SELinux permissive: its probe carries no label",
            hint="Files that the migration changed are relabelled at the first real start; see that nothing is denied.",
        )
    return inserted


def _insert(
    overlays: Overlays, guest: Guest, keys: Path | None, accelerator: Accelerator, token: str
) -> tuple[Inserted, bool]:
    """What was done, and whether SELinux was made permissive."""
    passphrases: tuple[str, ...] = ()
    root = [mount for mount in guest.mounts if mount.path == "/"]
    with ExitStack() as stack:
        sockets = []
        for number, node in enumerate(overlays.nodes):
            socket = overlays.sockets / f"disk{number}"
            stack.enter_context(NbdServer(node, socket, writable=True, log=overlays.logs / f"disk{number}.log"))
            sockets.append(socket)
        log = overlays.logs / "appliance.log"
        appliance = stack.enter_context(Appliance(sockets, accelerator=accelerator, log=log))
        if any(device.type == LUKS for device in guest.devices):
            passphrases = unlock(appliance.handle, overlays.ids, read_keys(keys)).passphrases
        appliance.mount(root, writable=True)
        edits = probe_edits(appliance, token, emulated=accelerator == "tcg")
        apply(edits, appliance)
        return Inserted(True, passphrases), permissive(edits)
