import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.encryption import MAX_KEY, Keys, read_keys, unlock, without_key
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

GIB = 1 << 30
OUTER = {"TYPE": "crypto_LUKS", "UUID": "11111111-0000-4000-8000-000000000001", "PART_ENTRY_SIZE": "2048"}
INNER = {"TYPE": "crypto_LUKS", "UUID": "../../etc"}
SYSTEM = {"TYPE": "ext4", "UUID": "aaaa"}


class Handle:
    """Stands for an appliance with one disk: a partition with LUKS, in it a volume group, in its volume LUKS again."""

    def __init__(self, outer: str, inner: str = "lost") -> None:
        self.keys = {"/dev/sda1": outer, "/dev/vg/root": inner}
        self.open: list[str] = []
        self.tried: list[tuple[str, str]] = []
        self.alive = True

    def is_ready(self) -> int:
        return int(self.alive)

    def list_devices(self) -> list[str]:
        return ["/dev/sda"]

    def list_partitions(self) -> list[str]:
        return ["/dev/sda1"]

    def part_to_dev(self, partition: str) -> str:
        return "/dev/sda"

    def list_md_devices(self) -> list[str]:
        return []

    def list_dm_devices(self) -> list[str]:
        return [f"/dev/mapper/{name}" for name in self.open]

    def lvs(self) -> list[str]:
        return ["/dev/vg/root"] if self.open else []

    def vgs(self) -> list[str]:
        return ["vg"] if self.open else []

    def vguuid(self, vgname: str) -> str:
        return "lVqFWT-1111-2222-3333-4444-5555-abcdef"

    def lvuuid(self, device: str) -> str:
        return "yTkRRE-1111-2222-3333-4444-5555-ghijkl"

    def lvm_scan(self, activate: bool) -> None:  # noqa: FBT001 -- guestfs' own signature
        assert activate

    def blockdev_getsize64(self, device: str) -> int:
        return GIB

    def blkid(self, device: str) -> dict[str, str]:
        second = f"/dev/mapper/{self.open[1]}" if len(self.open) > 1 else None
        return {"/dev/sda1": OUTER, "/dev/vg/root": INNER, second: SYSTEM}.get(device, {"TYPE": "LVM2_member"})

    def cryptsetup_open(self, device: str, key: str, mapname: str) -> None:
        self.tried.append((device, key))
        if not self.alive or key != self.keys[device]:
            raise RuntimeError("cryptsetup_open: No key available with this passphrase.")
        self.open.append(mapname)


def test_layers_are_unlocked_one_after_the_other():
    handle = Handle("outer", "inner")
    found = unlock(handle, ["scsi0:0"], Keys(("wrong", "outer", "inner")))
    assert found.locked == ()
    assert found.mapped == {
        "/dev/sda1": "/dev/mapper/luks-11111111-0000-4000-8000-000000000001",
        "/dev/vg/root": "/dev/mapper/luks-vg-root",
    }
    inside = next(device for device in found.devices if device.type == "ext4")
    assert (inside.device, inside.disk, inside.uuid) == ("/dev/mapper/luks-vg-root", "scsi0:0", "aaaa")
    assert inside.luks_uuid == INNER["UUID"]
    assert {each.device: each.luks_uuid for each in found.devices if each.type == "LVM2_member"} == {
        "/dev/mapper/luks-11111111-0000-4000-8000-000000000001": OUTER["UUID"]
    }
    assert handle.tried[:2] == [("/dev/sda1", "wrong"), ("/dev/sda1", "outer")]
    assert found.passphrases == ("outer", "inner")
    assert "inner" not in repr(found)


def test_what_no_key_opens_stays_locked():
    found = unlock(Handle("outer"), ["scsi0:0"], Keys(("wrong", "outer"), files=("a", "b")))
    assert [device.device for device in found.locked] == ["/dev/vg/root"]


def test_without_keys_nothing_is_tried():
    handle = Handle("outer")
    found = unlock(handle, ["scsi0:0"], Keys())
    assert handle.tried == []
    assert [device.device for device in found.locked] == ["/dev/sda1"]


def test_an_appliance_that_ends_while_a_key_is_tried_is_no_wrong_key():
    handle = Handle("outer")
    handle.alive = False
    with pytest.raises(HostError) as caught:
        unlock(handle, ["scsi0:0"], Keys(("outer",)))
    assert caught.value.reason is Reason.APPLIANCE_FAILED


def test_keys_are_the_files_of_a_mounted_secret(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / ".hidden").write_text("no")
    (tmp_path / "a").write_text("passphrase\n")
    (tmp_path / "b").write_text("two\nlines")
    (tmp_path / "c").write_bytes(b"\x00\xff binary")
    (tmp_path / "d").write_bytes(b"x" * (MAX_KEY + 1))
    (tmp_path / "e").write_text("")
    (tmp_path / "f").symlink_to("a")
    keys = read_keys(tmp_path)
    assert keys.texts == ("passphrase", "two\nlines", "passphrase\n")
    assert keys.files == ("a", "b", "f")
    assert keys.unusable == ("c", "d", "e")


@pytest.mark.parametrize("folder", [None, "absent"])
def test_no_folder_holds_no_keys(tmp_path, folder):
    assert read_keys(tmp_path / folder if folder else None) == Keys()


LOCKED = BlockDevice(device="/dev/sda2", disk="scsi0:0", partition=2, type="crypto_LUKS", size=GIB)


def test_the_error_names_the_device_and_the_files_and_never_a_key():
    error = without_key([LOCKED], Keys(("hunter2",), files=("pass",), unusable=("blob",)), "the operating system")
    assert error.reason is Reason.ENCRYPTED_WITHOUT_KEY
    assert "/dev/sda2 (disk scsi0:0): the operating system is encrypted" in error.message
    assert "none of the keys pass opens it" in error.message
    assert "blob could not be tried" in error.message
    assert "hunter2" not in error.message
    assert "spec.guest.keys.secretName" in error.hint
    assert "no key was given" in without_key([LOCKED], Keys(), "it").message
