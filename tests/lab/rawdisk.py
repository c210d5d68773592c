"""Raw disk images with partition tables and file systems, made by the usual programs without an appliance."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MIB = 1 << 20
LINUX_GPT = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_LUKS_HEADER = 16 * MIB
_SECTOR = 4096
"""Bytes that are encrypted as one."""


@dataclass(frozen=True)
class Part:
    """A partition to make.

    Attributes:
        size: MiB; 0 for the rest of the disk.
        type: MBR type in hexadecimal or GPT type; Linux when None.
    """

    size: int
    type: str | None = None


class RawDisk:
    """An image. Partitions are numbered from 1 and aligned to a MiB."""

    def __init__(self, path: Path, size: int) -> None:
        """A new, empty image of `size` MiB."""
        self.path = path
        self.size = size
        self._starts: list[int] = []
        self._sizes: list[int] = []
        with path.open("wb") as made:
            made.truncate(size * MIB)

    def partitions(self, label: str, parts: Sequence[Part]) -> None:
        """Write a partition table; `label` is `dos` or `gpt`."""
        lines, start = [f"label: {label}"], 1
        for part in parts:
            size = part.size or self.size - start - 1
            type_ = part.type or ("83" if label == "dos" else LINUX_GPT)
            lines.append(f"start={start}MiB, size={size}MiB, type={type_}")
            self._starts.append(start)
            self._sizes.append(size)
            start += size
        run(["sfdisk", "--quiet", str(self.path)], stdin="\n".join(lines).encode())

    def ext4(self, number: int, tree: Path, *options: str) -> None:
        """An ext4 with the content of a folder; partition 0 is the whole disk."""
        offset, size = self._place(number)
        # Fixed ids and seeds save nothing here; a journal would only take room.
        extended = ["-E", f"offset={offset * MIB},root_owner=0:0"]
        run(["mkfs.ext4", "-q", "-F", *extended, *options, "-d", str(tree), str(self.path), f"{size}M"])

    def vfat(self, number: int, label: str) -> None:
        """An empty FAT."""
        offset, size = self._place(number)
        # mkfs.vfat chooses the width of the FAT by the size of the file, whatever part of it is to be used.
        with tempfile.NamedTemporaryFile(dir=self.path.parent) as volume:
            volume.truncate(size * MIB)
            run(["mkfs.vfat", "-n", label, volume.name])
            for at in range(size):
                content = volume.read(MIB)
                if any(content):
                    self.write((offset + at) * MIB, content)

    def swap(self, number: int) -> None:
        """Swap space."""
        offset, size = self._place(number)
        with tempfile.NamedTemporaryFile(dir=self.path.parent) as volume:
            volume.truncate(size * MIB)
            run(["mkswap", volume.name])
            self.write(offset * MIB, volume.read(MIB))

    def luks(self, number: int, passphrase: str, content: Path | None = None) -> None:
        """A LUKS2 container whose key is quick to derive, around a volume's content.

        Encrypted here: dm-crypt in an emulated machine takes minutes for a guest.
        """
        offset, size = self._place(number)
        key = os.urandom(64)
        with (
            tempfile.NamedTemporaryFile(dir=self.path.parent) as container,
            tempfile.NamedTemporaryFile(dir=self.path.parent) as key_file,
        ):
            container.truncate(size * MIB)
            key_file.write(key)
            key_file.flush()
            cipher = ["--cipher", "aes-xts-plain64", "--sector-size", str(_SECTOR), "--key-size", str(len(key) * 8)]
            quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
            given = ["--batch-mode", "--key-file", "-", "--volume-key-file", key_file.name]
            place = ["--offset", str(_LUKS_HEADER // 512)]
            run(
                ["cryptsetup", "luksFormat", "--type", "luks2", *cipher, *quick, *given, *place, container.name],
                stdin=passphrase.encode(),
            )
            self.write(offset * MIB, container.read(_LUKS_HEADER))
        if content is not None:
            self._encrypt(content, key, offset * MIB + _LUKS_HEADER)

    def _encrypt(self, content: Path, key: bytes, offset: int) -> None:
        """As dm-crypt does with aes-xts-plain64: the tweak is the number of the first 512 bytes of each sector."""
        with content.open("rb") as plain, self.path.open("r+b") as disk:
            disk.seek(offset)
            for number, sector in enumerate(iter(lambda: plain.read(_SECTOR), b"")):
                tweak = (number * _SECTOR // 512).to_bytes(16, "little")
                disk.write(Cipher(algorithms.AES(key), modes.XTS(tweak)).encryptor().update(sector))

    def write(self, offset: int, content: bytes) -> None:
        """Write bytes of the disk."""
        with self.path.open("r+b") as disk:
            disk.seek(offset)
            disk.write(content)

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the disk."""
        with self.path.open("rb") as disk:
            disk.seek(offset)
            return disk.read(count)

    def start(self, number: int) -> int:
        """First byte of a partition."""
        return self._place(number)[0] * MIB

    def _place(self, number: int) -> tuple[int, int]:
        return (self._starts[number - 1], self._sizes[number - 1]) if number else (0, self.size)


def unpacked(folder: Path, files: Mapping[str, bytes], links: Mapping[str, str], folders: Sequence[str] = ()) -> Path:
    """A folder with the files, links and folders of a tree, whose links are not followed."""
    for path in folders:
        (folder / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path, target in links.items():
        link = folder / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    for path, content in files.items():
        made = folder / path.lstrip("/")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(content)
    return folder


def run(arguments: Sequence[str], stdin: bytes | None = None) -> None:
    subprocess.run(arguments, input=stdin, check=True, capture_output=True)
