"""The smallest thing that can be migrated: a raw disk without a boot record, which is copied unchanged and not started."""

import hashlib

from lab.command import manifest

MIB = 1 << 20
COPIED = {"guest": {"whenUnsupported": "Copy"}, "validation": {"boot": {"enabled": False}}}


def tiny(folder, name="tiny", size=4 * MIB, **spec):
    """A manifest in `folder`, and its source in the folder `source` beside it."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "disk.img").write_bytes(hashlib.shake_128(b"tiny").digest(size))
    return manifest(folder, name, source, "disk.img", **COPIED | spec)
