"""Symbolic links, followed inside a guest: an absolute target starts at the guest's root, `..` ends there."""

import posixpath
from collections.abc import Callable

MAX_LINKS = 40
"""Links that one path may lead through, as in Linux (path_resolution(7))."""


def resolve(path: str, readlink: Callable[[str], str | None], *, last: bool = True) -> str:
    """The path with its links followed. A link beyond the 40th, such as one of a loop, stays in it.

    Args:
        path: absolute path in the guest.
        readlink: the target of a link, or None for what is none; it is asked for paths without links in their folders.
        last: whether the last component is followed too.
    """
    done, rest, links = "/", _parts(path), 0
    while rest:
        part = rest.pop(0)
        if part == "..":
            done = posixpath.dirname(done)
            continue
        here = posixpath.join(done, part)
        target = readlink(here) if links < MAX_LINKS and (rest or last) else None
        if target is None:
            done = here
            continue
        links += 1
        rest = _parts(target) + rest
        done = "/" if target.startswith("/") else done
    return done


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]
