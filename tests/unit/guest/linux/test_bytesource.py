from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.linux.bytesource import WINDOW, ByteSource, FileBytes, HeldBytes, Section
from lab.memoryguest import MemoryGuest

PATH = "/boot/initrd.img"
CONTENT = bytes(range(256)) * (3 * WINDOW // 256 // 2)


class Told(MemoryGuest):
    """Remembers which parts were asked for."""

    def __init__(self) -> None:
        super().__init__({PATH: CONTENT})
        self.asked: list[tuple[int, int]] = []

    def part(self, path: str, offset: int, count: int) -> bytes:
        self.asked.append((offset, count))
        return super().part(path, offset, count)


def sources() -> list[ByteSource]:
    return [HeldBytes(CONTENT), FileBytes(Told(), PATH), Section(HeldBytes(b"x" + CONTENT + b"y"), 1, len(CONTENT))]


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 9), st.integers(0, WINDOW + 9)), max_size=4))
def test_every_source_gives_the_bytes_that_are_there(places):
    for source in sources():
        assert source.size == len(CONTENT)
        for offset, count in places:
            assert source.read(offset, count) == CONTENT[offset : offset + count]


def test_a_file_is_read_a_window_at_a_time():
    guest = Told()
    source = FileBytes(guest, PATH)
    assert [source.read(at, 16) for at in range(0, 4096, 16)] == [CONTENT[at : at + 16] for at in range(0, 4096, 16)]
    assert guest.asked == [(0, WINDOW)]


def test_a_section_ends_with_what_it_is_a_part_of():
    assert Section(HeldBytes(b"12345"), 3, 100).read(0, 10) == b"45"
    assert Section(HeldBytes(b"12345"), 9, 1).size == 0


def test_a_file_that_is_not_there_is_empty():
    assert FileBytes(MemoryGuest(), "/x").read(0, 5) == b""
