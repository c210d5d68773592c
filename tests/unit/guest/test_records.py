import json

import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.files import MAX_FILE, FileStat
from hyper2kvm.guest.records import REDACTED, describe, redacted, unified
from hyper2kvm.stages.documents import Fixed
from lab.memoryguest import MemoryGuest

KEYFILE = "/etc/NetworkManager/system-connections/lan.nmconnection"
SECRET = "hunter2"  # noqa: S105 -- what is looked for
CONNECTION = (
    f"[connection]\nid=lan\n[802-1x]\npassword={SECRET}\n[match]\ndriver=vmxnet3;\n[wifi-security]\npsk={SECRET}\n"
)


def recorded(path: str, before: str, after: str, mode: int) -> str:
    """FIX's document of a change of one file, as it is written to the workspace."""
    files = MemoryGuest({path: before}, modes={path: mode})
    draft = Draft(files)
    draft.write(path, after, "why")
    return Fixed(applied=True, edits=describe(draft.edits(), files)).to_json()


def test_secrets_around_a_change_of_a_private_file_reach_no_document():
    document = recorded(KEYFILE, CONNECTION, CONNECTION.replace("vmxnet3", "virtio_net"), 0o600)
    assert "+driver=virtio_net;" in document
    assert SECRET not in document
    assert "id=lan" not in document


def test_a_secret_that_stands_in_what_everybody_may_read_is_left_out_too():
    before = f"auto ens192\niface ens192 inet dhcp\n\twpa-psk {SECRET}\n"
    document = recorded("/etc/network/interfaces", before, before.replace("dhcp", "static"), 0o644)
    assert " auto ens192" in json.loads(document)["edits"][0]["diff"]
    assert SECRET not in document


@pytest.mark.parametrize(
    "line",
    [
        "password={}",
        "psk={}",
        "leap-password = {}",
        "wpa-psk {}",
        "\twpa_passphrase={} more",
        "private-key: {}",
        "private_key_passwd={}",
        "wep-key0={}",
        "preshared-key={}",
        "auth-key: {}",
        '"password": "{}"',
        "    password: {}",
        "token={}",
        "client-secret={}",
        "pin={}",
        "password_pbkdf2 root {}",
        "password root {}",
        "//host/share /mnt cifs user=u,password={},vers=3 0 0",
        "linux /vmlinuz root=UUID=1 iscsi_password={} ro",
    ],
)
def test_values_of_secret_keys_are_redacted(line):
    shown = redacted(line.format(SECRET))
    assert SECRET not in shown
    assert REDACTED in shown


@pytest.mark.parametrize(
    "line",
    [
        "UUID=1 / ext4 errors=remount-ro 0 1",
        "    macaddress: 00:50:56:aa:00:01",
        "linux /boot/vmlinuz-6.1.0-9-amd64 root=UUID=1 ro quiet rd.luks.key=/keyfile:UUID=2",
        "mapping: pinned",
        "password",
    ],
)
def test_other_lines_are_shown_as_they_are(line):
    assert redacted(line) == line


def test_a_long_line_without_end_is_looked_through_quickly():
    assert redacted("psk" * 400_000) == "psk" * 400_000


def test_a_diff_keeps_missing_newlines():
    assert unified("/a", b"x", b"x\ny") == (
        "--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n-x\n\\ No newline at end of file\n+x\n+y\n\\ No newline at end of file\n"
    )
    assert unified("/a", b"\0", b"x") is None


def test_what_goes_and_is_too_large_to_be_read_has_no_digest():
    class Large(MemoryGuest):
        def lstat(self, path: str) -> FileStat | None:
            found = super().lstat(path)
            large = found is not None and path == "/var/log/vmware.log"
            return FileStat(found.kind, found.mode, 0, 0, MAX_FILE + 1) if found and large else found

        def read(self, path: str) -> bytes:
            raise AssertionError(path)

    files = Large({"/var/log/vmware.log": b""})
    draft = Draft(files)
    draft.remove("/var/log/vmware.log", "old")
    (record,) = describe(draft.edits(), files)
    assert (record.before, record.size_before, record.summary) == (None, MAX_FILE + 1, "removed")
