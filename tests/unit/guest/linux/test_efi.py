import dataclasses

import pytest

from hyper2kvm.guest.description import Mount
from hyper2kvm.guest.linux.efi import FIXER
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.options import GuestOptions
from hyper2kvm_api.reasons import Reason

from .situations import memory, plan, situation
from .test_pe import program

ESP = Mount(device="/dev/sda1", path="/boot/efi", type="vfat", free=1 << 28, size=1 << 29)


def planned(programs: dict[str, bytes], *, secure_boot: bool = False, **given: object) -> dict[str, bytes]:
    """What is written to the ESP, by path below EFI."""
    guest = memory({f"/boot/efi/EFI/{path}": content for path, content in programs.items()})
    found = situation(firmware=Firmware.UEFI, mounts=(ESP,), **given)
    machine = found.machine.replaced(secure_boot=secure_boot)
    draft = plan(FIXER, guest, dataclasses.replace(found, machine=machine))
    return {edit.path.removeprefix("/boot/efi/EFI/"): edit.content for edit in draft.edits()}


def test_shim_comes_with_the_grub_that_it_starts_and_without_the_fallback_program():
    debian = {
        "debian/shimx64.efi": b"shim",
        "debian/grubx64.efi": b"grub",
        "debian/mmx64.efi": b"mok",
        "debian/fbx64.efi": b"fallback",
        "debian/BOOTX64.CSV": b"csv",
        "debian/grub.cfg": b"search.fs_uuid",
    }
    assert planned(debian) == {"BOOT/BOOTX64.EFI": b"shim", "BOOT/grubx64.efi": b"grub", "BOOT/mmx64.efi": b"mok"}


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({"debian/grubx64.efi": b"g"}, {"BOOT/BOOTX64.EFI": b"g"}),
        ({"debian/grubaa64.efi": b"g"}, {"BOOT/BOOTAA64.EFI": b"g"}),
        (
            {"debian/grubia32.efi": b"3", "debian/grubx64.efi": b"g"},
            {"BOOT/BOOTIA32.EFI": b"3", "BOOT/BOOTX64.EFI": b"g"},
        ),
        ({"systemd/systemd-bootx64.efi": b"s"}, {"BOOT/BOOTX64.EFI": b"s"}),
        ({"debian/shimx64.efi": b"shim", "systemd/systemd-bootx64.efi": b"s"}, {"BOOT/BOOTX64.EFI": b"s"}),
        ({"Boot/other.txt": b"", "debian/grubx64.efi": b"g"}, {"Boot/BOOTX64.EFI": b"g"}),
        ({"ubuntu/grubx64.efi": b"u", "debian/grubx64.efi": b"d"}, {"BOOT/BOOTX64.EFI": b"d"}),
        ({"BOOT/fbx64.efi": b"f", "debian/grubx64.efi": b"d"}, {"BOOT/BOOTX64.EFI": b"d"}),
    ],
)
def test_the_loader_of_the_system_is_copied(programs, expected):
    assert planned(programs) == expected


def test_the_vendors_folder_is_the_systems_own():
    programs = {"ubuntu/grubx64.efi": b"u", "debian/grubx64.efi": b"d"}
    assert planned(programs, system="ubuntu") == {"BOOT/BOOTX64.EFI": b"u"}


def test_a_fallback_loader_that_is_there_stays():
    assert planned({"boot/bootx64.efi": b"any", "debian/grubx64.efi": b"g"}) == {}
    assert (
        planned(
            {"BOOT/BOOTX64.EFI": b"s", "BOOT/fbx64.efi": b"f", "debian/shimx64.efi": b"s", "debian/grubx64.efi": b"g"}
        )
        == {}
    )


def test_a_shim_that_stands_alone_gets_the_grub_that_it_starts():
    programs = {"BOOT/BOOTX64.EFI": b"shim", "debian/shimx64.efi": b"shim", "debian/grubx64.efi": b"grub"}
    assert planned(programs) == {"BOOT/grubx64.efi": b"grub"}


PLAIN, SHIM = program(), program(certificates=8)
SIGNED = {"debian/shimx64.efi": SHIM, "debian/grubx64.efi": b"grub", "debian/mmx64.efi": b"mok"}


@pytest.mark.parametrize("second", [{}, {"BOOT/grubx64.efi": b"old", "BOOT/mmx64.efi": b"old"}])
def test_a_fallback_loader_that_secure_boot_would_refuse_gives_way_to_the_vendors_shim(second):
    """As `grub-install --removable` leaves one, beside what the old NVRAM named."""
    programs = {"BOOT/bootx64.efi": PLAIN, **second, **SIGNED}
    found = planned(programs, secure_boot=True)
    assert found == {"BOOT/bootx64.efi": SHIM, "BOOT/grubx64.efi": b"grub", "BOOT/mmx64.efi": b"mok"}


@pytest.mark.parametrize(
    ("there", "vendors", "secure_boot"),
    [
        (PLAIN, SIGNED, False),
        (program(certificates=16), SIGNED, True),
        (PLAIN, {"debian/grubx64.efi": SHIM}, True),
        (PLAIN, {"debian/shimx64.efi": PLAIN + b"shim", "debian/grubx64.efi": b"grub"}, True),
        (PLAIN, {"debian/shimx64.efi": SHIM}, True),
        (PLAIN, {"systemd/systemd-bootx64.efi": SHIM}, True),
    ],
    ids=["not enforced", "signed", "no shim", "shim not signed", "no GRUB", "systemd-boot"],
)
def test_it_stays_where_nothing_better_is_known(there, vendors, secure_boot):
    assert planned({"BOOT/BOOTX64.EFI": there, **vendors}, secure_boot=secure_boot) == {}


@pytest.mark.parametrize("programs", [{}, {"Microsoft/bootmgfw.efi": b"w"}, {"debian/mmx64.efi": b"m"}])
def test_an_esp_without_a_known_loader_is_an_error(programs):
    with pytest.raises(GuestError, match="/boot/efi holds no boot loader") as caught:
        planned(programs)
    assert caught.value.reason is Reason.BOOT_LOADER_UNKNOWN
    assert "Reinstall GRUB" in caught.value.hint


def test_a_uefi_guest_without_an_esp_is_an_error():
    with pytest.raises(GuestError, match="no EFI system partition mounted") as caught:
        plan(FIXER, memory({}), situation(firmware=Firmware.UEFI))
    assert "/etc/fstab" in caught.value.hint


def test_bios_guests_and_the_option_switch_it_off():
    assert FIXER.wanted(situation(firmware=Firmware.UEFI))
    assert not FIXER.wanted(situation(firmware=Firmware.BIOS))
    assert not FIXER.wanted(situation(firmware=Firmware.UEFI, options=GuestOptions(fallback_loader=False)))
