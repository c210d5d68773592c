"""Reading files of a source folder, bounded and with errors that name them."""

from collections.abc import Iterable
from pathlib import Path

from hyper2kvm.sources.description import FileState
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason


def read_text(path: Path, limit: int) -> str:
    """A small text file; bytes that are not UTF-8 are taken as Latin-1.

    Raises:
        SourceError: as `read_bytes`.
    """
    data = read_bytes(path, limit)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_bytes(path: Path, limit: int) -> bytes:
    """A small file.

    Raises:
        SourceError: SourceUnreadable, or MachineDescriptionInvalid when it is larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SourceError(Reason.SOURCE_UNREADABLE, f"{path}: {error.strerror}", file=str(path)) from None
    if len(data) > limit:
        raise SourceError(Reason.MACHINE_DESCRIPTION_INVALID, f"{path} has more than {limit} bytes", file=str(path))
    return data


def fetched_files(paths: Iterable[str]) -> tuple[FileState, ...]:
    """How files look now.

    Raises:
        SourceError: SourceUnreadable.
    """
    return tuple(_state(path) for path in dict.fromkeys(paths))


def _state(path: str) -> FileState:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise SourceError(Reason.SOURCE_UNREADABLE, f"{path}: {error.strerror}", file=path) from None
    return FileState(path=path, size=found.st_size, modified=found.st_mtime_ns)
