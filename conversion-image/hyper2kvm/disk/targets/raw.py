"""Raw targets: the disk's bytes at their own offsets, in a sparse file or on a block device."""

from hyper2kvm.disk.chunks import CHUNK, Sizes, content
from hyper2kvm.disk.targets.storage import Storage
from hyper2kvm.disk.targets.target import Claims, Packed


class RawTarget:
    """A Target without a format of its own."""

    def __init__(self, storage: Storage, capacity: int) -> None:
        """A file is given the disk's size: its holes read as zeros. What a device holds counts as unknown."""
        self.storage = storage
        if not storage.is_device:
            storage.resize(capacity)

    def pack(self, data: bytes) -> Packed:
        """The chunk as it is."""
        return Packed(content(data), data)

    def place(self, index: int, sizes: Sizes) -> int:  # noqa: ARG002 -- Target's signature
        """A chunk's offset in the disk."""
        return index * CHUNK

    def write(self, position: int, packed: Packed, *, whole: bool) -> None:
        """Write the chunk, without its empty pieces where those are holes anyway."""
        if not (whole or self.storage.is_device):
            self.storage.write_stored(position, packed.payload, packed.sizes)
        elif any(packed.sizes):
            self.storage.write(position, packed.payload)
        else:
            self.storage.zero(position, len(packed.payload))

    def seal(self, claims: Claims, identity: bytes) -> None:  # noqa: ARG002 -- Target's signature
        """Bring the bytes to stable storage: there is nothing else."""
        self.storage.sync()
