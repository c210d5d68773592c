"""What counts as a guest that came up, and what as one that did not. Pure: decided on snapshots, without a clock."""

from dataclasses import dataclass
from ipaddress import ip_interface

from hyper2kvm.boot.reports import NOWHERE
from hyper2kvm.boot.signs import MAINTENANCE_HINT, Sign, find_sign, last_line, quote
from hyper2kvm.stages.documents import Evidence, Probe

SETTLE_REPORTS = 2
SETTLE_SECONDS = 15.0
"""A guest that came up is watched until its probe has reported again, five of its own seconds later, and no longer than
this: units that fail late and addresses by DHCP are to be in the report."""

ADDRESS_SECONDS = 60.0
"""How long after the first report addresses may still come that the guest's configuration states or asks for."""

LOGIN_SECONDS = 4.0
"""How long a login prompt must be there."""

SILENCE_SECONDS = 120.0
"""How long the probe may be silent after a login prompt, until the prompt counts alone."""

_PROMPT_FACTOR = 4.0
_SERIAL_LINES = 40
UP = "multi-user"
"""The target that a guest must reach, without its suffix."""

_MAX_TOLD = 3


@dataclass(frozen=True)
class Shown:
    """What the guest shows in one place.

    Attributes:
        text: the text of a screen that stands still, or the end of the serial log.
        still: seconds since it last changed (a blinking cursor is no change).
        login: seconds since it first showed a login prompt; None when it does not.
    """

    text: str = ""
    still: float = 0.0
    login: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """What is known of a guest at one moment.

    Attributes:
        serial: the first serial port.
        screen: the screen.
        probes: the probe's reports so far.
        reported: seconds since the first of them.
        ended: whether QEMU has ended: the guest switched itself off, or restarted.
        flooded: whether the guest wrote more to a serial port than a start can need.
        over: whether the time is over: what has come up until now counts, and nothing is waited for.
        unlocking: whether the guest's prompts for passphrases are being answered: they are no end then.
    """

    serial: Shown = Shown()
    screen: Shown = Shown()
    probes: tuple[Probe, ...] = ()
    reported: float = 0.0
    ended: bool = False
    flooded: bool = False
    over: bool = False
    unlocking: bool = False


@dataclass(frozen=True)
class Expected:
    """What a guest is expected to show.

    Attributes:
        probe: whether a probe was put into it.
        encrypted: whether it may ask for the passphrase of a disk.
        addresses: addresses (with or without prefix length) that its configuration states.
        leased: names of adapters for which it asks for addresses by DHCP, which QEMU answers.
        macs: the MAC addresses of the machine's adapters, in lower case.
    """

    probe: bool
    encrypted: bool
    addresses: tuple[str, ...] = ()
    leased: tuple[str, ...] = ()
    macs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CameUp:
    """The guest came up."""

    evidence: Evidence
    probe: Probe | None = None


@dataclass(frozen=True)
class Stopped:
    """The guest did not come up.

    Attributes:
        meaning: the end of a sentence that begins with "the guest".
        quote: what it showed; may be empty.
        hint: what to do; None where nothing better is known than the reason's remedy.
    """

    meaning: str
    quote: str = ""
    hint: str | None = None


def decide(expected: Expected, seen: Snapshot) -> CameUp | Stopped | None:
    """The verdict on a guest; None while it is open."""
    if seen.flooded:
        return Stopped("writes to its serial port without end", last_line(seen.serial.text))
    sign, text = _sign(seen)
    if seen.probes and (sign is None or sign.settle > 0):
        return _by_probe(expected, seen)
    if sign is not None and sign.unlock and expected.encrypted:
        return CameUp(Evidence.UNLOCK_PROMPT)
    if sign is not None:
        return Stopped(sign.meaning, quote(sign, text), sign.hint)
    if seen.ended:
        return Stopped("restarted or switched itself off", last_line(seen.serial.text) or last_line(seen.screen.text))
    return _by_login(expected, seen)


def missing_addresses(stated: tuple[str, ...], probe: Probe | None) -> tuple[str, ...]:
    """Those of the stated addresses that no interface of the running guest has."""
    if probe is None:
        return ()
    present = {ip_interface(address).ip for interface in probe.interfaces for address in interface.addresses}
    return tuple(address for address in stated if ip_interface(address).ip not in present)


def missing_leases(expected: Expected, probe: Probe | None) -> tuple[str, ...]:
    """The names that DHCP gave no address, of adapters or of none.

    None where every adapter of the machine has an address, if only by a bridge: what is configured besides is of adapters
    that the source does not have either. None where the guest's routes do not tell an address's interface.
    """
    if probe is None:
        return ()
    served = [each for each in probe.interfaces if any(_is_of_use(address) for address in each.addresses)]
    names = {each.name for each in served}
    idle = expected.macs - {each.mac for each in served}
    return tuple(name for name in expected.leased if name not in names) if idle and NOWHERE not in names else ()


def _is_of_use(address: str) -> bool:
    return not ip_interface(address).ip.is_link_local


def _by_probe(expected: Expected, seen: Snapshot) -> CameUp | Stopped | None:
    """The first report decides whether it came up, and when; the last one what came up."""
    first, last = seen.probes[0], seen.probes[-1]
    if seen.ended and first.target == UP:
        return Stopped(f"came up and, after {UP}.target, restarted or switched itself off")
    settled = len(seen.probes) >= SETTLE_REPORTS or seen.reported >= SETTLE_SECONDS
    if not (settled or seen.ended or seen.over):
        return None
    if first.target != UP:
        return Stopped(f"ended in {first.target} mode", _complaint(last), MAINTENANCE_HINT)
    absent = missing_addresses(expected.addresses, last) or missing_leases(expected, last)
    if absent and seen.reported < ADDRESS_SECONDS and not seen.over:
        return None
    return CameUp(Evidence.PROBE, last.replaced(uptime=first.uptime))


def _complaint(probe: Probe) -> str:
    """What a guest says of its stop: systemd's first messages, which the later ones follow from, else failed units."""
    if probe.complaints:
        return " / ".join(probe.complaints[:_MAX_TOLD])
    return f"failed units: {', '.join(probe.failed_units)}" if probe.failed_units else ""


def _sign(seen: Snapshot) -> tuple[Sign | None, str]:
    """A sign that has stood still for long enough, and the text that shows it.

    Elsewhere the guest must be still as well: firmware's complaints stay on one console while the start goes on on
    the other. Only a prompt at the end of the serial log needs no still screen, where a splash may be moving.
    """
    serial = "\n".join(seen.serial.text.splitlines()[-_SERIAL_LINES:])
    for shown, other, text in ((seen.serial, seen.screen, serial), (seen.screen, seen.serial, seen.screen.text)):
        sign = find_sign(text)
        if sign is None or (sign.unlock and seen.unlocking):
            continue
        if seen.ended or min(shown.still, other.still) >= sign.settle:
            return sign, text
        if shown is seen.serial and sign.prompt and shown.still >= _PROMPT_FACTOR * sign.settle:
            return sign, text
    return None, ""


def _by_login(expected: Expected, seen: Snapshot) -> CameUp | None:
    needed = SILENCE_SECONDS if expected.probe and not seen.over else LOGIN_SECONDS
    if seen.serial.login is not None and seen.serial.login >= needed:
        return CameUp(Evidence.SERIAL_LOGIN)
    if seen.screen.login is not None and seen.screen.login >= needed:
        return CameUp(Evidence.SCREEN_LOGIN)
    return None
