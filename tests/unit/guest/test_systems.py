import pytest

from hyper2kvm.guest.contents import Contents
from hyper2kvm.guest.description import BlockDevice, Family
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.encryption import Keys, Unlocked
from hyper2kvm.guest.systems import identify
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.machine import DiskBus, Firmware, Machine, MachineDisk
from hyper2kvm_api.reasons import Reason
from lab.debiantree import LINKS, files
from lab.memoryguest import MemoryGuest

GIB = 1 << 30
DEVICES = tuple(
    BlockDevice(device=f"/dev/sda{number}", disk="scsi0:0", partition=number, type="ext4", size=GIB, uuid=uuid)
    for number, uuid in ((1, "aaaa"), (2, "bbbb"))
)
MACHINE = Machine(
    name="web01",
    memory=GIB,
    disks=(MachineDisk(id="scsi0:0", bus=DiskBus.SCSI, controller=0, unit=0, capacity=GIB, format="raw", file="0"),),
)
CONTENTS = Contents(MACHINE, Keys(), Unlocked(DEVICES, (), {}), DeviceNames(MACHINE, DEVICES), {}, Firmware.BIOS)


class Mounted:
    """An appliance in which file systems (path → content) are laid over each other where they are mounted."""

    def __init__(self, contents: dict[str, dict[str, bytes]]) -> None:
        self.contents = contents
        self.mounts: dict[str, str] = {}

    def mount_one(self, device: str, path: str, *, writable: bool) -> None:
        assert not writable
        assert path not in self.mounts
        self.mounts[path] = device

    def unmount(self) -> None:
        self.mounts = {}

    def __getattr__(self, name: str) -> object:
        merged = {
            path.rstrip("/") + inside: content
            for path, device in self.mounts.items()
            for inside, content in self.contents[device].items()
        }
        links = LINKS if self.mounts.get("/") == "/dev/sda1" else {}
        return getattr(MemoryGuest(merged, links), name)


def split(fstab: str) -> Mounted:
    """A system with /usr on a partition of its own."""
    tree = files(fstab)
    usr = {path.removeprefix("/usr"): content for path, content in tree.items() if path.startswith("/usr/")}
    rest = {path: content for path, content in tree.items() if not path.startswith("/usr/")}
    return Mounted({"/dev/sda1": rest, "/dev/sda2": usr})


def test_a_system_whose_usr_is_a_file_system_of_its_own_is_known():
    appliance = split("UUID=aaaa / ext4 defaults 0 1\nUUID=bbbb /usr ext4 defaults 0 2\n")
    found = identify(appliance, CONTENTS, None)
    assert found.obstacle is None
    assert (found.system.family, found.system.init, found.system.package_manager) == (Family.DEBIAN, "systemd", "apt")
    assert appliance.mounts == {"/": "/dev/sda1"}


def test_a_usr_that_is_on_no_disk_is_an_error():
    with pytest.raises(GuestError, match="UUID=cccc, the guest's /usr") as caught:
        identify(split("UUID=cccc /usr ext4 defaults,nofail 0 2\n"), CONTENTS, None)
    assert caught.value.reason is Reason.FILESYSTEM_NOT_MOUNTED
