"""Raw images: the disk's bytes and nothing else. They are never probed for another format."""

from hyper2kvm.disk.formats.region import ImageFacts, RegionReader

SECTOR = 512


def examine(reader: RegionReader) -> ImageFacts:
    """Check a raw image.

    Raises:
        ImageError: ImageTruncated, when it is empty or no whole number of sectors.
    """
    if reader.length == 0 or reader.length % SECTOR:
        raise reader.truncated(f"a disk is a whole number of sectors of {SECTOR} bytes, at least one")
    return ImageFacts(reader.length)
