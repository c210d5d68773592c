import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.linux import hibernation
from lab.memoryguest import MemoryGuest

FSTAB = "UUID=1 / ext4 defaults 0 1\n/swap.img none swap sw 0 0\n/dev/sda5 none swap sw 0 0\n/gone none swap sw 0 0\n"


def swap(signature: bytes) -> bytes:
    return bytes(4096 - 10) + signature.ljust(10, b"\0") + bytes(4096)


@pytest.mark.parametrize("signature", hibernation.SIGNATURES)
def test_a_swap_file_with_an_image_is_found(signature):
    guest = MemoryGuest({"/etc/fstab": FSTAB, "/swap.img": swap(signature)})
    assert hibernation.find(guest, []) == ("/swap.img",)


def test_a_partition_with_an_image_is_found():
    devices = [
        BlockDevice(device=f"/dev/sda{number}", type=kind, size=1) for number, kind in ((1, "swap"), (5, "swsuspend"))
    ]
    assert hibernation.find(MemoryGuest(), devices) == ("/dev/sda5",)


@pytest.mark.parametrize("content", [swap(b"SWAPSPACE2"), b"", b"S1SUSPEND"])
def test_swap_space_of_a_guest_that_was_shut_down_is_none(content):
    guest = MemoryGuest({"/etc/fstab": FSTAB, "/swap.img": content})
    assert hibernation.find(guest, []) == ()
