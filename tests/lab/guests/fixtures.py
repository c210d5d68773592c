"""pytest's fixtures: the sample guests, built when they are not cached."""

from contextlib import nullcontext

import pytest

from lab.guests.build import ensure_guest
from lab.guests.sample import SampleGuest
from lab.guests.tiny import tiny_guest


@pytest.fixture(scope="session")
def bios_guest(pytestconfig: pytest.Config) -> SampleGuest:
    """Debian 12 with BIOS: MBR, one ext4."""
    return _ensure("debian12-bios", pytestconfig)


@pytest.fixture(scope="session")
def uefi_guest(pytestconfig: pytest.Config) -> SampleGuest:
    """Debian 12 with UEFI: GPT, an ESP without a fallback loader, /boot, logical volumes."""
    return _ensure("debian12-uefi", pytestconfig)


@pytest.fixture(scope="session")
def luks_guest(pytestconfig: pytest.Config) -> SampleGuest:
    """Debian 12 with UEFI as one raw image: /boot, and a btrfs subvolume inside of LUKS."""
    return _ensure("debian12-luks", pytestconfig)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SampleGuest:
    """A fabricated guest of 160 MiB that nothing starts. Source files are shared by all tests: they are only read."""
    return tiny_guest(tmp_path_factory.mktemp("tiny") / "guest")


def _ensure(name: str, config: pytest.Config) -> SampleGuest:
    """Building takes minutes: its progress is shown, whatever pytest captures."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        return ensure_guest(name)
