"""Devices: what a guest of KVM reaches its disks and networks through. Both planes choose them here."""

from hyper2kvm_api.document import Document
from hyper2kvm_api.options import NicModel, TargetBus, TargetOptions


class Devices(Document):
    """The kinds of devices."""

    bus: TargetBus
    """What the disks hang on."""
    network_model: NicModel
    """Model of the network adapters."""


FOR_REPAIRED = Devices(bus=TargetBus.VIRTIO, network_model=NicModel.VIRTIO)
FOR_COPIED = Devices(bus=TargetBus.SATA, network_model=NicModel.E1000E)
"""A guest that was copied unchanged may have no virtio driver. AHCI and the Intel 82574 are known to Linux since 2.6.27
and to Windows since 8 and Server 2012."""


def chosen_devices(target: TargetOptions, *, repaired: bool) -> Devices:
    """What the user asks for, else what fits the guest.

    Args:
        target: the user's options.
        repaired: whether the guest was repaired for KVM; otherwise it was copied unchanged.
    """
    fitting = FOR_REPAIRED if repaired else FOR_COPIED
    return Devices(
        bus=target.disks.bus or fitting.bus,
        network_model=target.virtual_machine.network_model or fitting.network_model,
    )
