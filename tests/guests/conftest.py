from lab.guests.fixtures import bios_guest, luks_guest, tiny, uefi_guest

__all__ = ["bios_guest", "luks_guest", "tiny", "uefi_guest"]
