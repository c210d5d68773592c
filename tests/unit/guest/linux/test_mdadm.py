import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.linux import mdadm
from lab.memoryguest import MemoryGuest

BOOT = BlockDevice(
    device="/dev/md127", type="ext4", size=1, raid_uuid="aaaaaaaa:bbbbbbbb:cccccccc:dddddddd", raid_name="web01:0"
)
HOME = BlockDevice(
    device="/dev/md126", type="ext4", size=1, raid_uuid="11111111:22222222:33333333:44444444", raid_name="any:home"
)
DISK = BlockDevice(device="/dev/sda1", type="linux_raid_member", size=1)


def found(conf: str | None, path: str = mdadm.PATHS[0]) -> dict[str, str]:
    guest = MemoryGuest({path: conf} if conf is not None else {})
    return {name: device.device for name, device in mdadm.find(guest, [DISK, BOOT, HOME]).items()}


@pytest.mark.parametrize("path", mdadm.PATHS)
@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("ARRAY /dev/md7 metadata=1.2 UUID=AAAAAAAA:bbbbbbbb:cccccccc:dddddddd", {"/dev/md7", "/dev/md/7"}),
        ("ARRAY /dev/md/7 UUID=aaaaaaaa:bbbbbbbb:cccccccc:dddddddd", {"/dev/md7", "/dev/md/7"}),
        ("ARRAY /dev/md/boot\n   metadata=1.2\n\tuuid=aaaaaaaa:bbbbbbbb:cccccccc:dddddddd", {"/dev/md/boot"}),
        ("array system name=web01:0", {"/dev/md/system"}),
        ("ARR system # the system\n\n# more\n  name='web01:0'", {"/dev/md/system"}),
    ],
)
def test_arrays_have_the_names_that_the_guest_gives_them(path, line, names):
    named = found(f"# arrays\nHOMEHOST <system>\n{line}\n", path)
    assert {name for name, device in named.items() if device == "/dev/md127"} >= names


def test_an_array_that_is_not_listed_has_the_name_in_its_metadata():
    assert found(None) == {"/dev/md0": "/dev/md127", "/dev/md/0": "/dev/md127", "/dev/md/home": "/dev/md126"}


def test_what_is_listed_goes_before_what_metadata_say():
    named = found("ARRAY /dev/md0 UUID=11111111:22222222:33333333:44444444\n")
    assert named["/dev/md0"] == "/dev/md126"


@pytest.mark.parametrize(
    "line", ["#ARRAY /dev/md9 name=0", "ARRAY /dev/md9", "ARRAY /dev/md9 level=raid1", "ARRAY <ignore> UUID=1"]
)
def test_lines_that_mean_no_array_name_none(line):
    assert "/dev/md9" not in found(f"{line}\n")
