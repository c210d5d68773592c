import pytest

from hyper2kvm.guest.linux import crypttab
from hyper2kvm.guest.linux.crypttab import FIXER

from .situations import BY_PATH, DATA, memory, plan


def fixed(text: bytes) -> bytes:
    return plan(FIXER, memory({"/etc/crypttab": text})).read("/etc/crypttab")


def test_live_entries_are_parsed():
    text = "# <name> <device> <key> <options>\nroot_crypt UUID=1 none luks,discard\n data /dev/sdb1\n"
    entries = crypttab.parse(text)
    assert [(entry.name, entry.source, entry.key, entry.line) for entry in entries] == [
        ("root_crypt", "UUID=1", "none", 2),
        ("data", "/dev/sdb1", "none", 3),
    ]


def test_a_moving_source_becomes_a_uuid_and_nothing_else_changes():
    assert fixed(b"# d\xe9\ndata\t/dev/sdb1   none luks\r\n") == f"# d\xe9\ndata\tUUID={DATA}   none luks\r\n".encode(
        "latin-1"
    )


def test_swap_with_a_random_key_is_named_by_its_partition():
    """Its content, and with it any UUID, is new at each boot."""
    assert fixed(b"swap /dev/sda5 /dev/urandom swap\n") == b"swap PARTUUID=0000aaaa-05 /dev/urandom swap\n"


def test_a_random_swap_without_a_partition_id_is_named_by_serial_number():
    assert b"/dev/disk/by-id/virtio-h2kvm0000disk1-part2 /dev/random" in fixed(b"swap /dev/sdb2 /dev/random swap\n")


def test_a_source_that_is_not_there_is_a_warning():
    draft = plan(FIXER, memory({"/etc/crypttab": b"x /dev/sdd1 none\n"}))
    (finding,) = draft.findings
    assert finding.reason == "DeviceNotFound"
    assert "line 1: /dev/sdd1 for x" in finding.message
    assert "nofail" in finding.hint


def test_stable_sources_are_left_alone():
    text = b"a UUID=1 none\nb /dev/mapper/vg-lv none\n#c /dev/sda1 none\n"
    assert fixed(text) == text


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (
            "c UUID=1 /dev/sdb1:/key:10 luks,keyscript=/lib/cryptsetup/scripts/passdev",
            f"c UUID=1 /dev/disk/by-uuid/{DATA}:/key:10 luks,keyscript=/lib/cryptsetup/scripts/passdev",
        ),
        (f"c UUID=1 {BY_PATH.format(1, 1)}:/key luks", f"c UUID=1 /dev/disk/by-uuid/{DATA}:/key luks"),
        ("c UUID=1 /key:/dev/sdb1 luks", f"c UUID=1 /key:/dev/disk/by-uuid/{DATA} luks"),
        (
            "c /dev/sda6 none luks,header=/dev/sdb1",
            f"c PARTUUID=0000aaaa-06 none luks,header=/dev/disk/by-uuid/{DATA}",
        ),
        ("c UUID=1 /etc/keys/c.key luks,header=/boot/c.header", "c UUID=1 /etc/keys/c.key luks,header=/boot/c.header"),
    ],
)
def test_devices_of_keys_and_headers_are_paths_that_stay(line, after):
    assert fixed(f"{line}\n".encode()).decode() == f"{after}\n"


def test_a_key_on_a_device_that_is_not_there_is_a_warning():
    (finding,) = plan(FIXER, memory({"/etc/crypttab": b"c UUID=1 /dev/sdd1:/key luks\n"})).findings
    assert "line 1: /dev/sdd1 for c" in finding.message
