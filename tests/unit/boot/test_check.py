"""Real starts: QEMU, its firmware, its screen and its ports, with guests that are a boot sector."""

import hashlib
import json
import os
import subprocess
from dataclasses import replace

import pytest

from hyper2kvm.accelerator import find_kernel
from hyper2kvm.boot import check, signs
from hyper2kvm.boot.check import PROBE_REPORT, SCREENSHOT, SERIAL_LOG, boot, leased_names, stated_addresses
from hyper2kvm.boot.insertion import Inserted
from hyper2kvm.events import Events
from hyper2kvm.guest.description import BlockDevice, Family, OperatingSystem
from hyper2kvm.stages.documents import Evidence
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import HostError, ValidationError
from hyper2kvm_api.machine import Firmware, Nic
from hyper2kvm_api.options import TargetBus
from hyper2kvm_api.reasons import Reason
from unit.boot import bootsector
from unit.boot.bootsector import REPORT, SCREEN, SERIAL, resets, shows, waits, write_disk
from unit.boot.situations import MAC, Candidate, dynamic, make_candidate, make_disk, make_guest, make_machine, static
from unit.boot.test_reports import LINES, MARK, sent

LOGIN = "\nDebian GNU/Linux 12 web01 tty1\n\nweb01 login: "
INITRAMFS = """
Gave up waiting for root file system device.  Common problems:
ALERT!  UUID=4a1b6c70-1111-2222-3333-444444444444 does not exist.  Dropping to a shell!

BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) built-in shell (ash)
Enter 'help' for a list of built-in commands.

(initramfs) """


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def disk(tmp_path):
    def make(*actions):
        return write_disk(tmp_path / "disk.raw", *actions)

    return make


@pytest.fixture
def probed(monkeypatch):
    """As if the probe had been put in: the boot sector sends its reports."""
    monkeypatch.setattr(check, "insert_probe", lambda *_: Inserted(probe=True))
    monkeypatch.setattr(check.secrets, "token_hex", lambda _: MARK)


def start(candidate, workspace):
    return boot(candidate, workspace, Events())


def failing(candidate, workspace):
    with pytest.raises(ValidationError) as caught:
        start(candidate, workspace)
    return caught.value


def test_a_login_prompt_on_the_screen_is_proof(disk, workspace):
    proof = start(make_candidate(disk(shows(SCREEN, LOGIN))), workspace)
    assert proof.evidence is Evidence.SCREEN_LOGIN
    assert proof.screenshot == f"evidence/{SCREENSHOT}"
    assert (workspace.folder / proof.screenshot).read_bytes().startswith(b"\x89PNG")
    assert proof.accelerator in {"kvm", "tcg"}
    assert proof.firmware == "bios"


def test_a_login_prompt_on_the_serial_port_is_proof(disk, workspace):
    proof = start(make_candidate(disk(shows(SERIAL, LOGIN))), workspace)
    assert proof.evidence is Evidence.SERIAL_LOGIN
    assert proof.serial == f"evidence/{SERIAL_LOG}"
    assert "web01 login" in (workspace.folder / proof.serial).read_text()


@pytest.mark.usefixtures("probed")
def test_the_probes_reports_are_proof(disk, workspace):
    later = sent(LINES.replace("34.54", "39.60"), 1)
    image = disk(shows(REPORT, sent()), waits(5), shows(REPORT, later))
    guest = make_guest(interfaces=(static("192.0.2.10/24"), static("192.0.2.11/24", MAC), dynamic("ens224")))
    nics = (Nic(id="ethernet0", mac=MAC), Nic(id="ethernet1", mac="52:54:00:aa:bb:02"))
    proof = start(replace(make_candidate(image, guest, timeout=12), machine=make_machine(nics=nics)), workspace)
    assert proof.evidence is Evidence.PROBE
    assert proof.probe is not None
    assert proof.probe.uptime == 34.54
    assert proof.missing_addresses == ("192.0.2.11/24",)
    assert proof.missing_leases == ("ens224",)
    assert json.loads((workspace.evidence / PROBE_REPORT).read_text())["rootDevice"] == "/dev/mapper/vg0-root"


@pytest.mark.usefixtures("probed")
def test_a_report_from_emergency_mode_is_a_failure_with_its_cause(disk, workspace):
    lines = LINES.replace("target multi-user", "target emergency") + "log Dependency failed for data.mount - /data.\n"
    error = failing(make_candidate(disk(shows(REPORT, sent(lines) + sent(lines, 1)))), workspace)
    assert error.reason is Reason.BOOT_FAILED
    assert "emergency mode" in error.message
    assert "Dependency failed for data.mount" in error.message
    assert "/etc/fstab" in error.hint
    assert (workspace.evidence / PROBE_REPORT).exists()


def test_an_initramfs_shell_on_the_screen_is_a_failure_with_its_cause(disk, workspace):
    error = failing(make_candidate(disk(shows(SCREEN, INITRAMFS))), workspace)
    assert error.reason is Reason.BOOT_FAILED
    assert "shell of its initramfs" in error.message
    assert "does not exist" in error.message
    assert "virtio drivers" in error.hint
    assert (workspace.evidence / SCREENSHOT).exists()


def test_a_guest_with_too_little_memory_is_told_what_to_raise(disk, workspace):
    words = (
        "[    9.1] Out of memory: Killed process 71 (modprobe) total-vm:3456kB\n"
        "[    9.4] Kernel panic - not syncing: System is deadlocked on memory\n"
    )
    error = failing(make_candidate(disk(shows(SERIAL, words))), workspace)
    assert error.reason is Reason.BOOT_FAILED
    assert "spec.validation.boot.memory" in error.hint


def test_a_panic_on_the_serial_port_fails_at_once(disk, workspace):
    words = "[    2.4] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
    error = failing(make_candidate(disk(shows(SERIAL, words))), workspace)
    assert error.reason is Reason.BOOT_FAILED
    assert "Unable to mount root fs" in error.message
    assert (workspace.evidence / SERIAL_LOG).read_text().strip() == words.strip()


def test_a_disk_without_a_boot_loader_fails(tmp_path, workspace):
    image = tmp_path / "empty.raw"
    image.write_bytes(bytes(2**20))
    error = failing(make_candidate(image), workspace)
    assert "no disk is bootable" in error.message
    assert "No bootable device" in error.message
    assert "spec.machine.firmware: uefi" in error.hint


@pytest.mark.guest
def test_a_uefi_machine_without_a_boot_loader_fails(tmp_path, workspace):
    image = tmp_path / "empty.raw"
    image.write_bytes(bytes(2**20))
    error = failing(make_candidate(image, make_guest(Firmware.UEFI)), workspace)
    assert "own shell" in error.message
    assert "spec.guest.fallbackLoader" in error.hint


@pytest.mark.guest
def test_secure_boot_firmware_runs_with_smm(tmp_path, workspace):
    image = tmp_path / "empty.raw"
    image.write_bytes(bytes(2**20))
    candidate = Candidate(
        make_machine(secure_boot=True), (make_disk(image),), make_guest(Firmware.UEFI), 90, memory=2**30
    )
    assert "the firmware found no boot loader" in failing(candidate, workspace).message


@pytest.mark.guest
def test_secure_boot_firmware_refuses_a_loader_without_microsofts_signature(tmp_path, workspace):
    """Debian signs its kernels with a key of its own, which shim knows and firmware does not."""
    image, kernel = tmp_path / "esp.raw", find_kernel()
    assert kernel is not None
    image.write_bytes(b"")
    os.truncate(image, 64 * 2**20)
    subprocess.run(["mkfs.vfat", "-F", "32", image], check=True, capture_output=True)
    subprocess.run(["mmd", "-i", image, "::EFI", "::EFI/BOOT"], check=True)
    subprocess.run(["mcopy", "-i", image, kernel, "::EFI/BOOT/BOOTX64.EFI"], check=True)
    candidate = Candidate(
        make_machine(secure_boot=True), (make_disk(image),), make_guest(Firmware.UEFI), 90, memory=2**30
    )
    error = failing(candidate, workspace)
    assert "Secure Boot" in error.message
    assert "Access Denied" in error.message
    assert "spec.machine.secureBoot: false" in error.hint


def test_a_guest_that_restarts_fails(disk, workspace):
    error = failing(make_candidate(disk(shows(SERIAL, "Rebooting.\n"), waits(2), resets())), workspace)
    assert "restarted or switched itself off" in error.message
    assert "Rebooting." in error.message


def test_a_guest_that_hangs_is_given_up_and_its_last_words_are_quoted(disk, workspace):
    error = failing(make_candidate(disk(shows(SCREEN, "Loading stage two")), timeout=9), workspace)
    assert error.reason is Reason.BOOT_TIMED_OUT
    assert "Loading stage two" in error.message
    assert "spec.validation.boot.timeout" in error.hint


def test_a_passphrase_prompt_is_the_weaker_proof_of_an_encrypted_guest(disk, workspace, monkeypatch):
    """The table's patience is shortened."""
    monkeypatch.setattr(signs, "SIGNS", tuple(replace(sign, settle=min(sign.settle, 2)) for sign in signs.SIGNS))
    device = BlockDevice(device="/dev/sda3", type="crypto_LUKS", size=1)
    image = disk(shows(SERIAL, "Please unlock disk vda3_crypt: "))
    proof = start(make_candidate(image, make_guest(devices=(device,))), workspace)
    assert proof.evidence is Evidence.UNLOCK_PROMPT


@pytest.mark.parametrize("bus", TargetBus)
def test_the_boot_disk_is_started_whatever_its_place_and_bus(tmp_path, workspace, bus):
    data, system = tmp_path / "data.raw", tmp_path / "system.raw"
    write_disk(data, shows(SERIAL, "Kernel panic - not syncing: the wrong disk\n"))
    write_disk(system, shows(SERIAL, LOGIN))
    disks = (make_disk(data, 0, bus), make_disk(system, 1, bus))
    candidate = Candidate(make_machine(2), disks, make_guest(boot_disk="scsi0:1"), 60, memory=2**30)
    assert start(candidate, workspace).evidence is Evidence.SERIAL_LOGIN


def test_nothing_is_left_behind_and_the_disk_is_unchanged(disk, workspace):
    (workspace.evidence / PROBE_REPORT).write_text("of an earlier start")
    image = disk(shows(SERIAL, LOGIN))
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    start(make_candidate(image), workspace)
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before
    assert list(workspace.scratch.iterdir()) == []
    assert sorted(path.name for path in workspace.evidence.iterdir()) == [SCREENSHOT, SERIAL_LOG]


def test_a_guest_of_another_architecture_is_refused(disk, workspace):
    system = OperatingSystem(family=Family.DEBIAN, id="debian", version="12", name="Debian", architecture="aarch64")
    error = failing(make_candidate(disk(), make_guest(os=system)), workspace)
    assert "aarch64" in error.message
    assert "spec.validation.boot.enabled" in error.hint


def test_a_qemu_that_does_not_start_is_an_error_with_its_words(disk, workspace, monkeypatch):
    monkeypatch.setattr(check, "arguments", lambda *_: ["qemu-system-x86_64", "-machine", "nonsense"])
    with pytest.raises(HostError, match="unsupported machine type") as caught:
        start(make_candidate(disk()), workspace)
    assert caught.value.reason is Reason.PROGRAM_FAILED


def test_static_addresses_are_expected_whichever_adapter_they_are_stated_of():
    """An address of an adapter that is not there is what a guest lacks when its configuration matches nothing."""
    guest = make_guest(
        interfaces=(
            static("192.0.2.1/24"),
            static("192.0.2.2/24", MAC.upper()),
            static("192.0.2.3/24", "52:54:00:ff:ff:ff"),
            static("127.0.1.1/8"),
            static("fe80::1/64"),
            static("nonsense"),
        )
    )
    assert stated_addresses(guest) == ("192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24")


def test_adapters_by_dhcp_are_expected_by_plain_names():
    configs = (
        static("192.0.2.1/24"),
        dynamic("ens224"),
        dynamic("ens224"),
        dynamic("en*"),
        dynamic("br0"),
        dynamic(None, MAC),
        dynamic("lan", MAC),
        dynamic("old", "52:54:00:ff:ff:ff"),
    )
    assert leased_names(make_guest(interfaces=configs), {MAC}) == ("ens224", "lan")


def test_boot_sectors_are_bounded(tmp_path):
    with pytest.raises(AssertionError):
        bootsector.write_disk(tmp_path / "large", shows(SCREEN, "x" * 20000))
