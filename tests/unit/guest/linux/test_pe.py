import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.linux import pe
from hyper2kvm.guest.linux.bytesource import HeldBytes


def program(certificates: int = 0, magic: int = 0x20B, directories: int = 16) -> bytes:
    """An EFI program without sections, with a certificate table of so many bytes (PE Format, section 3)."""
    fields = struct.pack("<H", magic).ljust({0x10B: 92, 0x20B: 108}[magic], b"\0") + struct.pack("<I", directories)
    fields += b"".join(struct.pack("<II", 0x1000, certificates if each == 4 else 0) for each in range(directories))
    head = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 0, 0, 0, 0, len(fields), 0)
    return b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40) + head + fields + b"code"


@pytest.mark.parametrize("magic", [0x10B, 0x20B], ids=["PE32", "PE32+"])
def test_a_program_is_signed_where_it_has_certificates(magic):
    assert pe.is_signed(HeldBytes(program(8, magic)))
    assert not pe.is_signed(HeldBytes(program(0, magic)))
    assert not pe.is_signed(HeldBytes(program(8, magic, directories=4)))


@pytest.mark.parametrize("content", [b"", b"MZ", b"\x7fELF" + bytes(512), program(8)[:-60]])
def test_what_is_no_whole_program_is_not_signed(content):
    assert not pe.is_signed(HeldBytes(content[:200]))


@given(st.integers(0, 0xE0), st.binary(min_size=1, max_size=4))
def test_a_damaged_header_never_raises(at, damage):
    whole = program(8)
    assert pe.is_signed(HeldBytes(whole[:at] + damage + whole[at + len(damage) :])) in {True, False}
    pe.is_signed(HeldBytes(whole[:at]))
