import tracemalloc

import pytest

from hyper2kvm.boot.reports import NOWHERE, parse_reports
from hyper2kvm.stages.documents import ProbedInterface, ProbedMount

MARK = "0123456789abcdef"
LINES = """\
target multi-user
kernel 6.1.0-56-amd64
uptime 34.54 60.10
net enp1s0 52:54:00:aa:bb:01 up
net lo 00:00:00:00:00:00 unknown
net ens224 52:54:00:aa:bb:02 down
route Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
route enp1s0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
route enp1s0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
inet6 fe8000000000000050540000feaabb01 02 40 20 80   enp1s0
inet6 00000000000000000000000000000001 01 80 10 80       lo
inet4 127.0.0.1
inet4 192.0.2.10
inet4 127.0.0.1
inet4 192.0.2.10
mount 25 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg0-root rw
mount 30 25 254:1 / /srv/my\\040data rw shared:5 - xfs /dev/vda1 rw
block vda 254:0 -
block vda1 254:1 -
block vda2 254:2 -
block vdb1 254:17 -
block dm-0 253:1 vg0-root vda2 vdb1
failed ● broken.service loaded failed failed Broken thing
failed dev-sdb1.swap loaded failed failed /dev/sdb1
"""


def sent(lines=LINES, number=0, token=MARK):
    return "".join(f"h2k {token} {line}\n" for line in [*lines.splitlines(), f"end {number}"])


def parse_one(lines):
    (found,) = parse_reports(sent(lines), MARK)
    return found


def test_a_report_is_read():
    found = parse_one(LINES)
    assert (found.target, found.kernel, found.uptime) == ("multi-user", "6.1.0-56-amd64", 34.54)
    assert found.interfaces == (
        ProbedInterface(
            name="enp1s0", mac="52:54:00:aa:bb:01", state="up", addresses=("192.0.2.10/24", "fe80::5054:0:feaa:bb01/64")
        ),
        ProbedInterface(name="ens224", mac="52:54:00:aa:bb:02", state="down"),
    )
    assert found.mounts[1] == ProbedMount(device="/dev/vda1", path="/srv/my data", type="xfs")
    assert found.failed_units == ("broken.service", "dev-sdb1.swap")


def test_the_devices_under_a_logical_volume_are_found():
    found = parse_one(LINES)
    assert (found.root_device, found.root_below) == ("/dev/mapper/vg0-root", ("/dev/vda2", "/dev/vdb1"))


def test_a_device_is_called_by_the_name_that_configurations_know():
    found = parse_one(LINES.replace("ext4 /dev/mapper/vg0-root", "btrfs /dev/dm-0"))
    assert found.root_device == "/dev/mapper/vg0-root"
    assert found.mounts[0].device == "/dev/mapper/vg0-root"


def test_a_root_without_a_name_is_found_by_its_number():
    mount = "mount 25 1 254:1 / / rw - ext4 /dev/root rw"
    found = parse_one(LINES.replace("mount 25 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg0-root rw", mount))
    assert (found.root_device, found.root_below) == ("/dev/vda1", ("/dev/vda1",))


def test_a_btrfs_root_is_found_by_its_device():
    mount = "mount 25 1 0:25 /@ / rw - btrfs /dev/vda2 rw"
    found = parse_one(LINES.replace("mount 25 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg0-root rw", mount))
    assert (found.root_device, found.root_below) == ("/dev/vda2", ("/dev/vda2",))


def test_an_address_that_no_route_leads_to_is_listed_apart():
    found = parse_one(LINES + "inet4 198.51.100.7\n")
    assert found.interfaces[-1] == ProbedInterface(name=NOWHERE, addresses=("198.51.100.7/32",))


def test_reports_come_in_order():
    text = sent() + sent(LINES.replace("34.54", "40.00"), 1)
    assert [found.uptime for found in parse_reports(text, MARK)] == [34.54, 40.0]


def test_a_report_that_is_not_whole_is_left_out():
    assert parse_reports(sent()[:-20], MARK) == ()


def test_reports_of_another_start_are_left_out():
    assert parse_reports(sent(token="f" * 16), MARK) == ()


def test_other_lines_in_between_do_no_harm():
    text = "".join(f"{line}\n[   3.1] usb 1-1: new device\n" for line in sent().splitlines())
    assert len(parse_reports(text, MARK)) == 1


@pytest.mark.parametrize("lines", ["", "target multi-user\n", "uptime 3.0\n", "target root\nuptime 3.0\n"])
def test_reports_without_a_target_or_a_time_are_left_out(lines):
    assert parse_reports(sent(lines), MARK) == ()


@pytest.mark.parametrize(
    "hostile",
    [
        "net",
        "net \x1b[2J evil up",
        "route a b c d e f g h",
        "route enp1s0 000200C0 00000000 0001 0 0 0 00FF00FF 0 0 0",
        "inet4 999.1.1.1",
        "inet6 zz 02 40 20 80 enp1s0",
        "inet6 fe8000000000000050540000feaabb01 02 ff 20 80 enp1s0",
        "mount nonsense",
        "mount 1 2 3 - x",
        "block x",
        "block loop 1:1 - loop",
        "failed $(reboot)",
        "unknown key",
    ],
)
def test_lines_of_another_form_are_left_out(hostile):
    found = parse_one(LINES + hostile)
    assert found.interfaces[0].addresses
    assert "\x1b" not in found.to_json()


def test_devices_that_lie_on_each_other_end_the_search():
    ring = "".join(f"block d{n} 8:{n} - d{(n + 1) % 50} d{(n + 7) % 50} d{(n + 13) % 50}\n" for n in range(50))
    found = parse_one(LINES.replace("/dev/mapper/vg0-root", "/dev/d1") + ring)
    assert found.root_below == ()


def test_a_flood_is_cut():
    text = f"h2k {MARK} net {'x' * 100} 52:54:00:aa:bb:01 up\n" * 400_000 + sent()
    tracemalloc.start()
    found = parse_reports(text, MARK)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ()
    assert peak < 32 * 2**20


def test_long_lists_and_names_are_cut():
    many = "".join(f"net eth{n} 52:54:00:aa:bb:01 up\n" for n in range(1000))
    found = parse_one(f"net {'n' * 1000} - up\n" + LINES + many)
    assert len(found.interfaces) <= 256
    assert len(found.interfaces[0].name) <= 256
