from lab.guests.fixtures import bios_guest, tiny, uefi_guest

__all__ = ["bios_guest", "tiny", "uefi_guest"]
