import pytest

from lab.guests.build import ensure_guest


@pytest.fixture(scope="session")
def bios_guest():
    return ensure_guest("debian12-bios")


@pytest.fixture(scope="session")
def uefi_guest():
    return ensure_guest("debian12-uefi")
