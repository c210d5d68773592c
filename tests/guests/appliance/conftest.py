"""One appliance over empty disks, which the tests of a module fill and look at."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hyper2kvm import accelerator
from hyper2kvm.disk.nodes import FileNode, ImageNode, overlay_options
from hyper2kvm.disk.overlay import create_overlay
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.events import Events
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm_api.machine import DiskBus, Firmware, Machine, MachineDisk
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.options import Compression, DiskFormat, GuestOptions, TargetBus
from hyper2kvm_api.plan import Plan, PlannedBoot, PlannedDisk, PlannedSource

MIB = 1 << 20


def image(folder: Path, name: str, mebibytes: int) -> Path:
    """An empty raw image."""
    path = folder / name
    with path.open("wb") as made:
        made.truncate(mebibytes * MIB)
    return path


@contextmanager
def opened(images: Sequence[Path], folder: Path) -> Iterator[Appliance]:
    """An appliance over overlays on raw images, which stay as they are."""
    with ExitStack() as stack:
        sockets = []
        for number, path in enumerate(images):
            overlay = folder / f"{number}.qcow2"
            create_overlay(overlay, path.stat().st_size)
            node = ImageNode(driver="raw", file=FileNode(filename=str(path)))
            sockets.append(folder / f"{number}.sock")
            options = overlay_options(str(overlay), node.options())
            stack.enter_context(NbdServer(options, sockets[-1], writable=True, log=folder / f"{number}.log"))
        yield stack.enter_context(Appliance(sockets, accelerator=accelerator.proven(), log=folder / "appliance.log"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("appliance")


class _SomeDisks:
    """A handle that shows some of its disks only, so that one appliance serves as that of several machines."""

    def __init__(self, handle: Any, disks: Sequence[str]) -> None:
        self._handle = handle
        self._disks = list(disks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def list_devices(self) -> list[str]:
        return self._disks

    def list_partitions(self) -> list[str]:
        return [each for each in self._handle.list_partitions() if each.startswith(tuple(self._disks))]

    def lvs(self) -> list[str]:
        return self._handle.lvs() if "/dev/sda" in self._disks else []

    def list_dm_devices(self) -> list[str]:
        return self._handle.list_dm_devices() if "/dev/sda" in self._disks else []

    def list_md_devices(self) -> list[str]:
        return self._handle.list_md_devices() if "/dev/sdh" in self._disks else []

    def inspect_os(self) -> list[str]:
        """Nothing: libguestfs would look at the other disks too, for a minute. test_stages.py has it run."""
        return []


def with_disks(appliance: Appliance, *disks: str) -> Appliance:
    """The appliance, as if it had these of its disks only."""
    seen = copy.copy(appliance)
    seen.handle = _SomeDisks(appliance.handle, disks)
    seen.forget()
    return seen


def machine(*places: str, firmware: Firmware | None = None) -> Machine:
    disks = [
        MachineDisk(
            id=place,
            bus=DiskBus(place.split(":")[0].rstrip("0123456789")),
            controller=0,
            unit=int(place.split(":")[1]),
            capacity=512 * MIB,
            format="raw",
            file="image",
        )
        for place in places
    ]
    return Machine(name="web01", memory=1024 * MIB, disks=tuple(disks), firmware=firmware)


def planned(machine_: Machine, options: GuestOptions | None = None, **values: Any) -> Plan:
    disks = tuple(
        PlannedDisk(
            id=disk.id,
            capacity=disk.capacity,
            target=f"/out/{disk.unit}.img",
            format=DiskFormat.RAW,
            compression=Compression.NONE,
            bus=TargetBus.VIRTIO,
            serial=f"h2kvm0000disk{disk.unit}",
        )
        for disk in machine_.disks
    )
    defaults = {
        "name": "web01",
        "namespace": "default",
        "mode": Mode.MIGRATE,
        "source": PlannedSource(path="/exports/web01"),
        "boot": PlannedBoot(enabled=False, timeout=60),
    }
    return Plan(machine=machine_, disks=disks, guest=options or GuestOptions(), **(defaults | values))


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def warned(events) -> Callable[[], list[str]]:
    return lambda: [f"{event.reason}: {event.message}" for event in events.warnings]
