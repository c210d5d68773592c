"""What is known of a sample guest, and where its files lie in the cache."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.cluster.layout import CACHE

GUESTS = CACHE / "guests"
UNFINISHED = ".building-"
"""Names of folders in which something is being made begin with this."""

_FACTS = "facts.json"
_HERE = Path(__file__).parent
_INGREDIENTS = (
    *("build.py", "debian.py", "disks.py", "encrypted.py", "exports.py", "streamvmdk.py"),
    *("templates/*", "../rawdisk.py"),
)
"""What a built guest depends on."""


@dataclass(frozen=True)
class SampleGuest:
    """A built guest.

    Attributes:
        name: such as `debian12-bios`.
        firmware: `bios` or `efi`.
        interface: name of the network interface under VMware.
        address: its static address with prefix length.
        mac: its MAC address.
        files: path in the guest → SHA-256 of files that must be the same after a migration, one or more on each disk.
        marker: path of a file that stands in the newest link of the VMX's snapshot chain alone.
        folder: where all of its files lie.
    """

    name: str
    firmware: str
    interface: str
    address: str
    mac: str
    files: Mapping[str, str]
    marker: str
    folder: Path

    @property
    def disks(self) -> tuple[Path, Path]:
        """The disks as raw images: the system's and the data's."""
        return self.folder / "system.raw", self.folder / "data.raw"

    @property
    def vmx(self) -> Path:
        """A folder with the machine's VMX, the system disk as a snapshot chain, the data disk in extents."""
        return self.folder / "vmx"

    @property
    def ova(self) -> Path:
        """The machine as OVA, with a manifest."""
        return self.folder / f"{self.name}.ova"

    def save(self) -> None:
        """Write the facts beside the files."""
        facts = asdict(self) | {"files": dict(self.files)}
        facts.pop("folder")
        (self.folder / _FACTS).write_text(json.dumps(facts, indent=2))


def load(folder: Path) -> SampleGuest:
    """The guest in a folder."""
    return SampleGuest(folder=folder, **json.loads((folder / _FACTS).read_text()))


def recipe_digest() -> str:
    """Changes with every file that has a say in what is built."""
    hashed = hashlib.sha256()
    for pattern in _INGREDIENTS:
        for file in sorted(_HERE.glob(pattern)):
            hashed.update(f"{file.name}\0".encode() + file.read_bytes())
    return hashed.hexdigest()[:16]


@contextmanager
def building() -> Iterator[None]:
    """One builder at a time. What a killed one left behind is removed."""
    GUESTS.mkdir(parents=True, exist_ok=True)
    with (GUESTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in GUESTS.glob(f"{UNFINISHED}*"):
            shutil.rmtree(path)
        yield


def remove_others(kept: Path, pattern: str) -> None:
    """Remove what older recipes made."""
    for path in kept.parent.glob(pattern):
        if path != kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
