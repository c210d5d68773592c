"""Services that are switched off as data: what `systemctl disable`, deb-systemd-helper and update-rc.d would do."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.files import FileKind

UNIT_FOLDERS = ("/etc/systemd/system", "/etc/systemd/user")
STATE_FOLDERS = (
    "/var/lib/systemd/deb-systemd-helper-enabled",
    "/var/lib/systemd/deb-systemd-helper-masked",
    "/var/lib/systemd/deb-systemd-user-helper-enabled",
)
"""Where deb-systemd-helper remembers what administrators chose."""

_PULLS = (".wants", ".requires", ".upholds")
_UNIT = re.compile(r"(?:/usr)?/lib/systemd/(?:system|user)/([^/]+\.(?:service|socket|mount|path|timer|target))")
_INIT = re.compile(r"/etc/init\.d/([^/]+)")
_RUN_LEVEL = re.compile(r"[SK][0-9]{2}(.+)")


def units(paths: Iterable[str]) -> frozenset[str]:
    """The systemd units among a package's paths."""
    return frozenset(match[1] for path in paths if (match := _UNIT.fullmatch(path)))


def scripts(paths: Iterable[str]) -> frozenset[str]:
    """The init scripts among a package's paths."""
    return frozenset(match[1] for path in paths if (match := _INIT.fullmatch(path)))


def disable(draft: Draft, names: Collection[str], reason: str) -> None:
    """Remove every link that starts the units, their aliases, and deb-systemd-helper's memory of them."""
    aliases = {name for folder in UNIT_FOLDERS for name in _aliases(draft, folder, names)}
    wanted = {*names, *aliases}
    for folder in UNIT_FOLDERS:
        for name in draft.list(folder):
            if name in aliases:
                draft.remove(f"{folder}/{name}", reason)
        _pulled(draft, folder, wanted, reason)
    for folder in STATE_FOLDERS:
        for name in draft.list(folder):
            if name.removesuffix(".dsh-also") in wanted:
                draft.remove(f"{folder}/{name}", reason)
        _pulled(draft, folder, wanted, reason)


def mask(draft: Draft, names: Iterable[str], reason: str) -> None:
    """Keep units from ever being started (systemctl(1), mask)."""
    for name in sorted(names):
        draft.link(f"/etc/systemd/system/{name}", "/dev/null", reason)


def unlink_scripts(draft: Draft, names: Collection[str], reason: str) -> None:
    """Remove the run-level links of init scripts."""
    for folder in draft.glob("/etc/rc?.d"):
        for name in draft.list(folder):
            match = _RUN_LEVEL.fullmatch(name)
            if match and match[1] in names:
                draft.remove(f"{folder}/{name}", reason)


def _aliases(draft: Draft, folder: str, names: Collection[str]) -> Iterator[str]:
    for name in draft.list(folder):
        found = draft.lstat(f"{folder}/{name}")
        if found is None or found.kind is not FileKind.LINK:
            continue
        if posixpath.basename(draft.readlink(f"{folder}/{name}")) in names:
            yield name


def _pulled(draft: Draft, folder: str, names: Collection[str], reason: str) -> None:
    for name in draft.list(folder):
        stem, dot, kind = name.rpartition(".")
        if dot + kind not in _PULLS:
            continue
        for unit in draft.list(f"{folder}/{name}"):
            if unit in names or stem in names:
                draft.remove(f"{folder}/{name}/{unit}", reason)
        if stem in names:
            draft.remove(f"{folder}/{name}", reason)
