"""The guest's files through a real appliance: reading, every change, and what a hostile file system does."""

import io
import os
import signal
import tarfile

import pytest

from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.description import Mount
from hyper2kvm.guest.files import FileKind
from hyper2kvm.guest.handle import MESSAGE
from hyper2kvm_api.errors import GuestError, HostError
from hyper2kvm_api.reasons import Reason
from lab.debiantree import archive

from .conftest import image, opened

pytestmark = pytest.mark.appliance

FILES = {
    "/etc/fstab": b"UUID=1 / ext4\n",
    "/etc/empty": b"",
    "/srv/big": bytes(range(256)) * (3 * MESSAGE // 256),
    "/opt/real/inside/file": b"kept",
    "/etc/passwd": b"guest's own\n",
}
LINKS = {
    "/etc/mtab": "../proc/self/mounts",
    "/etc/abs": "/etc/fstab",
    "/etc/loop": "loop",
    "/opt/link": "/opt/real",
    "/opt/out": "/etc",
    "/opt/dangling": "/nowhere",
}


@pytest.fixture(scope="module")
def guest(folder):
    with opened([image(folder, "disk", 128), image(folder, "full", 16)], folder) as appliance:
        raw = appliance.handle
        raw.mkfs("ext4", "/dev/sda")
        raw.mkfs("ext4", "/dev/sdb")
        raw.mount("/dev/sda", "/")
        for number, tree in enumerate((archive(FILES, LINKS), hostile())):
            (folder / f"{number}.tar").write_bytes(tree)
            raw.tar_in(str(folder / f"{number}.tar"), "/")
        raw.mkfifo(0o600, "/etc/pipe")
        raw.mknod_c(0o600, 1, 5, "/etc/zero")
        raw.chmod(0o640, "/etc/fstab")
        raw.chown(7, 8, "/etc/fstab")
        raw.touch("/etc/immutable")
        raw.set_e2attrs("/etc/immutable", "i")
        raw.mkdir("/boot")
        appliance.mount(
            [
                Mount(device="/dev/sdb", path="/boot", type="ext4", free=0, size=0),
                Mount(device="/dev/sda", path="/", type="ext4", free=0, size=0),
            ],
            writable=True,
        )
        yield appliance


def hostile() -> bytes:
    """A tar with a name and a link's target that are no UTF-8, and a name with a line end."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        tar.addfile(tarfile.TarInfo("names/caf\xe9"))
        tar.addfile(tarfile.TarInfo("names/two\nlines"))
        link = tarfile.TarInfo("names/link")
        link.type, link.linkname = tarfile.SYMTYPE, "caf\xe9"
        tar.addfile(link)
    return made.getvalue()


def test_attributes_are_the_guests(guest: Appliance):
    found = guest.lstat("/etc/fstab")
    assert (found.kind, found.mode, found.uid, found.gid, found.size) == (FileKind.FILE, 0o640, 7, 8, 14)
    assert guest.lstat("/").kind is FileKind.FOLDER
    assert guest.lstat("/etc/abs").kind is FileKind.LINK
    assert guest.stat("/etc/abs") == found
    assert guest.stat("/etc/pipe").kind is FileKind.OTHER


@pytest.mark.parametrize("path", ["/absent", "/absent/below", "/etc/fstab/below", "/opt/dangling/x", "/etc/loop/x"])
def test_what_is_not_there_is_none(guest: Appliance, path):
    assert guest.lstat(path) is None
    assert guest.stat(path) is None


def test_dangling_links_and_loops_lead_nowhere(guest: Appliance):
    assert guest.stat("/opt/dangling") is None
    assert guest.stat("/etc/loop") is None
    assert guest.readlink("/etc/mtab") == "../proc/self/mounts"


def test_files_of_every_size_are_read_whole(guest: Appliance):
    assert guest.read("/etc/empty") == b""
    assert guest.read("/srv/big") == FILES["/srv/big"]
    assert guest.read("/opt/link/inside/file") == b"kept"


def test_an_absolute_link_leads_into_the_guest_and_not_into_the_appliance(guest: Appliance):
    assert guest.read("/opt/out/passwd") == b"guest's own\n"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/pipe", "it is no file"),
        ("/etc/zero", "it is no file"),
        ("/etc", "it is no file"),
        ("/absent", "there is no such file"),
        ("/names/link", "no UTF-8"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_it(guest: Appliance, path, words):
    with pytest.raises(GuestError, match=words) as caught:
        guest.read(path)
    assert caught.value.reason is Reason.GUEST_FILE_INVALID
    assert caught.value.file == path
    assert "Correct the file" in caught.value.hint


def test_folders_are_listed_without_names_that_are_no_text(guest: Appliance):
    assert guest.list("/names") == ("link", "two\nlines")
    assert guest.list("/opt/link") == ("inside",)
    assert guest.list("/etc/fstab") == ()
    assert guest.list("/absent") == ()


def test_patterns_match_names_and_cross_no_slash(guest: Appliance):
    assert guest.glob("/etc/[ef]*") == ("/etc/empty", "/etc/fstab")
    assert guest.glob("/opt/*/inside/file") == ("/opt/link/inside/file", "/opt/real/inside/file")
    assert guest.glob("/opt/*/file") == ()
    assert guest.glob("/etc/fstab") == ("/etc/fstab",)


def test_a_written_file_keeps_its_owner_mode_and_other_names(guest: Appliance):
    guest.handle.ln("/etc/fstab", "/etc/fstab.again")
    guest.write("/etc/abs", b"shorter\n", 0o600)
    found = guest.lstat("/etc/fstab")
    assert (found.mode, found.uid, found.gid, found.size) == (0o640, 7, 8, 8)
    assert guest.read("/etc/fstab.again") == b"shorter\n"
    assert guest.lstat("/etc/abs").kind is FileKind.LINK


def test_a_new_file_is_roots_and_its_folders_are_made(guest: Appliance):
    guest.write("/etc/systemd/network/10-x.link", b"[Match]\n", 0o640)
    found = guest.lstat("/etc/systemd/network/10-x.link")
    assert (found.mode, found.uid, found.gid) == (0o640, 0, 0)
    assert guest.lstat("/etc/systemd/network").mode == 0o755


def test_files_larger_than_a_message_are_written_and_extended(guest: Appliance):
    guest.write("/srv/large", b"a" * (MESSAGE + 5), 0o644)
    guest.append("/srv/large", b"b" * (MESSAGE + 7))
    assert guest.read("/srv/large") == b"a" * (MESSAGE + 5) + b"b" * (MESSAGE + 7)


def test_links_are_made_in_place_of_what_is_there(guest: Appliance):
    guest.write("/etc/unit", b"x", 0o644)
    for path in ("/etc/unit", "/etc/made/here", "/opt/dangling"):
        guest.link(path, "/dev/null")
        assert guest.readlink(path) == "/dev/null"


def test_removing_a_link_leaves_what_it_leads_to(guest: Appliance):
    guest.link("/opt/second", "/opt/real")
    guest.remove("/opt/second")
    assert guest.lstat("/opt/second") is None
    assert guest.read("/opt/real/inside/file") == b"kept"


def test_removing_through_a_link_stays_in_the_guest(guest: Appliance):
    guest.write("/etc/gone/file", b"x", 0o644)
    guest.remove("/opt/out/gone")
    assert guest.lstat("/etc/gone") is None
    guest.remove("/absent/thing")


def test_a_full_file_system_is_an_error_that_says_where(guest: Appliance):
    with pytest.raises(GuestError, match=r"no room for /boot/initrd\.img") as caught:
        guest.write("/boot/initrd.img", bytes(20 << 20), 0o644)
    assert caught.value.reason is Reason.GUEST_FULL
    assert "/boot/initrd.img" in caught.value.hint
    guest.remove("/boot/initrd.img")


def test_a_file_that_its_owner_locked_is_an_error_that_says_how_to_unlock_it(guest: Appliance):
    with pytest.raises(GuestError, match="/etc/immutable was not changed") as caught:
        guest.write("/etc/immutable", b"x", 0o644)
    assert caught.value.reason is Reason.EDIT_FAILED
    assert "chattr -i" in caught.value.hint


@pytest.mark.parametrize("path", ["/etc", "/etc/pipe"])
def test_only_files_are_written(guest: Appliance, path):
    with pytest.raises(GuestError, match="it is no file") as caught:
        guest.write(path, b"x", 0o644)
    assert caught.value.reason is Reason.EDIT_FAILED
    with pytest.raises(GuestError, match="it is no file"):
        guest.append(path, b"x")


def test_what_is_appended_to_must_be_there(guest: Appliance):
    with pytest.raises(GuestError, match="there is no such file"):
        guest.append("/absent", b"x")


def test_a_device_that_is_not_there_is_not_mounted(guest: Appliance):
    with pytest.raises(GuestError, match=r"^/dev/sdz1, the guest's /mnt, cannot be mounted") as caught:
        guest.mount_one("/dev/sdz1", "/mnt", writable=False)
    assert caught.value.reason is Reason.FILESYSTEM_NOT_MOUNTED


def test_changes_are_on_the_disks_after_a_sync(guest: Appliance):
    guest.write("/srv/synced", b"data", 0o644)
    guest.sync()
    assert guest.read("/srv/synced") == b"data"
    guest.mount([Mount(device="/dev/sda", path="/", type="ext4", free=0, size=0)], writable=False)
    assert guest.read("/srv/synced") == b"data"
    with pytest.raises(GuestError, match="Read-only file system") as caught:
        guest.write("/srv/synced", b"more", 0o644)
    assert caught.value.reason is Reason.EDIT_FAILED


def test_an_appliance_that_ends_is_the_hosts_error(guest: Appliance):
    os.kill(guest._raw.get_pid(), signal.SIGKILL)
    with pytest.raises(HostError, match="the appliance ended") as caught:
        guest.lstat("/never/looked/at")
    assert caught.value.reason is Reason.APPLIANCE_FAILED
    assert "h2k doctor" in caught.value.hint
    guest.discard()
