"""What every fixer is given and gives: a situation, a draft to write its changes into."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.draft import Draft
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.options import GuestOptions, NicModel
from hyper2kvm_api.plan import PlannedDisk

_NETWORK_DRIVERS: Mapping[NicModel, str] = {NicModel.VIRTIO: "virtio_net", NicModel.E1000E: "e1000e"}


@dataclass(frozen=True)
class Situation:
    """What a fixer decides on.

    Attributes:
        guest: what INSPECT found.
        machine: the target's hardware; its disks in the source's order, its adapters all with MAC addresses.
        disks: the target's disks.
        options: what the user allows.
        made_up: the MAC addresses of adapters whose address the source does not state.
        network_model: model of the target's adapters.
    """

    guest: Guest
    machine: Machine
    disks: tuple[PlannedDisk, ...]
    options: GuestOptions
    made_up: frozenset[str] = frozenset()
    network_model: NicModel = NicModel.VIRTIO

    @property
    def network_driver(self) -> str:
        """Linux' driver of the target's adapters."""
        return _NETWORK_DRIVERS[self.network_model]


@dataclass(frozen=True)
class Fixer:
    """One kind of repair.

    Attributes:
        name: a noun, such as `fstab`.
        wanted: whether the user's options ask for it.
        plan: writes its changes, notes and warnings into the draft; raises GuestError when the guest cannot be made
            to boot. It reads the draft only, and decides nothing by clock or environment.
    """

    name: str
    wanted: Callable[[Situation], bool]
    plan: Callable[[Draft, Situation], None]
