"""A kernel's modules in the root file system, as depmod describes them (modules.dep(5), kmod's depmod.d)."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hyper2kvm.guest.files import GuestFiles

_SUFFIX = re.compile(r"\.ko(\.(gz|xz|zst))?$")


def module_name(path: str) -> str:
    """The name that the kernel gives to a module file: `virtio-rng.ko.xz` is `virtio_rng`."""
    return _SUFFIX.sub("", posixpath.basename(path)).replace("-", "_")


def is_module(path: str) -> bool:
    """Whether the path is a module's: it ends in .ko, .ko.gz, .ko.xz or .ko.zst."""
    return _SUFFIX.search(path) is not None


@dataclass(frozen=True)
class ModuleTree:
    """The modules of one kernel.

    Attributes:
        folder: the folder that holds them, such as `/lib/modules/6.1.0-1-amd64`.
        paths: path below the folder by module name.
        depends: names of the modules that each one needs, in modules.dep's order (nearest first).
        built_in: names of the modules that are part of the kernel image.
    """

    folder: str
    paths: Mapping[str, str] = field(repr=False)
    depends: Mapping[str, tuple[str, ...]] = field(repr=False)
    built_in: frozenset[str] = field(repr=False)

    def closure(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names that are modules here, and the modules that they need, sorted."""
        wanted = [name for name in names if name in self.paths]
        found: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name not in found and name in self.paths:
                found.add(name)
                wanted.extend(self.depends[name])
        return tuple(sorted(found))


def read(files: GuestFiles, folder: str) -> ModuleTree:
    """The modules in a folder such as `/lib/modules/6.1.0-1-amd64`; none when it has no modules.dep."""
    paths: dict[str, str] = {}
    depends: dict[str, tuple[str, ...]] = {}
    for line in _lines(files, f"{folder}/modules.dep"):
        path, colon, needed = line.partition(":")
        path = path.removeprefix(f"{folder}/")
        if colon and not path.startswith("/") and ".." not in path.split("/"):
            paths[module_name(path)] = path
            depends[module_name(path)] = tuple(module_name(other) for other in needed.split())
    built_in = frozenset(module_name(line) for line in _lines(files, f"{folder}/modules.builtin"))
    return ModuleTree(folder, paths, depends, built_in)


def _lines(files: GuestFiles, path: str) -> list[str]:
    text = files.read(path).decode("utf-8", "surrogateescape") if files.stat(path) is not None else ""
    return [line for line in text.split("\n") if line]
