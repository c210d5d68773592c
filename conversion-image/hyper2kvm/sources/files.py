"""Files of this machine: a path is a VMX folder, an OVA, an OVF folder, or a single image."""

import difflib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from hyper2kvm.disk.location import NO_EXPORTS, Exports
from hyper2kvm.events import Events
from hyper2kvm.sources.description import Fetched
from hyper2kvm.sources.folder import file_identity
from hyper2kvm.sources.image import EXTENSIONS, DiskImage
from hyper2kvm.sources.ova import Ova
from hyper2kvm.sources.ovffolder import OvfFolder
from hyper2kvm.sources.vmx import VmxFolder
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.plan import PlannedSource
from hyper2kvm_api.reasons import Reason


class Description(Protocol):
    """A virtual machine as files hold it."""

    def fetch(self, events: Events, stop: threading.Event) -> Fetched:
        """See Source."""
        ...


_DESCRIPTIONS: dict[str, Callable[[Path], Description]] = {".vmx": VmxFolder, ".ovf": OvfFolder, ".ova": Ova}
"""Extensions of files that describe a whole machine."""


class Files:
    """A Source: a folder or a file of this machine. Its disks' bytes lie in files, which need no serving."""

    def __init__(self, planned: PlannedSource) -> None:
        """Nothing is looked at yet."""
        self._planned = planned

    @property
    def key(self) -> str:
        """Path and format."""
        return self._planned.canonical().decode()

    def fetch(self, events: Events, stop: threading.Event) -> Fetched:
        """See Source."""
        return description_at(Path(self._planned.path), self._planned.format).fetch(events, stop)

    def identity(self, part: str) -> str | None:
        """See Source: parts are files."""
        return file_identity(part)

    def opened(self) -> AbstractContextManager[Exports]:
        """See Source."""
        return nullcontext(NO_EXPORTS)


def description_at(path: Path, format_: ImageFormat | None) -> Description:
    """What a path holds. Nothing is read yet but names.

    Args:
        path: a folder or a file.
        format_: format of a single image; from the extension when None. Never guessed from content.

    Raises:
        SourceError: SourceNotFound, SourceUnreadable, SourceAmbiguous or SourceUnrecognised.
    """
    try:
        is_folder = path.is_dir()
        file = _in_folder(path) if is_folder else path
        _check_plain(file)
    except OSError as error:
        raise SourceError(Reason.SOURCE_UNREADABLE, f"{path}: {error.strerror}") from None
    if format_ is not None and not is_folder:
        return DiskImage(file, format_)
    extension = file.suffix.lower()
    if extension in _DESCRIPTIONS:
        return _DESCRIPTIONS[extension](file)
    if extension in EXTENSIONS:
        return DiskImage(file, EXTENSIONS[extension])
    raise SourceError(Reason.SOURCE_UNRECOGNISED, f"{file}: its extension names no format")


def _check_plain(path: Path) -> None:
    """Links are not followed: whoever made the folder may have made one to a file of this machine."""
    if path.is_symlink():
        raise SourceError(
            Reason.SOURCE_UNRECOGNISED,
            f"{path} is a link, and links in a source are not followed",
            hint="Name the file that it points to in spec.source.files.path.",
        )
    if not path.exists():
        raise _missing(path)
    if not path.is_file():
        raise SourceError(Reason.SOURCE_UNRECOGNISED, f"{path} is no plain file")


def _in_folder(folder: Path) -> Path:
    """The file of a folder that describes its machine."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    for extension in _DESCRIPTIONS:
        found = [name for name in names if name.lower().endswith(extension)]
        if len(found) > 1:
            raise SourceError(Reason.SOURCE_AMBIGUOUS, f"{folder} holds {', '.join(found)}")
        if found:
            return folder / found[0]
    images = [name for name in names if Path(name).suffix.lower() in EXTENSIONS]
    hint = f"Name one of its files in the path, such as {images[0]}." if images else None
    raise SourceError(Reason.SOURCE_UNRECOGNISED, f"{folder} holds no .vmx, .ovf or .ova", hint=hint)


def _missing(path: Path) -> SourceError:
    """SourceNotFound; the hint names what is there and resembles the path."""
    parent = path
    while not parent.is_dir():
        path, parent = parent, parent.parent
    try:
        near = difflib.get_close_matches(path.name, [entry.name for entry in parent.iterdir()], n=1)
    except OSError:
        near = []
    hint = f"Did you mean {parent / near[0]}?" if near else None
    return SourceError(Reason.SOURCE_NOT_FOUND, f"{path} is not there", hint=hint)
