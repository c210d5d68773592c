"""Bytes that arrive in pieces, read by count: what a decompressor yields, without ever holding it whole."""

from collections.abc import Generator

MAX_BYTES = 2 << 30
"""Bytes that a stream may give: an initramfs is unpacked into memory, so a real one is far smaller."""


class ByteStream:
    """Reads from a generator of pieces, whose return value is where its input ended.

    Attributes:
        position: bytes read so far.
        end: the generator's return value, once it has ended.
    """

    def __init__(self, pieces: Generator[bytes, None, int]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._taken = 0
        self.position = 0
        self.end: int | None = None

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes. Raises ValueError when the stream ends before, or gives more than MAX_BYTES."""
        return b"".join(self._take(count))

    def skip(self, count: int) -> bytes:
        """Pass over `count` bytes without keeping them; always b"". Raises as `read` does."""
        for _ in self._take(count):
            pass
        return b""

    def skip_zeros(self) -> None:
        """Pass over zero bytes, to the next other byte or the end."""
        while self._fill():
            rest = self._piece[self._taken :].lstrip(b"\0")
            passed = len(self._piece) - self._taken - len(rest)
            self._taken += passed
            self.position += passed
            if rest:
                return

    @property
    def finished(self) -> bool:
        """Whether no byte is left."""
        return not self._fill()

    def _take(self, count: int) -> Generator[bytes, None, None]:
        while count > 0:
            if not self._fill():
                raise ValueError("the data ends in the middle of an archive")
            part = self._piece[self._taken : self._taken + count]
            self._taken += len(part)
            self.position += len(part)
            count -= len(part)
            if self.position > MAX_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_BYTES >> 20} MiB")
            yield part

    def _fill(self) -> bool:
        while self._taken == len(self._piece):
            if self.end is not None:
                return False
            try:
                self._piece, self._taken = next(self._pieces), 0
            except StopIteration as stop:
                self._piece, self._taken, self.end = b"", 0, int(stop.value)
        return True
