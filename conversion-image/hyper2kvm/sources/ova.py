"""An OVA: an OVF package in one tar archive (DSP0243, section 5.3). It is read in place and never unpacked."""

import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from hyper2kvm.disk.formats.region import opened
from hyper2kvm.disk.location import FileRegion, open_plain, unreadable
from hyper2kvm.events import Events
from hyper2kvm.sources.description import Fetched
from hyper2kvm.sources.folder import parts_of
from hyper2kvm.sources.limits import within_limits
from hyper2kvm.sources.ovf import MAX_OVF, parse_ovf
from hyper2kvm.sources.ovfmanifest import MAX_MANIFEST, Manifest
from hyper2kvm.sources.ovfpackage import Package
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason

_MAX_ENTRIES = 1000
_MAX_HEADER = 1024 * 1024


class _Headers(io.FileIO):
    """A file of which tarfile reads headers only: an extended header says itself how long it is, and is held in memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size) or b""


class Ova:
    """A virtual machine in an .ova file."""

    def __init__(self, path: Path) -> None:
        """`path` is the archive."""
        self._path = path.absolute()

    def fetch(self, events: Events, stop: threading.Event) -> Fetched:
        """See Source."""
        with within_limits(self._path.name):
            return self._fetch(dict(self._entries()), events, stop)

    def _fetch(self, files: dict[str, FileRegion], events: Events, stop: threading.Event) -> Fetched:
        name = self._one(files, ".ovf")
        if name is None:
            raise SourceError(Reason.ARCHIVE_INCOMPLETE, f"{self._path} holds no .ovf", file=str(self._path))
        package = Package(name, parse_ovf(self._read(files[name], MAX_OVF), name), files, siblings=None)
        disks = package.disks()
        machine = package.describe(disks)
        verified = self._verified(package, events, stop)
        return Fetched(machine=machine, disks=disks, parts=parts_of([str(self._path)]), verified=verified)

    def _entries(self) -> Iterator[tuple[str, FileRegion]]:
        """The files of the archive, where they lie in it.

        Raises:
            SourceError: SourceUnreadable, ArchiveUnsafe or ArchiveIncomplete.
        """
        seen: set[str] = set()
        try:
            with _Headers(open_plain(str(self._path))) as file, tarfile.open(mode="r:", fileobj=file) as archive:
                size = file.seek(0, io.SEEK_END)
                for member in archive:
                    self._check(member, seen, size)
                    yield member.name, FileRegion(path=str(self._path), offset=member.offset_data, length=member.size)
        except (tarfile.TarError, ValueError, RecursionError) as error:
            # tarfile lets numbers in extended headers, and chains of them, fail as ValueError and RecursionError.
            raise self._incomplete(f"it is no whole tar archive ({error})") from None
        except OSError as error:
            raise unreadable(str(self._path), error, str(self._path)) from None

    def _check(self, member: tarfile.TarInfo, seen: set[str], size: int) -> None:
        name = member.name
        if not member.isreg() or member.sparse is not None or member.size < 0:
            raise self._unsafe(f"{name!r} is no plain file")
        if "/" in name or "\\" in name or name in {"", ".", ".."} or not name.isprintable():
            raise self._unsafe(f"{name!r} is no plain name")
        if name in seen or len(seen) == _MAX_ENTRIES:
            raise self._unsafe(f"{name!r} stands in it twice" if name in seen else "it has too many entries")
        if member.offset_data + member.size > size:
            raise self._incomplete(f"{name} would end at byte {member.offset_data + member.size} of {size}")
        seen.add(name)

    def _verified(self, package: Package, events: Events, stop: threading.Event) -> tuple[str, ...]:
        name = self._one(package.files, ".mf")
        if name is None:
            return ()
        manifest = Manifest.parse(self._read(package.files[name], MAX_MANIFEST).decode("utf-8", "replace"), name)
        manifest.check_lists(package.names)
        return manifest.verify(package.files, events, stop)

    def _one(self, files: Mapping[str, FileRegion], extension: str) -> str | None:
        found = [name for name in files if name.lower().endswith(extension)]
        if len(found) > 1:
            raise SourceError(Reason.SOURCE_AMBIGUOUS, f"{self._path} holds {', '.join(found)}")
        return found[0] if found else None

    def _read(self, region: FileRegion, limit: int) -> bytes:
        if region.length > limit:
            raise SourceError(
                Reason.MACHINE_DESCRIPTION_INVALID, f"{self._path}: a description of {region.length} bytes"
            )
        with opened(region) as reader:
            return reader.read(0, region.length, "description")

    def _unsafe(self, what: str) -> SourceError:
        return SourceError(Reason.ARCHIVE_UNSAFE, f"{self._path}: {what}", file=str(self._path))

    def _incomplete(self, what: str) -> SourceError:
        return SourceError(Reason.ARCHIVE_INCOMPLETE, f"{self._path}: {what}", file=str(self._path))
