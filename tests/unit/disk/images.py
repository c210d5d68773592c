"""Images of every format, made by qemu-img from one raw disk with data at its start, middle and end."""

import hashlib
import random
import subprocess
from pathlib import Path

SIZE = 40 * 1024 * 1024
VMDK_SUBFORMATS = (
    "monolithicSparse",
    "monolithicFlat",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "streamOptimized",
)


def make_raw(path, *, seed=1, size=SIZE):
    generator = random.Random(seed)
    with Path(path).open("wb") as disk:
        disk.truncate(size)
        for offset, length in ((0, 70_000), (size // 2 + 512, 300_000), (size - 65_536, 65_536)):
            disk.seek(offset)
            disk.write(generator.randbytes(length))
    return Path(path)


def qemu_img(*arguments):
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def convert(raw, target, format_, **options):
    chosen = [item for key, value in options.items() for item in ("-o", f"{key}={value}")]
    qemu_img("convert", "-f", "raw", "-O", format_, *chosen, raw, target)
    return Path(target)


def snapshot(base, target, **changes):
    """A VMDK that lies on another one, with `changes` (offset → bytes) written into it."""
    arguments = ["create", "-f", "vmdk", "-b", base.name, "-F", "vmdk", target.name]
    subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, cwd=base.parent)
    for offset, length in changes.get("writes", ()):
        write(target, "vmdk", offset, length)
    return Path(target)


def write(image, format_, offset, length):
    """Write a pattern into an image, as a guest would."""
    command = ["qemu-io", "-f", format_, "-c", f"write -P 0x5a {offset} {length}", image.name]
    subprocess.run(command, check=True, capture_output=True, cwd=image.parent)


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def digests(folder):
    return {entry.name: digest(entry) for entry in sorted(Path(folder).iterdir()) if entry.is_file()}
