"""Names for what is cached: a digest of everything it is made from."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(*parts: str | bytes | Path) -> str:
    """The first 12 hex digits of SHA-256 over texts and the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:12]


def digest_tree(folder: Path, suffixes: Iterable[str] = ("",)) -> str:
    """Digest of the names and contents of a folder's files that end in one of the suffixes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.endswith(tuple(suffixes)))
    return digest(*(part for path in files for part in (str(path.relative_to(folder)), path)))
