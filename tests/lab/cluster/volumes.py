"""Volumes with a size that is enforced: a sparse file each, mounted as ext4 or attached as a block device."""

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hyper2kvm.run import run

_ALIGNMENT = 4096

_LITTLE_OVERHEAD = ("-b", "4096", "-m", "0", "-i", "65536", "-O", "^has_journal,^resize_inode")
"""CDI reckons with 6 % for the file system; by its defaults ext4 takes 16 % of a volume of 64 MiB."""


class VolumeMode(StrEnum):
    """As in a PersistentVolume's spec."""

    FILESYSTEM = "Filesystem"
    BLOCK = "Block"


@dataclass(frozen=True)
class Volume:
    """One volume.

    Attributes:
        folder: holds the files of all volumes.
        name: the PersistentVolume's name.
    """

    folder: Path
    name: str

    @property
    def image(self) -> Path:
        """The file behind it. Its size is the volume's, its blocks are those that were written."""
        return self.folder / f"{self.name}.img"

    @property
    def mount_point(self) -> Path:
        """Where a file system volume is mounted, in the cluster's mount namespace."""
        return self.folder / self.name

    def create(self, size: int, mode: VolumeMode) -> Path:
        """Make the volume, or find it as it was made before.

        Args:
            size: bytes; rounded up to 4096.
            mode: file system or block device.

        Returns:
            the mounted folder, root's as a CSI driver leaves it, or the block device.

        Raises:
            HostError: ProgramFailed of mkfs, mount or losetup.
        """
        fresh = not self.image.exists()
        if fresh:
            self.image.touch(mode=0o600)
            os.truncate(self.image, -(-size // _ALIGNMENT) * _ALIGNMENT)
        if mode is VolumeMode.BLOCK:
            return self._attach()
        if fresh:
            run(["mkfs.ext4", "-q", "-F", *_LITTLE_OVERHEAD, str(self.image)], deadline=120)
        return self._mount()

    def _attach(self) -> Path:
        attached = devices_of(self.image)
        if attached:
            return attached[0]
        return Path(run(["losetup", "--find", "--show", str(self.image)], deadline=30).text.strip())

    def _mount(self) -> Path:
        self.mount_point.mkdir(exist_ok=True)
        if not self.mount_point.is_mount():
            options = "loop,noatime,discard"
            run(["mount", "--types", "ext4", "--options", options, str(self.image), str(self.mount_point)], deadline=60)
        return self.mount_point

    def destroy(self) -> None:
        """Give its space back. Does nothing when there is no such volume.

        Raises:
            HostError: ProgramFailed when it is in use.
        """
        if self.mount_point.is_mount():
            run(["umount", str(self.mount_point)], deadline=60)
        if self.mount_point.exists():
            self.mount_point.rmdir()
        if self.image.exists():
            for device in devices_of(self.image):
                detach(device)
            self.image.unlink()


def devices_of(backing: Path) -> list[Path]:
    """Loop devices on a file or device."""
    status = backing.stat()
    return [device for device, identity in attachments().items() if identity == (status.st_dev, status.st_ino)]


def attachments() -> dict[Path, tuple[int, int]]:
    """Every loop device with the device and inode numbers of what is behind it: names differ between mount namespaces."""
    listed = run(["losetup", "--list", "--json", "--output", "NAME,BACK-MAJ:MIN,BACK-INO"], deadline=30).text
    entries = json.loads(listed)["loopdevices"] if listed.strip() else []
    return {Path(entry["name"]): _identity(entry) for entry in entries}


def _identity(entry: dict[str, str | int]) -> tuple[int, int]:
    major, minor = str(entry["back-maj:min"]).split(":")
    return os.makedev(int(major), int(minor)), int(entry["back-ino"])


def detach(device: Path) -> None:
    """Detach a loop device and those on top of it: the kubelet puts one on every block device that it gives to a pod.

    Raises:
        HostError: ProgramFailed when it is in use. One that somebody else has detached meanwhile is what is wanted.
    """
    for above in devices_of(device):
        detach(above)
    command = ["losetup", "--detach", str(device)]
    if run(command, deadline=30, check=False).code != 0 and device in attachments():
        run(command, deadline=30)


def detach_all(folder: Path) -> None:
    """Detach every loop device on the volumes of a folder."""
    for image in folder.glob("*.img"):
        for device in devices_of(image):
            detach(device)
