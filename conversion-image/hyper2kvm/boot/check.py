"""The boot check: a finished machine is started on throw-away overlays and must show that it comes up."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path

from hyper2kvm.accelerator import Accelerator, probe
from hyper2kvm.boot.disks import throw_away
from hyper2kvm.boot.firmware import find_firmware, fresh_flash
from hyper2kvm.boot.insertion import Overlays, insert_probe
from hyper2kvm.boot.qemu import BootDisk, BootFiles, BootHardware, arguments, hardware
from hyper2kvm.boot.qmp import Control, ControlLost
from hyper2kvm.boot.screen import png
from hyper2kvm.boot.signs import last_line
from hyper2kvm.boot.verdict import CameUp, Expected, Stopped, missing_addresses
from hyper2kvm.boot.watch import Ending, Watch
from hyper2kvm.disk.finished import TargetDisk
from hyper2kvm.events import Events
from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.encryption import LUKS
from hyper2kvm.run import Service, last_lines, require
from hyper2kvm.sockets import socket_folder
from hyper2kvm.stages.documents import BootProof
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import HostError, ValidationError
from hyper2kvm_api.machine import Firmware, Machine
from hyper2kvm_api.reasons import Reason

SERIAL_LOG = "boot-serial.log"
SCREENSHOT = "boot-screen.png"
PROBE_REPORT = "boot-probe.json"
"""Files in the workspace's evidence folder. They are kept when the check fails, too."""

_END_SECONDS = 10.0
_ARCHITECTURES = frozenset({"x86_64", "amd64", "i386", "i486", "i586", "i686"})


@dataclass(frozen=True)
class Candidate:
    """What is to be started.

    Attributes:
        machine: its hardware.
        disks: its disks in the machine's order.
        guest: what is inside of them.
        timeout: seconds that it may take.
        keys: folder whose files are tried as keys of encrypted disks, or None.
    """

    machine: Machine
    disks: tuple[TargetDisk, ...]
    guest: Guest
    timeout: float
    keys: Path | None = None


@dataclass(frozen=True)
class _Start:
    """QEMU's arguments, what it writes, a folder for the rest, the token of the reports, and what is expected."""

    arguments: list[str]
    files: BootFiles
    folder: Path
    token: str
    expected: Expected


def boot(candidate: Candidate, workspace: Workspace, events: Events) -> BootProof:
    """Start the candidate and wait until it shows that it came up.

    Its disks are opened read-only. The serial log, the last screen and the probe's report are kept as evidence.

    Raises:
        ValidationError: BootFailed or BootTimedOut.
        HostError: a program or the firmware is missing, or there is no room for what the guest writes.
    """
    _check_architecture(candidate.guest)
    require("tesseract")
    found = probe()
    events.note(f"starting the guest with {found.accelerator} ({found.why})")
    _forget_evidence(workspace.evidence)
    with _folders(workspace.scratch / "boot") as (folder, sockets):
        start = _prepare(candidate, workspace.evidence, folder, sockets, found.accelerator, events)
        ending = _watch(start, candidate.timeout)
    _keep_evidence(workspace, ending)
    came_up = _came_up(ending, candidate.timeout, found.accelerator)
    _tell(start, came_up, ending.seconds, events)
    return BootProof(
        evidence=came_up.evidence,
        seconds=round(ending.seconds, 1),
        accelerator=found.accelerator,
        firmware=str(candidate.guest.firmware),
        probe=came_up.probe,
        screenshot=f"{workspace.evidence.name}/{SCREENSHOT}" if ending.picture else None,
        serial=f"{workspace.evidence.name}/{SERIAL_LOG}",
        missing_addresses=missing_addresses(start.expected.addresses, came_up.probe),
    )


def stated_addresses(guest: Guest, machine: Machine) -> tuple[str, ...]:
    """The static addresses that the guest's configuration gives to interfaces of the machine."""
    macs = {nic.mac.lower() for nic in machine.nics if nic.mac}
    wanted = (config for config in guest.interfaces if config.mac is None or config.mac.lower() in macs)
    return tuple(dict.fromkeys(text for config in wanted for text in config.addresses if _is_stated(text)))


def _is_stated(text: str) -> bool:
    try:
        address = ip_interface(text).ip
    except ValueError:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)


def _check_architecture(guest: Guest) -> None:
    architecture = guest.os.architecture if guest.os else "x86_64"
    if architecture not in _ARCHITECTURES:
        raise ValidationError(
            Reason.BOOT_FAILED,
            f"the guest is made for {architecture}, and the boot check starts x86 machines only",
            hint="Set spec.validation.boot.enabled: false and start the guest on a machine of its kind.",
        )


@contextmanager
def _folders(scratch: Path) -> Iterator[tuple[Path, Path]]:
    """A folder for overlays and logs, and one with a path that is short enough for sockets; both vanish."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        with socket_folder(scratch.parent) as sockets:
            yield scratch, sockets
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _prepare(
    candidate: Candidate, evidence: Path, folder: Path, sockets: Path, accelerator: Accelerator, events: Events
) -> _Start:
    """Make the overlays, put the probe into them, and state the machine."""
    machine = _assemble(candidate, folder)
    token = secrets.token_hex(8)
    overlays = Overlays([disk.id for disk in candidate.disks], [disk.node for disk in machine.disks], sockets, folder)
    probed = insert_probe(overlays, candidate.guest, candidate.keys, accelerator, token, events)
    encrypted = any(device.type == LUKS for device in candidate.guest.devices)
    expected = Expected(probed, encrypted, stated_addresses(candidate.guest, candidate.machine))
    files = BootFiles(evidence / SERIAL_LOG, folder / "report", sockets / "control")
    return _Start(arguments(machine, files, accelerator), files, folder, token, expected)


def _assemble(candidate: Candidate, folder: Path) -> BootHardware:
    first = candidate.guest.boot_disk
    ordered = sorted(candidate.disks, key=lambda disk: disk.id != first)
    disks = tuple(
        BootDisk(
            throw_away(disk, folder / f"{disk.id.replace(':', '-')}.qcow2"), disk.bus, disk.serial, ordered.index(disk)
        )
        for disk in candidate.disks
    )
    flash = None
    if candidate.guest.firmware is Firmware.UEFI:
        flash = fresh_flash(find_firmware(secure_boot=candidate.machine.secure_boot), folder)
    return hardware(candidate.machine, disks, flash)


def _watch(start: _Start, timeout: float) -> Ending:
    """Switch the machine on and watch it."""
    with Service(start.arguments, log=start.folder / "qemu.log") as qemu:
        try:
            with Control(start.files.control, alive=lambda: qemu.exit_code is None) as control:
                watch = Watch(control, start.files, start.folder / "screen.ppm", start.token)
                return watch.until(timeout, start.expected)
        except ControlLost:
            code = qemu.wait(_END_SECONDS)
            raise HostError(
                Reason.PROGRAM_FAILED, f"QEMU ended with {code} at the start: {last_lines(qemu.messages())}"
            ) from None


def _forget_evidence(folder: Path) -> None:
    for name in (SERIAL_LOG, SCREENSHOT, PROBE_REPORT):
        (folder / name).unlink(missing_ok=True)


def _keep_evidence(workspace: Workspace, ending: Ending) -> None:
    if ending.picture is not None:
        workspace.put(workspace.evidence / SCREENSHOT, png(ending.picture))
    if ending.seen.probes:
        workspace.put(workspace.evidence / PROBE_REPORT, ending.seen.probes[-1].to_json(indent=2).encode() + b"\n")


def _tell(start: _Start, came_up: CameUp, seconds: float, events: Events) -> None:
    events.note(f"the guest came up in {seconds:.0f} s")
    if start.expected.probe and came_up.probe is None:
        events.warn(
            "ProbeSilent",
            f"the guest came up, as {came_up.evidence} shows, and the probe inside of it said nothing",
            hint="What the guest has mounted and which addresses it has is not known: look after its first real start.",
        )


def _came_up(ending: Ending, timeout: float, accelerator: Accelerator) -> CameUp:
    """The good verdict, or the error that a bad one is."""
    verdict = ending.verdict
    if isinstance(verdict, CameUp):
        return verdict
    if isinstance(verdict, Stopped):
        quoted = f": “{verdict.quote}”" if verdict.quote else ""
        raise ValidationError(
            Reason.BOOT_FAILED,
            f"the guest {verdict.meaning}, {ending.seconds:.0f} s after power-on{quoted}",
            hint=verdict.hint,
        )
    last = last_line(ending.seen.screen.text) or last_line(ending.seen.serial.text)
    shown = f"; it last showed “{last}”" if last else "; its screen and serial port showed no text"
    raise ValidationError(Reason.BOOT_TIMED_OUT, f"the guest did not come up in {timeout:.0f} s ({accelerator}){shown}")
