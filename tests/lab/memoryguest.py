"""A guest's file system in memory, for tests of what reads and changes guests."""

import fnmatch
import posixpath
from dataclasses import dataclass

from hyper2kvm.guest.files import FileKind, FileStat
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason


@dataclass
class _Node:
    kind: FileKind
    mode: int
    content: bytes = b""
    target: str = ""


class MemoryGuest:
    """A WritableGuest. Folders above a path are made with it."""

    def __init__(self, files=None, links=None, folders=()):
        """`files` maps paths to text or bytes, `links` paths to what symbolic links point to."""
        self.nodes = {"/": _Node(FileKind.FOLDER, 0o755)}
        for folder in folders:
            self._folder(folder)
        for path, target in (links or {}).items():
            self.link(path, target)
        for path, content in (files or {}).items():
            self.write(path, content.encode() if isinstance(content, str) else content, 0o644)

    def lstat(self, path):
        node = self.nodes.get(self._parent_resolved(path))
        if node is None:
            return None
        return FileStat(node.kind, node.mode, 0, 0, len(node.content or node.target.encode()))

    def stat(self, path):
        return self.lstat(self._resolved(path))

    def read(self, path):
        node = self.nodes.get(self._resolved(path))
        if node is None or node.kind is not FileKind.FILE:
            raise GuestError(Reason.GUEST_FILE_INVALID, f"{path} is no readable file", file=path)
        return node.content

    def readlink(self, path):
        return self.nodes[self._parent_resolved(path)].target

    def list(self, path):
        real = self._resolved(path)
        return tuple(sorted(posixpath.basename(p) for p in self.nodes if p != "/" and posixpath.dirname(p) == real))

    def glob(self, pattern):
        found = ["/"]
        for part in pattern.strip("/").split("/"):
            found = [
                posixpath.join(folder, name)
                for folder in found
                for name in (self.list(folder) if any(c in part for c in "*?[") else [part])
                if fnmatch.fnmatchcase(name, part) and self.lstat(posixpath.join(folder, name)) is not None
            ]
        return tuple(sorted(found))

    def write(self, path, content, mode):
        real = self._resolved(path)
        self._folder(posixpath.dirname(real))
        before = self.nodes.get(real)
        self.nodes[real] = _Node(FileKind.FILE, before.mode if before else mode, content)

    def append(self, path, content):
        self.nodes[self._resolved(path)].content += content

    def remove(self, path):
        real = self._parent_resolved(path)
        for inner in [p for p in self.nodes if p == real or p.startswith(f"{real}/")]:
            del self.nodes[inner]

    def link(self, path, target):
        real = self._parent_resolved(path)
        self._folder(posixpath.dirname(real))
        self.nodes[real] = _Node(FileKind.LINK, 0o777, target=target)

    def _folder(self, path):
        while path not in self.nodes:
            self.nodes[path] = _Node(FileKind.FOLDER, 0o755)
            path = posixpath.dirname(path)

    def _parent_resolved(self, path):
        if path == "/":
            return path
        return posixpath.join(self._resolved(posixpath.dirname(path)), posixpath.basename(path.rstrip("/")))

    def _resolved(self, path, depth=0):
        done = "/"
        for part in [p for p in path.split("/") if p not in {"", "."}]:
            done = posixpath.dirname(done) if part == ".." else posixpath.join(done, part)
            node = self.nodes.get(done)
            if node is not None and node.kind is FileKind.LINK and depth < 40:
                target = posixpath.join(posixpath.dirname(done), node.target)
                done = self._resolved(target, depth + 1)
        return done
