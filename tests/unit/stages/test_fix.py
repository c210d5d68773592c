"""What FIX decides on."""

from types import SimpleNamespace

import pytest

from hyper2kvm.events import Events
from hyper2kvm.guest import fixers
from hyper2kvm.guest.description import BootLoader, Family, Guest, OperatingSystem
from hyper2kvm.guest.draft import Draft
from hyper2kvm.prepare import start
from hyper2kvm.stages.fix import fix
from hyper2kvm_api.machine import Firmware
from lab.memoryguest import MemoryGuest

DEBIAN = OperatingSystem(family=Family.DEBIAN, id="debian", version="12", name="Debian", architecture="x86_64")
GUEST = Guest(os=DEBIAN, root="/dev/sda1", firmware=Firmware.BIOS, boot_loaders=(BootLoader(kind="grub-pc"),))


class Looked(MemoryGuest):
    """An appliance in which a guest is mounted."""

    def mount_guest(self, guest: Guest, *, writable: bool) -> None:
        assert guest is GUEST
        assert not writable


@pytest.mark.parametrize(("target", "driver"), [({}, "virtio_net"), ({"networkModel": "e1000e"}, "e1000e")])
def test_the_guest_is_prepared_for_the_adapters_that_it_gets(case, monkeypatch, target, driver):
    given = []

    def plan(files, situation):
        given.append(situation)
        return Draft(files)

    monkeypatch.setattr(fixers, "plan", plan)
    request = case.request(mode="Plan", target={"virtualMachine": target})
    with case.workspace.lock():
        work, _ = start(request, case.workspace, Events())
        fix(work, GUEST, SimpleNamespace(appliance=Looked()))
    assert [situation.network_driver for situation in given] == [driver]
