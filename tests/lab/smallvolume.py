"""A file system that is soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_volume(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory (tmpfs(5)) on a folder, which is made; gone when the context ends.

    Args:
        folder: where.
        size: how much it holds, such as `6m`.
    """
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "h2k-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def resize(folder: Path, size: str) -> None:
    """Let it hold more or less, such as `64m`."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
