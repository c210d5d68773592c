import pytest

from hyper2kvm.guest.description import Mount
from hyper2kvm.guest.edits import Edit, EditKind
from hyper2kvm.guest.space import BLOCK, MARGIN, check, growth
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason
from lab.memoryguest import MemoryGuest

GIB = 1 << 30
ROOT = Mount(device="/dev/sda1", path="/", type="ext4", free=GIB, size=8 * GIB)
BOOT = Mount(device="/dev/sda2", path="/boot", type="ext4", free=MARGIN + 10 * BLOCK, size=GIB)
ESP = Mount(device="/dev/sda3", path="/boot/efi", type="vfat", free=GIB, size=GIB)
FILES = MemoryGuest({"/boot/initrd.img": bytes(100), "/etc/fstab": bytes(9000), "/bootstrap": b""})


def edit(kind: EditKind, path: str, size: int = 0) -> Edit:
    return Edit(kind, path, ("why",), bytes(size))


@pytest.mark.parametrize(
    ("change", "mount", "bytes_"),
    [
        (edit(EditKind.APPEND, "/boot/initrd.img", 10 * BLOCK), BOOT, 10 * BLOCK),
        (edit(EditKind.APPEND, "/boot/initrd.img", 10), BOOT, BLOCK),
        (edit(EditKind.WRITE, "/etc/fstab", 9000), ROOT, 0),
        (edit(EditKind.WRITE, "/etc/fstab", 9001), ROOT, BLOCK),
        (edit(EditKind.WRITE, "/etc/new", 1), ROOT, 2 * BLOCK),
        (edit(EditKind.WRITE, "/boot/efi/EFI/BOOT/BOOTX64.EFI", BLOCK), ESP, 2 * BLOCK),
        (edit(EditKind.WRITE, "/bootstrap", 1), ROOT, BLOCK),
        (edit(EditKind.REMOVE, "/etc/fstab"), ROOT, 0),
        (edit(EditKind.LINK, "/etc/link"), ROOT, BLOCK),
    ],
)
def test_an_edit_grows_the_file_system_that_it_is_in(change, mount, bytes_):
    assert growth([change], [ROOT, BOOT, ESP], FILES) == {mount: bytes_}


def test_what_fits_passes():
    check([edit(EditKind.APPEND, "/boot/initrd.img", 10 * BLOCK)], [ROOT, BOOT], FILES)


def test_a_full_file_system_that_nothing_is_added_to_passes():
    full = ROOT.replaced(free=0)
    check([edit(EditKind.WRITE, "/etc/fstab", 100), edit(EditKind.REMOVE, "/bootstrap")], [full], FILES)


def test_what_does_not_fit_names_the_file_system_with_what_it_needs_and_has():
    with pytest.raises(
        GuestError, match=r"/boot \(/dev/sda2\) has 2.0 MiB free and the changes need 3.0 MiB"
    ) as caught:
        check([edit(EditKind.APPEND, "/boot/initrd.img", 1 << 20)], [ROOT, BOOT], FILES)
    assert caught.value.reason is Reason.GUEST_FULL
    assert "Free 1.0 MiB in /boot" in caught.value.hint
