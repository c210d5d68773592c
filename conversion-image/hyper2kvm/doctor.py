"""What this machine can do, and what it lacks: the checks of `h2k doctor`."""

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.accelerator import probe
from hyper2kvm.boot.firmware import find_firmware
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.report.text import size, span
from hyper2kvm.run import PACKAGES
from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError

_BINDINGS = {"guestfs": "python3-guestfs", "nbd": "python3-libnbd"}
"""Python modules that come with the distribution, and Debian's packages of them."""

_OPTIONAL = {"lzop": "guests whose initramfs is compressed with LZO"}
_FOREIGN = {"qemu-system-aarch64"}
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


@dataclass(frozen=True)
class Place:
    """A folder whose space matters.

    Attributes:
        purpose: what it is for.
        folder: an existing folder.
    """

    purpose: str
    folder: Path


def checks(places: list[Place]) -> Iterator[Check]:
    """Look at everything, the cheap first; the appliance takes seconds, without KVM tens of them."""
    for module, package in _BINDINGS.items():
        there = importlib.util.find_spec(module) is not None
        yield Check(
            name=f"Python module {module}",
            well=there,
            found="installed" if there else "missing",
            remedy=f"Install the package {package} (Debian's name), and use the distribution's own Python.",
        )
    yield from (_program(program, package) for program, package in PACKAGES.items() if program not in _FOREIGN)
    yield _firmware("UEFI firmware", secure_boot=False)
    yield _firmware("UEFI firmware with Secure Boot", secure_boot=True)
    yield from (_space(place) for place in places)
    yield _attempt("KVM", _kvm, "Everything works without KVM, more slowly: guests are emulated.", needed=False)
    yield _attempt("Appliance", _appliance, "See the message; supermin, a kernel in /boot and libguestfs are needed.")


def _program(program: str, package: str) -> Check:
    path = shutil.which(program)
    use = f", for {_OPTIONAL[program]}" if program in _OPTIONAL else ""
    return Check(
        name=program,
        well=path is not None,
        needed=program not in _OPTIONAL,
        found=path or f"missing{use}",
        remedy=f"Install the package {package} (Debian's name).",
    )


def _firmware(name: str, *, secure_boot: bool) -> Check:
    return _attempt(
        name,
        lambda: (True, str(find_firmware(secure_boot=secure_boot).code)),
        "Install OVMF (Debian: ovmf, Fedora: edk2-ovmf).",
        needed=False,
    )


def _space(place: Place) -> Check:
    free = shutil.disk_usage(place.folder).free
    return Check(
        name=f"Space for {place.purpose}",
        well=free >= _ENOUGH,
        needed=False,
        found=f"{size(free)} free in {place.folder}",
        remedy="A target takes up to its disk's virtual size; a workspace a few GiB.",
    )


def _kvm() -> tuple[bool, str]:
    found = probe()
    return found.accelerator == "kvm", found.why


def _appliance() -> tuple[bool, str]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="h2k-") as folder:
        socket, log = Path(folder, "nothing"), Path(folder, "log")
        with (
            NbdServer(_NOTHING, socket, writable=True, log=Path(folder, "nbd.log")),
            Appliance([socket], accelerator=probe().accelerator, log=log),
        ):
            took = time.monotonic() - started
    return True, f"starts in {span(took)} ({probe().accelerator})"


def _attempt(name: str, look: Callable[[], tuple[bool, str]], remedy: str, *, needed: bool = True) -> Check:
    try:
        well, found = look()
    except Hyper2kvmError as error:
        return Check(name=name, well=False, needed=needed, found=error.message, remedy=error.hint)
    return Check(name=name, well=well, needed=needed, found=found, remedy=remedy)
