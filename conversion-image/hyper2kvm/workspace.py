"""Workspace: the folder that holds a migration's progress. Documents in it are whole or absent.

A stage is a function of its inputs. Its document records the digest of those inputs, so that a later run can tell
whether it still holds; what a killed run left half done has no document and is done again.
"""

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pydantic

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import BusyError, HostError
from hyper2kvm_api.reasons import Reason

Model = TypeVar("Model", bound=Document)


def digest(*documents: Document | str) -> str:
    """SHA-256, in hexadecimal, over documents and strings, each with its length."""
    hashed = hashlib.sha256()
    for document in documents:
        data = document.encode() if isinstance(document, str) else document.canonical()
        hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.hexdigest()


class Workspace:
    """A folder on disk; made when it is not there."""

    def __init__(self, folder: Path) -> None:
        """Raises HostError (WorkspaceUnusable) when the folder cannot be made."""
        self.folder = folder
        self.overlays = folder / "overlays"
        self.journals = folder / "journals"
        self.evidence = folder / "evidence"
        self.scratch = folder / "scratch"
        with host_errors(folder):
            for needed in (self.overlays, self.journals, self.evidence, self.scratch):
                needed.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace alone. The kernel releases it when the process ends, however it ends.

        Raises:
            BusyError: WorkspaceLocked, naming the process that holds it.
        """
        with host_errors(self.folder):
            handle = (self.folder / "lock").open("a+")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read(32).strip() or "unknown"
                raise BusyError(
                    Reason.WORKSPACE_LOCKED, f"{self.folder} is in use by another run (process {holder})"
                ) from None
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n")
            handle.flush()
            yield

    def overlay(self, disk: str) -> Path:
        """Path of a disk's overlay, by the disk's id."""
        return self.overlays / f"{_plain(disk)}.qcow2"

    def journal(self, disk: str) -> Path:
        """Path of the journal of a disk's copy, by the disk's id."""
        return self.journals / f"{_plain(disk)}.journal"

    def read(self, model: type[Model], name: str) -> Model | None:
        """The document `name`.json, or None when it is absent or of another version's form."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        try:
            return model.model_validate(json.loads(path.read_bytes())["document"])
        except (ValueError, KeyError, pydantic.ValidationError):
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
        temporary = path.with_name(f".{path.name}.new")
        with host_errors(path):
            with temporary.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
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
        if existing is not None and self._inputs(name) == inputs and holds(existing):
            return existing, True
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        made = produce()
        self.write(name, made, inputs)
        return made, False

    def forget(self, name: str) -> None:
        """Remove the document `name`.json: what it describes is made again by the next run."""
        with host_errors(self.folder):
            (self.folder / f"{name}.json").unlink(missing_ok=True)
            sync_folder(self.folder)

    def _inputs(self, name: str) -> str | None:
        loaded = json.loads((self.folder / f"{name}.json").read_bytes())
        return str(loaded.get("inputs"))


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
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise HostError(Reason.WORKSPACE_FULL, f"no space left for {path}") from error
        raise HostError(Reason.WORKSPACE_UNUSABLE, f"{path}: {error.strerror}") from error
