"""pytest's fixtures: the sample guests, built when they are not cached."""

import pytest

from lab.guests.build import ensure_guest
from lab.guests.sample import SampleGuest
from lab.guests.tiny import tiny_guest


@pytest.fixture(scope="session")
def bios_guest() -> SampleGuest:
    """Debian 12 with BIOS: MBR, one ext4."""
    return ensure_guest("debian12-bios")


@pytest.fixture(scope="session")
def uefi_guest() -> SampleGuest:
    """Debian 12 with UEFI: GPT, an ESP without a fallback loader, /boot, logical volumes."""
    return ensure_guest("debian12-uefi")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SampleGuest:
    """A fabricated guest of 160 MiB that nothing starts. Source files are shared by all tests: they are only read."""
    return tiny_guest(tmp_path_factory.mktemp("tiny") / "guest")
