from hyper2kvm.guest.firmware import ESP_FOLDERS
from hyper2kvm.guest.linux import bls

from .situations import memory

ENTRY = """# Boot Loader Specification type#1 entry
title      Debian GNU/Linux 12 (bookworm)
version    6.1.0-9-amd64
options    root=UUID=1 ro
linux      /debian/6.1.0-9-amd64/linux
initrd     /microcode.cpio
initrd     /debian/6.1.0-9-amd64/initrd.img
"""


def test_paths_are_below_the_entrys_partition():
    (entry,) = bls.find(memory({"/boot/efi/loader/entries/debian.conf": ENTRY}))
    assert entry.version == "6.1.0-9-amd64"
    assert entry.linux == "/boot/efi/debian/6.1.0-9-amd64/linux"
    assert entry.initrds == ("/boot/efi/microcode.cpio", "/boot/efi/debian/6.1.0-9-amd64/initrd.img")


def test_an_entry_that_starts_no_kernel_has_none():
    (entry,) = bls.find(memory({"/boot/loader/entries/shell.conf": "title Shell\nefi /shell.efi\n\nlone\n"}))
    assert (entry.version, entry.linux, entry.initrds) == (None, None, ())


def test_every_partition_is_looked_at():
    files = {f"{place}/loader/entries/a.conf": ENTRY for place in ESP_FOLDERS}
    assert len(bls.find(memory(files))) == len(ESP_FOLDERS)


def test_a_version_that_is_no_plain_name_is_none():
    (entry,) = bls.find(memory({"/boot/loader/entries/a.conf": "version ../../etc\nlinux /linux\n"}))
    assert entry.version is None
