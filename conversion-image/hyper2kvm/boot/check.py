"""The boot check: a finished machine is started on throw-away overlays and must show that it comes up."""

import secrets
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path

from hyper2kvm.accelerator import Accelerator, probe
from hyper2kvm.boot import ocr
from hyper2kvm.boot.disks import throw_away
from hyper2kvm.boot.firmware import find_firmware, fresh_flash
from hyper2kvm.boot.hidden import hide, hide_in_file, shows
from hyper2kvm.boot.insertion import Overlays, insert_probe
from hyper2kvm.boot.qemu import BootDisk, BootFiles, BootHardware, arguments, hardware
from hyper2kvm.boot.qmp import Control, ControlLost
from hyper2kvm.boot.screen import png
from hyper2kvm.boot.signs import last_line, ran_out_of_memory
from hyper2kvm.boot.unlock import Unlocker
from hyper2kvm.boot.verdict import CameUp, Expected, Stopped, missing_addresses, missing_leases
from hyper2kvm.boot.watch import Ending, Watch
from hyper2kvm.disk.finished import TargetDisk
from hyper2kvm.events import Events
from hyper2kvm.evidence import PROBE_REPORT, SCREENSHOT, SERIAL_LOG
from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.encryption import LUKS
from hyper2kvm.guest.linux.interface import is_software
from hyper2kvm.guest.linux.pairing import is_pattern
from hyper2kvm.run import Service, last_lines, require
from hyper2kvm.sockets import socket_folder
from hyper2kvm.stages.documents import BootProof
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import HostError, ValidationError
from hyper2kvm_api.machine import Firmware, Machine
from hyper2kvm_api.options import NicModel
from hyper2kvm_api.reasons import Reason

_END_SECONDS = 10.0
_MEMORY_HINT = (
    "The guest ran out of memory: raise spec.validation.boot.memory, the most that it is started with for the check."
)
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
        memory: bytes that it has at most.
        network_model: model of its network adapters.
    """

    machine: Machine
    disks: tuple[TargetDisk, ...]
    guest: Guest
    timeout: float
    keys: Path | None = None
    memory: int = field(kw_only=True)
    network_model: NicModel = NicModel.VIRTIO


@dataclass(frozen=True)
class _Start:
    """QEMU's arguments, what it writes, a folder for the rest, the token of the reports, passphrases, what is expected."""

    arguments: list[str]
    files: BootFiles
    folder: Path
    token: str
    passphrases: tuple[str, ...] = field(repr=False)
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
    _keep_evidence(workspace, ending, start)
    came_up = _came_up(ending, candidate, start, found.accelerator)
    _tell(start, came_up, ending.seconds, events)
    return BootProof(
        evidence=came_up.evidence,
        seconds=round(ending.seconds, 1),
        accelerator=found.accelerator,
        firmware=str(candidate.guest.firmware),
        probe=came_up.probe,
        screenshot=f"{workspace.evidence.name}/{SCREENSHOT}" if (workspace.evidence / SCREENSHOT).exists() else None,
        serial=f"{workspace.evidence.name}/{SERIAL_LOG}",
        missing_addresses=missing_addresses(start.expected.addresses, came_up.probe),
        missing_leases=missing_leases(start.expected, came_up.probe),
    )


def stated_addresses(guest: Guest) -> tuple[str, ...]:
    """The static addresses that the guest's configuration states, whichever adapter it knows them of."""
    return tuple(dict.fromkeys(text for config in guest.interfaces for text in config.addresses if _is_stated(text)))


def leased_names(guest: Guest, macs: Container[str]) -> tuple[str, ...]:
    """The names of adapters that the guest's configuration asks for addresses by DHCP for.

    Patterns are none, nor is what software makes, nor an adapter with an address that the machine's adapters do not have.
    """
    asking = (config for config in guest.interfaces if config.dhcp and (config.mac is None or config.mac in macs))
    names = dict.fromkeys(config.name for config in asking if config.name)
    return tuple(name for name in names if not is_pattern(name) and not is_software(name))


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
    machine = _assemble(candidate, folder, accelerator)
    token = secrets.token_hex(8)
    overlays = Overlays([disk.id for disk in candidate.disks], [disk.node for disk in machine.disks], sockets, folder)
    inserted = insert_probe(overlays, candidate.guest, candidate.keys, accelerator, token, events)
    encrypted = any(device.type == LUKS for device in candidate.guest.devices)
    macs = frozenset(machine.macs)
    stated, leased = stated_addresses(candidate.guest), leased_names(candidate.guest, macs)
    expected = Expected(inserted.probe, encrypted, stated, leased, macs)
    files = BootFiles(evidence / SERIAL_LOG, folder / "report", sockets / "control")
    command = arguments(machine, files)
    return _Start(command, files, folder, token, inserted.passphrases, expected)


def _assemble(candidate: Candidate, folder: Path, accelerator: Accelerator) -> BootHardware:
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
    return hardware(
        candidate.machine,
        disks,
        flash,
        accelerator=accelerator,
        memory=candidate.memory,
        network_model=candidate.network_model,
    )


def _watch(start: _Start, timeout: float) -> Ending:
    """Switch the machine on and watch it."""
    with Service(start.arguments, log=start.folder / "qemu.log") as qemu:
        try:
            with Control(start.files.control, alive=lambda: qemu.exit_code is None) as control:
                unlocker = Unlocker(start.passphrases)
                watch = Watch(control, start.files, start.folder / "screen.ppm", start.token, unlocker)
                return watch.until(timeout, start.expected)
        except ControlLost:
            code = qemu.wait(_END_SECONDS)
            raise HostError(
                Reason.PROGRAM_FAILED, f"QEMU ended with {code} at the start: {last_lines(qemu.messages())}"
            ) from None


def _forget_evidence(folder: Path) -> None:
    for name in (SERIAL_LOG, SCREENSHOT, PROBE_REPORT):
        (folder / name).unlink(missing_ok=True)


def _keep_evidence(workspace: Workspace, ending: Ending, start: _Start) -> None:
    hide_in_file(workspace.evidence / SERIAL_LOG, start.passphrases)
    if ending.picture is not None and not (start.passphrases and shows(ocr.read(ending.picture), start.passphrases)):
        workspace.put(workspace.evidence / SCREENSHOT, png(ending.picture))
    if ending.seen.probes:
        report = hide(ending.seen.probes[-1].to_json(indent=2), start.passphrases)
        workspace.put(workspace.evidence / PROBE_REPORT, f"{report}\n".encode())


def _tell(start: _Start, came_up: CameUp, seconds: float, events: Events) -> None:
    events.note(f"the guest came up in {seconds:.0f} s")
    if start.expected.probe and came_up.probe is None:
        events.warn(
            "ProbeSilent",
            f"the guest came up, as {came_up.evidence} shows, and the probe inside of it said nothing",
            hint="What the guest has mounted and which addresses it has is not known: look after its first real start.",
        )


def _came_up(ending: Ending, candidate: Candidate, start: _Start, accelerator: Accelerator) -> CameUp:
    """The good verdict, or the error that a bad one is."""
    verdict = ending.verdict
    if isinstance(verdict, CameUp):
        return verdict
    hint = _MEMORY_HINT if ran_out_of_memory(ending.seen.serial.text, ending.seen.screen.text) else None
    if isinstance(verdict, Stopped):
        quoted = f": “{hide(verdict.quote, start.passphrases)}”" if verdict.quote else ""
        raise ValidationError(
            Reason.BOOT_FAILED,
            f"the guest {verdict.meaning}, {ending.seconds:.0f} s after power-on{quoted}",
            hint=hint or verdict.hint,
        )
    last = hide(last_line(ending.seen.screen.text) or last_line(ending.seen.serial.text), start.passphrases)
    shown = f"; it last showed “{last}”" if last else "; its screen and serial port showed no text"
    message = f"the guest did not come up in {candidate.timeout:.0f} s ({accelerator}){shown}"
    raise ValidationError(Reason.BOOT_TIMED_OUT, message, hint=hint)
