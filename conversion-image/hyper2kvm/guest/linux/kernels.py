"""Installed kernels: their initramfs images, and where each one finds the drivers of the new hardware."""

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hyper2kvm.guest.description import DriverPlace, Kernel
from hyper2kvm.guest.files import GuestFiles, first_existing
from hyper2kvm.guest.linux import bls, initramfs, modules, reading, uki
from hyper2kvm.guest.linux.initramfs import Initramfs
from hyper2kvm.guest.linux.modules import ModuleTree
from hyper2kvm_api.errors import GuestError

DRIVERS = ("virtio", "virtio_ring", "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net")
"""Modules that a guest needs on KVM's own devices."""

INITRAMFS_NAMES = ("/boot/initrd.img-{}", "/boot/initramfs-{}.img", "/boot/initrd-{}")
"""Names of a kernel's initramfs: Debian's; dracut's and Fedora's; SUSE's."""

UNIFIED = "unified-kernel-image"
"""The generator of an initramfs that is a section of an EFI program, which cannot be extended."""


@dataclass(frozen=True)
class _Installed:
    version: str
    image: str
    initramfs: str | None


def find(files: GuestFiles) -> tuple[Kernel, ...]:
    """Every kernel that a boot loader can start: in /boot, by boot loader entries, as unified images on the ESP."""
    installed = {each.image: each for each in [*_entries(files), *_boot_folder(files)]}
    plain = (_describe(files, each) for each in installed.values())
    return tuple(sorted([*plain, *_unified(files)], key=lambda kernel: (kernel.version, kernel.image)))


def open_initramfs(files: GuestFiles, path: str) -> Initramfs:
    """The content of a kernel's initramfs. Raises GuestError (InitramfsUnsupported) when it cannot be read."""
    return initramfs.read(files.read(path), path)


def early_modules(files: GuestFiles, kernel: Kernel) -> dict[str, str]:
    """The modules in a kernel's initramfs, by name; none when it has no initramfs.

    Raises:
        GuestError: InitramfsUnsupported: the initramfs cannot be read.
    """
    if kernel.generator == UNIFIED:
        content = initramfs.read(uki.sections(files.read(kernel.image)).get(".initrd", b""), kernel.image)
        return content.modules(kernel.version)
    return open_initramfs(files, kernel.initramfs).modules(kernel.version) if kernel.initramfs else {}


def places(names: Iterable[str], tree: ModuleTree | None, early: Iterable[str]) -> dict[str, DriverPlace]:
    """Where a kernel finds drivers.

    Args:
        names: module names.
        tree: the kernel's modules in the root file system.
        early: names of the modules in its initramfs.
    """
    held = frozenset(early)
    return {name: _place(name, tree, held) for name in names}


def module_tree(files: GuestFiles, version: str) -> ModuleTree | None:
    """The modules of a kernel in the root file system, or None when it has no folder there."""
    folder = first_existing(files, (f"/lib/modules/{version}", f"/usr/lib/modules/{version}"))
    return modules.read(files, folder) if folder else None


def _place(name: str, tree: ModuleTree | None, early: frozenset[str]) -> DriverPlace:
    if tree is not None and name in tree.built_in:
        return DriverPlace.BUILT_IN
    if name in early:
        return DriverPlace.INITRAMFS
    return DriverPlace.MODULES if tree is not None and name in tree.paths else DriverPlace.MISSING


def _boot_folder(files: GuestFiles) -> Iterator[_Installed]:
    for image in reading.matching(files, "/boot/vmlinuz-*"):
        version = posixpath.basename(image).removeprefix("vmlinuz-")
        found = first_existing(files, (name.format(version) for name in INITRAMFS_NAMES))
        yield _Installed(version, image, found)


def _entries(files: GuestFiles) -> Iterator[_Installed]:
    for entry in bls.find(files):
        if entry.version and entry.linux and files.stat(entry.linux) is not None:
            last = entry.initrds[-1] if entry.initrds else None
            yield _Installed(entry.version, entry.linux, last if last and files.stat(last) is not None else None)


def _describe(files: GuestFiles, installed: _Installed) -> Kernel:
    tree = module_tree(files, installed.version)
    content = _readable(files, installed.initramfs)
    early = content.modules(installed.version) if content else ()
    return Kernel(
        version=installed.version,
        image=installed.image,
        initramfs=installed.initramfs,
        generator=content.generator if content else None,
        modules=tree.folder if tree else None,
        drivers=places(DRIVERS, tree, early),
    )


def _readable(files: GuestFiles, path: str | None) -> Initramfs | None:
    """None for an image that a full /boot cut short, say: another kernel may be the one that boots."""
    try:
        return open_initramfs(files, path) if path else None
    except GuestError:
        return None


def _unified(files: GuestFiles) -> Iterator[Kernel]:
    for partition in bls.PARTITIONS:
        for path in reading.matching(files, f"{partition}/EFI/Linux/*.efi"):
            parts = uki.sections(files.read(path))
            if ".linux" in parts:
                yield _describe_unified(files, path, parts)


def _describe_unified(files: GuestFiles, path: str, parts: dict[str, bytes]) -> Kernel:
    named = parts.get(".uname", b"").rstrip(b"\0").decode("ascii", "replace").strip()
    version = named if bls.RELEASE.fullmatch(named) else posixpath.basename(path).removesuffix(".efi")
    tree = module_tree(files, version)
    try:
        early = initramfs.read(parts.get(".initrd", b""), path).modules(version)
    except GuestError:
        early = {}
    return Kernel(
        version=version,
        image=path,
        initramfs=None,
        generator=UNIFIED,
        modules=tree.folder if tree else None,
        drivers=places(DRIVERS, tree, early),
    )
