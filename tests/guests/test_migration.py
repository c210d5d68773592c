"""The whole pipeline on guests as VMware holds them: they do not boot on virtio before, and do afterwards."""

import hashlib
import html
import json
import re
import signal
import sys
from pathlib import Path

import pytest

from lab.command import INTERRUPTED, h2k, h2k_measured, h2k_on_a_terminal, h2k_until, h2k_while, manifest
from lab.documentation import REPOSITORY, Page, untold
from lab.guests.disks import appliance
from lab.guests.encrypted import PASSPHRASE, SUBVOLUME, VOLUME
from lab.guests.tiny import tiny_guest

pytestmark = pytest.mark.guest

MEMORY = 256 << 20
"""Bytes that a run may take beside its appliance and the guest that it starts."""

README = Page(REPOSITORY / "README.md", (REPOSITORY / "README.md").read_text())
STYLES = re.compile(r"\x1b\[[0-9;]*m")
MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
"""What tells a terminal how, and where else, to write (ECMA-48: SGR, the other CSI sequences)."""

DEMONSTRATION = (
    "import sys; from pathlib import Path; from lab.demo import local; from lab.guests.sample import load; "
    "sys.exit(local.migrate(load(Path(sys.argv[1])), Path(sys.argv[2])))"
)

FOUND = {"bios": ("ifupdown", "grub-pc"), "efi": ("networkd", "grub-efi")}
"""Firmware → what configures the network and what boots, in the guest that has it."""


def digests(*paths):
    found = {}
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with file.open("rb") as opened:
                found[str(file)] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def document(workspace, stage):
    return json.loads((workspace / f"{stage}.json").read_text())["document"]


def in_result(guest, disks, format_):
    """SHA-256 of the guest's known files, and whether its marker is there, read from the migrated disks."""
    with appliance(*disks, formats=(format_, format_), readonly=True) as opened:
        opened.mount_ro("/dev/vg0/root" if guest.firmware == "efi" else "/dev/sda1", "/")
        opened.mount_ro("/dev/sdb1", "/srv/data")
        known = {path: opened.checksum("sha256", path) for path in guest.files}
        return known, opened.exists(guest.marker), opened.exists("/usr/bin/vmtoolsd")


def check_inspection(guest, workspace):
    back_end, kind = FOUND[guest.firmware]
    found = document(workspace, "guest")
    assert found["os"]["packageManager"] == "apt"
    interface = next(each for each in found["interfaces"] if guest.address in each["addresses"])
    assert (interface["backEnd"], interface["name"]) == (back_end, guest.interface)
    assert [(tools["name"], tools["kind"]) for tools in found["vendorTools"]] == [("open-vm-tools", "package")]
    (loader,) = found["bootLoaders"]
    assert loader["kind"] == kind
    assert "/boot/grub/grub.cfg" in loader["configs"]


def check_report(workspace):
    """Both forms have the diff of a change, and why it was made."""
    changes = json.loads((workspace / "report.json").read_text())["fixed"]["edits"]
    change = next(each for each in changes if each["path"] == "/etc/fstab")
    assert "\n+UUID=" in change["diff"]
    assert change["reasons"]
    page = html.unescape((workspace / "report.html").read_text())
    for shown in ("<code>/etc/fstab</code>", '<span class="added">+UUID=', *change["reasons"]):
        assert shown in page
    assert [line for line in change["diff"].splitlines() if line not in page] == []


def check_result(guest, workspace, disks, format_):
    proof = document(workspace, "validate")["boot"]
    assert proof["evidence"] == "Probe"
    assert proof["probe"]["target"] == "multi-user"
    assert proof["probe"]["failedUnits"] == []
    assert proof["missingAddresses"] == []
    interface = next(each for each in proof["probe"]["interfaces"] if each["mac"] == guest.mac)
    assert interface["name"] == guest.interface
    assert guest.address in interface["addresses"]
    assert {"device": "/dev/vdb1", "path": "/srv/data", "type": "ext4"} in proof["probe"]["mounts"]
    assert (workspace / proof["screenshot"]).read_bytes().startswith(b"\x89PNG")
    check_inspection(guest, workspace)
    check_report(workspace)
    assert in_result(guest, disks, format_) == (dict(guest.files), True, False)


@pytest.mark.parametrize(("name", "words"), [("bios_guest", "initramfs"), ("uefi_guest", "UEFI")])
def test_unfixed_guests_do_not_boot_on_virtio(request, tmp_path, name, words):
    guest = request.getfixturevalue(name)
    ended = h2k("boot", *guest.disks, "--format", "raw", "--workspace", tmp_path / "w", "--timeout", "240")
    assert ended.code == 7, ended.stderr
    assert "BootFailed" in ended.stderr or "BootTimedOut" in ended.stderr
    assert words.lower() in ended.stderr.lower()


def test_an_ova_boots_after_its_migration(uefi_guest, tmp_path):
    """As `make demo-local` migrates one, and as the README shows it."""
    before = digests(uefi_guest.ova)
    code, told = h2k_on_a_terminal(uefi_guest.folder, tmp_path, program=(sys.executable, "-c", DEMONSTRATION))
    assert code == 0, told
    disks = [tmp_path / f"{uefi_guest.name}-disk{number}.qcow2" for number in (0, 1)]
    workspace = tmp_path / f"{uefi_guest.name}.h2k"
    check_result(uefi_guest, workspace, disks, "qcow2")
    assert digests(uefi_guest.ova) == before
    for path in (*disks, workspace / "report.html", workspace / document(workspace, "validate")["boot"]["screenshot"]):
        assert str(path) in told
    (shown_to_readers,) = (block for block in README.blocks("") if "Fetch" in block)
    plain = MOVES.sub("\n", STYLES.sub("", told))
    plain = plain.replace(str(tmp_path), "out/demo").replace(uefi_guest.name, "debian12-bios")
    assert [line for line in untold(shown_to_readers, plain) if "tcg" not in line] == []  # or kvm
    assert document(workspace, "fetch")["machine"]["secureBoot"] is True
    assert "data:image/png;base64," in (workspace / "report.html").read_text()


def test_an_encrypted_btrfs_boots_after_its_migration(luks_guest, tmp_path):
    """One raw image: its source states no MAC address, and its configuration knows the adapter by one."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/root").write_text(f"{PASSPHRASE}\n")
    guest = {"keys": {"secretName": "web03"}}
    file = manifest(tmp_path, "web03", luks_guest.folder, "system.raw", guest=guest)
    keys = f"web03={tmp_path / 'keys'}"
    ended, memory = h2k_measured("run", file, "--output", tmp_path, "--secret", keys)
    assert ended.code == 0, ended.stderr
    assert memory < MEMORY
    workspace = tmp_path / "web03.h2k"
    proof = document(workspace, "validate")["boot"]
    assert proof["evidence"] == "Probe"
    assert proof["missingAddresses"] == []
    probe = proof["probe"]
    assert (probe["rootDevice"], probe["failedUnits"]) == (f"/dev/mapper/{VOLUME}", [])
    assert {"device": f"/dev/mapper/{VOLUME}", "path": "/", "type": "btrfs"} in probe["mounts"]
    assert luks_guest.address in probe["interfaces"][0]["addresses"]
    assert document(workspace, "guest")["root"].endswith(f"/{SUBVOLUME}")
    edits = {edit["path"]: edit for edit in document(workspace, "fix")["edits"]}
    assert f"-{VOLUME} /dev/sda3 none luks\n+{VOLUME} UUID=" in edits["/etc/crypttab"]["diff"]
    graft = next(edit for path, edit in edits.items() if path.startswith("/boot/initrd.img-"))
    assert "cryptroot/crypttab" in graft["summary"]
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "keys" not in path.parts]
    assert not [path for path in kept if path.suffix != ".raw" and PASSPHRASE.encode() in path.read_bytes()]
    assert PASSPHRASE not in ended.stdout + ended.stderr


def test_a_dry_run_shows_every_change_and_writes_no_target(tmp_path):
    guest = tiny_guest(tmp_path / "guest")
    file = manifest(tmp_path, "look", guest.folder, guest.ova.name)
    ended = h2k("fix", "--dry-run", file, "--output", tmp_path, "--workspace", tmp_path / "w")
    assert ended.code == 0, ended.stderr
    for line in ("+UUID=", "-/dev/sda1 / ext4", "--- a/boot/grub/grub.cfg", "virtio_blk"):
        assert line in ended.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["guest", "look.yaml", "w"]
    assert not list((tmp_path / "w" / "overlays").iterdir())


def _stage(name, type_="StageStarted"):
    return lambda event: event["type"] == type_ and event.get("stage") == name


def _changed(event):
    """The guest is changed, and nothing of that is on the disk for certain."""
    return _stage("Fix", "Note")(event) and "change(s) made" in event["message"]


def _edits(workspace, stage="fix"):
    return document(workspace, stage)["edits"]


def test_a_vmx_with_a_snapshot_boots_though_its_migration_was_killed_in_every_stage(bios_guest, tmp_path):
    before = digests(bios_guest.vmx)
    target = {"disks": {"format": "qcow2", "compression": "Zstd"}}
    file = manifest(tmp_path, "web01", bios_guest.folder, "vmx", target=target)
    command = ("run", file, "--output", tmp_path)
    workspace = tmp_path / "web01.h2k"
    disks = [tmp_path / f"web01-disk{number}.qcow2" for number in (0, 1)]
    for moment in (
        _stage("Fetch"),
        _stage("Flatten"),
        _stage("Inspect", "Note"),
        _changed,
        lambda event: _stage("Convert", "Progress")(event) and event["disk"] == "scsi0:0",
        _stage("Validate", "Note"),
    ):
        assert h2k_until(moment, signal.SIGKILL, *command).code == -signal.SIGKILL
        assert not any(disk.exists() for disk in disks)
    # QEMU makes it when the machine starts.
    serial = workspace / "evidence/boot-serial.log"
    assert h2k_while(serial.exists, signal.SIGKILL, *command) == -signal.SIGKILL
    assert not any(disk.exists() for disk in disks)
    ended = h2k(*command)
    assert ended.code == 0, ended.stderr
    skipped = [event["stage"] for event in ended.events if event["type"] == "StageSkipped"]
    assert skipped == ["Fetch", "Flatten", "Inspect", "Fix", "Convert"]
    copied = document(workspace, "convert")["disks"]
    assert all(disk["copiedNow"] < disk["data"] for disk in copied)
    check_result(bios_guest, workspace, disks, "qcow2")
    assert digests(bios_guest.vmx) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "web01-disk0.qcow2",
        "web01-disk1.qcow2",
        "web01.h2k",
        "web01.xml",
        "web01.yaml",
    ]
    again = h2k(*command)
    assert (again.code, [e["type"] for e in again.events if e["type"] == "StageStarted"]) == (0, [])
    look = h2k("fix", "--dry-run", file, "--output", tmp_path, "--workspace", tmp_path / "undisturbed")
    assert look.code == 0, look.stderr
    assert _edits(workspace) == _edits(tmp_path / "undisturbed", "fix-plan")


def test_one_run_at_a_time_and_ctrl_c_leaves_it_resumable(tmp_path):
    guest = tiny_guest(tmp_path / "guest")
    before = digests(guest.vmx)
    file = manifest(tmp_path, "web01", guest.folder, "vmx", validation={"boot": {"enabled": False}})
    command = ("run", file, "--output", tmp_path)
    second = []

    def meanwhile(event):
        if not _stage("Inspect", "Note")(event):
            return False
        second.append(h2k(*command))
        return True

    first = h2k_until(meanwhile, signal.SIGINT, *command)
    assert (first.code, first.stderr) == (130, INTERRUPTED)
    assert second[0].code == 9
    assert "WorkspaceLocked" in second[0].stderr
    assert [path.name for path in Path(tmp_path).glob("*.raw")] == []
    assert digests(guest.vmx) == before
    ended = h2k(*command)
    assert ended.code == 0, ended.stderr
    assert digests(guest.vmx) == before
