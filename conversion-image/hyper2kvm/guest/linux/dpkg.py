"""dpkg's database as data (deb(5), dpkg(1), section Files): what is installed, and the removal of packages from it.

Nothing of the guest is run: maintainer scripts of the packages that are removed here only stop and disable their
services, which is done as data too.
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.files import FileKind, GuestFiles
from hyper2kvm.guest.linux import deb822

STATUS = "/var/lib/dpkg/status"
INFO = "/var/lib/dpkg/info"
TRIGGERS = "/var/lib/dpkg/triggers/File"
EXTENDED_STATES = "/var/lib/apt/extended_states"

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")


@dataclass(frozen=True)
class Package:
    """An installed package.

    Attributes:
        name: its name.
        architecture: its architecture.
        needs: its dependencies: each one a set of names, of which one must be installed.
        provides: virtual packages that it stands for.
        conffiles: configuration files that dpkg knows of it.
    """

    name: str
    architecture: str
    needs: tuple[frozenset[str], ...]
    provides: frozenset[str]
    conffiles: tuple[str, ...]


def installed(files: GuestFiles) -> tuple[Package, ...]:
    """The installed packages; none when the guest has no dpkg."""
    if files.stat(STATUS) is None:
        return ()
    return tuple(package for stanza in deb822.stanzas(files.read(STATUS)) if (package := _package(stanza)))


def dependents(packages: Iterable[Package], removed: Collection[str]) -> tuple[str, ...]:
    """The packages that would lack a dependency without the removed ones."""
    left = [package for package in packages if package.name not in removed]
    there = {name for package in left for name in (package.name, *package.provides)}
    return tuple(
        package.name for package in left if any(need & set(removed) and not need & there for need in package.needs)
    )


def paths(files: GuestFiles, package: Package) -> tuple[str, ...]:
    """What a package put into the file system: files and folders as its list names them, and its conffiles."""
    listed: list[str] = []
    for name in (f"{package.name}.list", f"{package.name}:{package.architecture}.list"):
        if files.stat(f"{INFO}/{name}") is not None:
            listed += files.read(f"{INFO}/{name}").decode("utf-8", "surrogateescape").split("\n")
    return tuple(dict.fromkeys(path for path in (*listed, *package.conffiles) if path.startswith("/")))


def forget(draft: Draft, packages: Collection[Package], reason: str) -> None:
    """Take packages out of dpkg's and apt's databases, as if they had been purged."""
    names = {package.name for package in packages}

    def unless_named(stanza: bytes) -> bytes:
        return b"" if deb822.field(stanza, "Package") in names else stanza

    for path in (STATUS, EXTENDED_STATES):
        if draft.is_file(path):
            draft.write(path, deb822.mapped(draft.read(path), unless_named), reason)
    if draft.is_file(TRIGGERS):
        kept = [line for line in draft.read(TRIGGERS).split(b"\n") if not _interest(line) & names]
        draft.write(TRIGGERS, b"\n".join(kept), reason)
    for package in packages:
        for path in _info_files(draft, package):
            draft.remove(path, reason)


def remove_files(draft: Draft, listed: Collection[str], private: Collection[str], reason: str) -> None:
    """Remove what packages put into the file system.

    Args:
        draft: the guest's files.
        listed: the packages' paths.
        private: words by which a folder is known to be theirs alone; other folders stay, even when empty.
        reason: why.
    """
    folders = {posixpath.dirname(path) for path in listed}
    real = sorted({draft.place(path): path in folders for path in listed}.items())
    kinds = {path: found.kind for path, _ in real if (found := draft.lstat(path)) is not None}
    for path, is_folder in real:
        if path in kinds and _goes(draft, path, kinds, private, is_folder=is_folder):
            draft.remove(path, reason)


def _goes(draft: Draft, path: str, kinds: Mapping[str, FileKind], private: Collection[str], *, is_folder: bool) -> bool:
    """Whether a path goes with the package that put it there, where `is_folder` says that it put a folder."""
    theirs = any(word in path for word in private)
    if kinds[path] is FileKind.FOLDER:
        return theirs and _holds_only(draft, path, kinds)
    # What was a folder in the package may be a link here: /lib on a merged /usr.
    return not is_folder and (theirs or not draft.is_folder(path))


def _holds_only(draft: Draft, folder: str, kinds: Mapping[str, FileKind]) -> bool:
    """Whether a folder holds nothing beside the paths that are known."""
    for name in draft.list(folder):
        path = posixpath.join(folder, name)
        if path not in kinds or (kinds[path] is FileKind.FOLDER and not _holds_only(draft, path, kinds)):
            return False
    return True


def _package(stanza: bytes) -> Package | None:
    name, status = deb822.field(stanza, "Package"), (deb822.field(stanza, "Status") or "").split()
    if not name or status[2:] in (["not-installed"], ["config-files"], []):
        return None
    conffiles = (line.split() for line in (deb822.field(stanza, "Conffiles") or "").split("\n"))
    return Package(
        name=name,
        architecture=deb822.field(stanza, "Architecture") or "all",
        needs=tuple(_needs(stanza)),
        provides=frozenset(_NAME.findall(_without_versions(deb822.field(stanza, "Provides") or ""))),
        conffiles=tuple(words[0] for words in conffiles if words),
    )


def _needs(stanza: bytes) -> Iterator[frozenset[str]]:
    for kind in ("Depends", "Pre-Depends"):
        for group in _without_versions(deb822.field(stanza, kind) or "").split(","):
            names = frozenset(alternative.strip().split(":")[0] for alternative in group.split("|")) - {""}
            if names:
                yield names


def _without_versions(text: str) -> str:
    return re.sub(r"\([^)]*\)|\[[^\]]*\]", "", text)


def _interest(line: bytes) -> set[str]:
    """The package of a line of the trigger file (deb-triggers(5)): `/path name` or `/path name/noawait`."""
    return {word.split("/")[0] for word in line.decode("utf-8", "replace").split()[1:]}


def _info_files(draft: Draft, package: Package) -> Iterator[str]:
    stems = {package.name, f"{package.name}:{package.architecture}"}
    for name in draft.list(INFO):
        if name.rpartition(".")[0] in stems:
            yield f"{INFO}/{name}"
