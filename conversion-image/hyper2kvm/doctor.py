"""What this machine can do, and what it lacks: the checks of `h2k doctor`.

What a check needs is loaded in it: where a module is missing, the other checks still say what they find.
"""

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.accelerator import probe
from hyper2kvm.boot.firmware import find_firmware
from hyper2kvm.modules import BINDINGS, EXTRAS, lacking, remedy
from hyper2kvm.report.text import size, span
from hyper2kvm.run import PACKAGES
from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.reasons import REASONS, Reason

_OPTIONAL = {"lzop": "guests whose initramfs is compressed with LZO"}
_ENOUGH = 10 * 1024**3
_NOTHING = {"driver": "null-co", "size": 1024**2, "read-zeroes": True}


class Check(Document):
    """One thing that was looked at."""

    name: str
    well: bool
    """Whether it is as it should be."""
    needed: bool = True
    """Whether migrations fail without it."""
    found: str
    """What was found."""
    remedy: str | None = None
    """What to do when it is not well."""
    reason: Reason
    """The reason of the failures when it is not well."""


@dataclass(frozen=True)
class Place:
    """A folder whose space matters.

    Attributes:
        purpose: what it is for.
        folder: the folder; it may still have to be made.
    """

    purpose: str
    folder: Path


def checks(places: list[Place]) -> Iterator[Check]:
    """Look at everything, the cheap first; the appliance takes seconds, without KVM tens of them."""
    yield from (_module(module, "migrations") for module in (*BINDINGS, *EXTRAS["conversion"]))
    yield _module("kubernetes", "h2k status and reports of a cluster", needed=False)
    yield from (_program(program, package) for program, package in PACKAGES.items())
    yield _firmware("UEFI firmware", secure_boot=False)
    yield _firmware("UEFI firmware with Secure Boot", secure_boot=True)
    yield from (_space(place) for place in places)
    yield _attempt(
        "KVM",
        Reason.PROGRAM_MISSING,
        _kvm,
        "Everything works without KVM, more slowly: guests are emulated.",
        needed=False,
    )
    yield _attempt(
        "Appliance",
        Reason.APPLIANCE_FAILED,
        _appliance,
        "See the message: libguestfs, supermin and a kernel in /boot that this user may read are needed.",
    )


def _module(module: str, use: str, *, needed: bool = True) -> Check:
    there = importlib.util.find_spec(module) is not None
    return Check(
        name=f"Python module {module}",
        well=there,
        needed=needed,
        found="installed" if there else f"missing, for {use}",
        remedy=remedy(module),
        reason=Reason.MODULE_MISSING,
    )


def _program(program: str, package: str) -> Check:
    path = shutil.which(program)
    use = f", for {_OPTIONAL[program]}" if program in _OPTIONAL else ""
    return Check(
        name=program,
        well=path is not None,
        needed=program not in _OPTIONAL,
        found=path or f"missing{use}",
        remedy=f"Install the package {package} (Debian's name).",
        reason=Reason.PROGRAM_MISSING,
    )


def _firmware(name: str, *, secure_boot: bool) -> Check:
    return _attempt(
        name,
        Reason.FIRMWARE_MISSING,
        lambda: (True, str(find_firmware(secure_boot=secure_boot).code)),
        "Install OVMF (Debian: ovmf, Fedora: edk2-ovmf).",
        needed=False,
    )


def _space(place: Place) -> Check:
    folder = next(each for each in (place.folder, *place.folder.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    return Check(
        name=f"Space for {place.purpose}",
        well=free >= _ENOUGH,
        needed=False,
        found=f"{size(free)} free in {folder}",
        remedy="A target takes up to its disk's virtual size; a workspace a few GiB.",
        reason=Reason.TARGET_FULL,
    )


def _kvm() -> tuple[bool, str]:
    found = probe()
    return found.accelerator == "kvm", found.why


def _appliance() -> tuple[bool, str]:
    from hyper2kvm.disk.server import NbdServer  # noqa: PLC0415 -- see the module's docstring
    from hyper2kvm.guest.appliance import Appliance  # noqa: PLC0415

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="h2k-") as folder:
        socket, log = Path(folder, "nothing"), Path(folder, "log")
        with (
            NbdServer(_NOTHING, socket, writable=True, log=Path(folder, "nbd.log")),
            Appliance([socket], accelerator=probe().accelerator, log=log),
        ):
            took = time.monotonic() - started
    return True, f"starts in {span(took)} ({probe().accelerator})"


def _attempt(
    name: str, reason: Reason, look: Callable[[], tuple[bool, str]], remedy_: str, *, needed: bool = True
) -> Check:
    try:
        well, found = look()
    except (Hyper2kvmError, ModuleNotFoundError) as error:
        failure = lacking(error) if isinstance(error, ModuleNotFoundError) else error
        if failure is None:
            raise
        # The remedy of a reason may be to run this.
        better = failure.hint if failure.hint != REASONS[failure.reason].remedy else remedy_
        return Check(name=name, well=False, needed=needed, found=failure.message, remedy=better, reason=failure.reason)
    return Check(name=name, well=well, needed=needed, found=found, remedy=remedy_, reason=reason)
