import pytest

from hyper2kvm.guest.firmware import BootRecord
from hyper2kvm.guest.linux import bootloaders

from .situations import memory

GRUB = b"\xeb\x63\x90" + bytes(0x180) + b"GRUB \0Geom\0Hard Disk\0" + bytes(100) + b"\x55\xaa"
EXTLINUX = b"\xfa\x31" + bytes(508) + b"\x55\xaa"


def kinds(
    files: dict[str, bytes],
    esp: str | None = None,
    sectors: dict[str, bytes] | None = None,
    active: dict[str, bytes] | None = None,
) -> dict[str, object]:
    records = {disk: BootRecord(sector, (active or {}).get(disk, b"")) for disk, sector in (sectors or {}).items()}
    found = bootloaders.find(memory(files), esp, records)
    return {loader.kind: loader for loader in found}


def test_grub_is_on_the_disk_whose_boot_sector_has_it():
    found = kinds({"/boot/grub/grub.cfg": b""}, sectors={"scsi0:0": bytes(512), "scsi0:1": GRUB})
    assert found["grub-pc"].disk == "scsi0:1"
    assert found["grub-pc"].configs == ("/boot/grub/grub.cfg",)


def test_a_boot_sector_is_512_bytes():
    assert kinds({}, sectors={"scsi0:0": bytes(512) + b"GRUB"}) == {}


@pytest.mark.parametrize("menu", ["/boot/grub/menu.lst", "/boot/grub/grub.conf"])
def test_grub_legacy_is_no_known_loader(menu):
    """Its first stage says GRUB too; its menu is none that fixers correct."""
    assert kinds({menu: b"kernel /vmlinuz root=/dev/sda1\n"}, sectors={"scsi0:0": GRUB}) == {}


def test_grub_in_an_active_partition_behind_a_plain_boot_record_counts_with_a_menu():
    """As grub-install --force /dev/sda1 leaves it, or a partition's loader under another system's."""
    given = {"sectors": {"scsi0:0": bytes(512), "scsi0:1": EXTLINUX}, "active": {"scsi0:1": GRUB}}
    loader = kinds({"/boot/grub/grub.cfg": b""}, **given)["grub-pc"]
    assert (loader.disk, loader.configs) == ("scsi0:1", ("/boot/grub/grub.cfg",))
    assert kinds({}, **given) == {}
    assert kinds({"/boot/grub/grub.cfg": b""}, sectors={"a": bytes(510) + b"\x55\xaa"}, active={"a": GRUB}) == {}


def test_uefi_loaders_are_found_with_their_programs():
    files = {
        "/boot/grub/grub.cfg": b"",
        "/boot/efi/EFI/debian/shimx64.efi": b"",
        "/boot/efi/EFI/debian/grubx64.efi": b"",
        "/boot/efi/EFI/debian/mmx64.efi": b"",
        "/boot/efi/EFI/debian/grub.cfg": b"",
    }
    loader = kinds(files, "/boot/efi")["grub-efi"]
    assert loader.loaders == ("/boot/efi/EFI/debian/grubx64.efi", "/boot/efi/EFI/debian/shimx64.efi")
    assert loader.configs == ("/boot/grub/grub.cfg", "/boot/efi/EFI/debian/grub.cfg")
    assert not loader.fallback


def test_a_fallback_loader_is_seen_however_it_is_spelled():
    files = {"/boot/efi/efi/Boot/bootx64.efi": b"", "/boot/efi/efi/debian/grubx64.efi": b""}
    assert kinds(files, "/boot/efi")["grub-efi"].fallback


def test_systemd_boot_is_found_with_its_entries():
    files = {
        "/boot/efi/EFI/systemd/systemd-bootx64.efi": b"",
        "/boot/efi/loader/loader.conf": b"",
        "/boot/efi/loader/entries/debian.conf": b"",
    }
    loader = kinds(files, "/boot/efi")["systemd-boot"]
    assert loader.configs == ("/boot/efi/loader/entries/debian.conf", "/boot/efi/loader/loader.conf")


@pytest.mark.parametrize(
    ("menu", "kind"),
    [("/boot/grub/grub.cfg", "grub-efi"), ("/boot/efi/loader/entries/debian.conf", "systemd-boot")],
)
def test_a_loader_that_stands_at_the_fallback_path_alone_is_known_by_its_menu(menu, kind):
    """As `grub-install --removable` and many builders of images leave it."""
    files = {menu: b"", "/boot/efi/EFI/BOOT/BOOTX64.EFI": b""}
    found = kinds(files, "/boot/efi")
    assert list(found) == [kind]
    assert found[kind].loaders == ("/boot/efi/EFI/BOOT/BOOTX64.EFI",)
    assert found[kind].configs == (menu,)
    assert found[kind].fallback


def test_a_program_at_the_fallback_path_without_a_menu_is_no_known_loader():
    assert kinds({"/boot/efi/EFI/BOOT/BOOTX64.EFI": b""}, "/boot/efi") == {}


def test_extlinux_is_found_by_its_configuration():
    found = kinds({"/boot/extlinux/extlinux.conf": b""}, sectors={"ide0:0": bytes(512), "ide0:1": EXTLINUX})
    assert found["extlinux"].disk == "ide0:1"


def test_a_guest_without_boot_loader_has_none():
    assert kinds({"/etc/fstab": b""}) == {}
