"""Installed kernels: their initramfs images, and where each one finds the drivers of the new hardware."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hyper2kvm.guest.description import DriverPlace, Kernel
from hyper2kvm.guest.files import GuestFiles, first_existing
from hyper2kvm.guest.firmware import ESP_FOLDERS
from hyper2kvm.guest.linux import bls, initramfs, modules, reading, uki
from hyper2kvm.guest.linux.bytesource import ByteSource, FileBytes, HeldBytes
from hyper2kvm.guest.linux.initramfs import Initramfs
from hyper2kvm.guest.linux.modules import ModuleTree
from hyper2kvm_api.errors import GuestError

DRIVERS = ("virtio", "virtio_ring", "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net")
"""Modules that a guest needs on KVM's own devices."""

INITRAMFS_NAMES = ("/boot/initrd.img-{}", "/boot/initramfs-{}.img", "/boot/initrd-{}")
"""Names of a kernel's initramfs: Debian's; dracut's and Fedora's; SUSE's."""

UNIFIED = "unified-kernel-image"
"""The generator of an initramfs that is a section of an EFI program, which cannot be extended."""

_NO_KERNEL = re.compile(r".*\.dpkg-.*|.*\.(rpmsave|rpmnew|sig|efi\.signed)")
"""What stands beside kernels in /boot and is none (grub-mkconfig_lib, grub_file_is_not_garbage). A kernel that is signed
for Secure Boot has its plain twin beside it, from which GRUB's menu is made (10_linux)."""

OLDER = ".old"
"""Suffix of the copy of a kernel that another of the same release replaced: it has that one's modules (10_linux)."""

_NOTHING = HeldBytes(b"")
_MAX_RELEASE = 256
_PARTS = re.compile(r"(\D*)(\d*)")


@dataclass(frozen=True)
class _Installed:
    version: str
    image: str
    initramfs: str | None


def find(files: GuestFiles) -> tuple[Kernel, ...]:
    """Every kernel that a boot loader can start: in /boot, by boot loader entries, as unified images on the ESP."""
    installed = {each.image: each for each in [*_entries(files), *_boot_folder(files)]}
    plain = (_describe(files, each) for each in installed.values())
    return tuple(sorted([*plain, *_unified(files)], key=lambda kernel: (release_order(kernel.version), kernel.image)))


def default(kernels: Sequence[Kernel]) -> Kernel:
    """The kernel that boot loaders start unless told otherwise: the newest one that has modules or an initramfs."""
    whole = [kernel for kernel in kernels if kernel.modules or kernel.initramfs or kernel.generator]
    return max(whole or kernels, key=lambda kernel: release_order(kernel.version))


def release_order(version: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """A key that sorts releases as Debian sorts versions (deb-version(7)): numbers as numbers, `~` before the end."""
    return tuple((_text_order(text), int(number or 0)) for text, number in _PARTS.findall(version))


def open_initramfs(files: GuestFiles, path: str) -> Initramfs:
    """The content of a kernel's initramfs. Raises GuestError (InitramfsUnsupported) when it cannot be read."""
    return initramfs.read(FileBytes(files, path), path)


def early_modules(files: GuestFiles, kernel: Kernel) -> dict[str, str]:
    """The modules in a kernel's initramfs, by name; none when it has no initramfs.

    Raises:
        GuestError: InitramfsUnsupported: the initramfs cannot be read.
    """
    if kernel.generator == UNIFIED:
        parts = uki.sections(FileBytes(files, kernel.image))
        return initramfs.read(parts.get(".initrd", _NOTHING), kernel.image).modules(kernel.version)
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


def _text_order(text: str) -> tuple[int, ...]:
    return (*(-1 if each == "~" else ord(each) + (0 if each.isalpha() else 256) for each in text), 0)


def _boot_folder(files: GuestFiles) -> Iterator[_Installed]:
    for image in reading.matching(files, "/boot/vmlinuz-*"):
        named = posixpath.basename(image).removeprefix("vmlinuz-")
        if _NO_KERNEL.fullmatch(named) is None:
            version = named.removesuffix(OLDER)
            names = (name.format(each) for each in dict.fromkeys((named, version)) for name in INITRAMFS_NAMES)
            yield _Installed(version, image, first_existing(files, names))


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
    for partition in ESP_FOLDERS:
        for path in reading.matching(files, f"{partition}/EFI/Linux/*.efi"):
            parts = uki.sections(FileBytes(files, path))
            if ".linux" in parts:
                yield _describe_unified(files, path, parts)


def _describe_unified(files: GuestFiles, path: str, parts: Mapping[str, ByteSource]) -> Kernel:
    named = parts.get(".uname", _NOTHING).read(0, _MAX_RELEASE).rstrip(b"\0").decode("ascii", "replace").strip()
    version = named if bls.RELEASE.fullmatch(named) else posixpath.basename(path).removesuffix(".efi")
    tree = module_tree(files, version)
    try:
        early = initramfs.read(parts.get(".initrd", _NOTHING), path).modules(version)
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
