"""Workspace: the folder that holds a migration's progress. Documents in it are whole or absent.

A stage is a function of its inputs. Its document records the digest of those inputs, so that a later run can tell
whether it still holds; what a killed run left half done has no document and is done again.
"""

import errno
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TypeVar

import pydantic

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import BusyError, HostError
from hyper2kvm_api.reasons import Reason

Model = TypeVar("Model", bound=Document)

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a file system without room."""

_RESERVE = 2 * 1024 * 1024
"""Bytes that are kept free for the verdict and the report of a run that fills the disk."""

_LOCK = "lock"
_TEMPORARY = ".*.new"


IDENTITY = "migration"
"""Name of the document that says whose workspace it is."""


class Identity(Document):
    """Whose workspace it is: what the report is of while there is no plan yet."""

    name: str
    """Name of the migration."""
    namespace: str
    """Its namespace."""


def digest(*documents: Document | str) -> str:
    """SHA-256, in hexadecimal, over documents and strings, each with its length."""
    hashed = hashlib.sha256()
    for document in documents:
        data = document.encode() if isinstance(document, str) else document.canonical()
        hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.hexdigest()


class Workspace:
    """A folder on disk, made when it is not there, for its owner alone: it holds parts of the guest."""

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        """Raises HostError (WorkspaceUnusable) when the folder cannot be made, or is to be there and is not."""
        self.folder = folder
        self.overlays = folder / "overlays"
        self.journals = folder / "journals"
        self.evidence = folder / "evidence"
        self.scratch = folder / "scratch"
        if make:
            self._make()
        elif not (folder / _LOCK).is_file():
            raise HostError(
                Reason.WORKSPACE_UNUSABLE,
                f"{folder} is no workspace",
                hint="Name the folder that a run has made: OUTPUT/NAME.h2k, or its --workspace.",
            )

    def _make(self) -> None:
        """A folder that is there keeps its rights: a pod's volume is shared by the group of the pods."""
        with host_errors(self.folder):
            if not self.folder.exists():
                self.folder.mkdir(mode=0o700, parents=True)
            for needed in (self.overlays, self.journals, self.evidence, self.scratch):
                needed.mkdir(exist_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace alone. The kernel releases it when the process ends, however it ends.

        Meanwhile room is kept for the last words of a run that fills the disk, until `release`.

        Raises:
            BusyError: WorkspaceLocked, naming the process that holds it.
            HostError: WorkspaceFull, or WorkspaceUnusable where the file system has no locks.
        """
        with host_errors(self.folder):
            # Unbuffered: closing the file would try again to write what a full disk did not take.
            handle = (self.folder / _LOCK).open("a+b", buffering=0)
        with handle:
            self._hold(handle)
            self._clear()
            self._reserve()
            try:
                yield
            finally:
                self.release()

    def _hold(self, handle: FileIO) -> None:
        with host_errors(self.folder):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read(32).decode(errors="replace").strip() or "unknown"
                raise BusyError(
                    Reason.WORKSPACE_LOCKED, f"{self.folder} is in use by another run (process {holder})"
                ) from None
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give up the room that was kept: what is written now is the end."""
        with suppress(OSError):
            self._room.unlink(missing_ok=True)

    @property
    def _room(self) -> Path:
        return self.scratch / "room"

    def _reserve(self) -> None:
        """On a disk that is full already, nothing is kept."""
        with suppress(OSError), self._room.open("wb") as room:
            os.posix_fallocate(room.fileno(), 0, _RESERVE)

    def _clear(self) -> None:
        """Remove what killed runs left half written."""
        with suppress(OSError):
            for folder in (self.folder, self.evidence):
                for left in folder.glob(_TEMPORARY):
                    left.unlink(missing_ok=True)

    def overlay(self, disk: str) -> Path:
        """Path of a disk's overlay, by the disk's id."""
        return self.overlays / f"{_plain(disk)}.qcow2"

    def journal(self, disk: str) -> Path:
        """Path of the journal of a disk's copy, by the disk's id."""
        return self.journals / f"{_plain(disk)}.journal"

    def read(self, model: type[Model], name: str) -> Model | None:
        """The document `name`.json, or None when it is absent or of another version's form."""
        try:
            return model.model_validate(self._kept(name).get("document"))
        except pydantic.ValidationError:
            return None

    def write(self, name: str, document: Document, inputs: str) -> None:
        """Write `name`.json in one step, with the digest of the inputs that it was made from.

        Raises:
            HostError: WorkspaceFull or WorkspaceUnusable.
        """
        text = json.dumps({"inputs": inputs, "document": document.to_object()}, indent=2, ensure_ascii=False)
        self.put(self.folder / f"{name}.json", text.encode())

    def put(self, path: Path, content: bytes) -> None:
        """Write a file in one step: after a crash it is the old one or the new one, whole.

        Raises:
            HostError: WorkspaceFull or WorkspaceUnusable.
        """
        with host_errors(path):
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
            try:
                with open(descriptor, "wb") as handle:  # noqa: PTH123 -- a descriptor, no path
                    handle.write(content)
                    handle.flush()
                    os.fsync(handle.fileno())
                    os.fchmod(handle.fileno(), 0o644)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            sync_folder(path.parent)

    def remember(
        self,
        name: str,
        model: type[Model],
        inputs: str,
        produce: Callable[[], Model],
        *,
        holds: Callable[[Model], bool] = lambda _: True,
    ) -> tuple[Model, bool]:
        """The document of a stage: the one that is there, or a new one.

        Args:
            name: name of the document.
            model: its type.
            inputs: digest of everything that it depends on.
            produce: makes it anew.
            holds: whether what an existing document describes is still there.

        Returns:
            The document, and whether it was there already.
        """
        existing = self.read(model, name)
        if existing is not None and self._kept(name).get("inputs") == inputs and holds(existing):
            return existing, True
        with host_errors(self.folder):
            (self.folder / f"{name}.json").unlink(missing_ok=True)
        made = produce()
        self.write(name, made, inputs)
        return made, False

    def forget(self, name: str) -> None:
        """Remove the document `name`.json: what it describes is made again by the next run."""
        with host_errors(self.folder):
            (self.folder / f"{name}.json").unlink(missing_ok=True)
            sync_folder(self.folder)

    def _kept(self, name: str) -> Mapping[str, object]:
        """What `name`.json holds; nothing when it is absent or torn."""
        path = self.folder / f"{name}.json"
        try:
            loaded = json.loads(path.read_bytes()) if path.is_file() else None
        except ValueError:
            loaded = None
        return loaded if isinstance(loaded, dict) else {}


def _plain(disk: str) -> str:
    return disk.replace(":", "-")


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def host_errors(path: Path) -> Iterator[None]:
    """Around work on a file of the workspace: its OSErrors become HostErrors (WorkspaceFull, WorkspaceUnusable)."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise HostError(Reason.WORKSPACE_FULL, f"no space left for {path}") from error
        raise HostError(Reason.WORKSPACE_UNUSABLE, f"{path}: {error.strerror}") from error
