from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.linux import uki
from hyper2kvm.guest.linux.bytesource import HeldBytes

from .test_kernels import unified_image

PROGRAM = unified_image({".linux": b"kernel", ".initrd": b"initramfs", ".uname": b"6.1"})


def test_sections_are_found_by_name():
    assert {name: part.read(0, 100) for name, part in uki.sections(HeldBytes(PROGRAM)).items()} == {
        ".linux": b"kernel",
        ".initrd": b"initramfs",
        ".uname": b"6.1",
    }


@given(st.integers(0, len(PROGRAM) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_program_never_raises(at, damage):
    for damaged in (PROGRAM[:at] + damage + PROGRAM[at + len(damage) :], PROGRAM[:at]):
        for part in uki.sections(HeldBytes(damaged)).values():
            assert len(part.read(0, 100)) <= part.size
