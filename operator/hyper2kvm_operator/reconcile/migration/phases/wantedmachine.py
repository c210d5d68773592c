"""The VirtualMachine that a migration ends in, as it stands in the status."""

from hyper2kvm_api.devices import chosen_devices
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.migration import DiskStatus, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.names import disk_serial
from hyper2kvm_operator.build.metadata import Json, MigrationKey
from hyper2kvm_operator.build.virtualmachine import AttachedDisk, virtual_machine


def wanted_machine(
    key: MigrationKey, spec: VirtualMachineMigrationSpec, status: VirtualMachineMigrationStatus, *, data_volumes: bool
) -> Json:
    """The VirtualMachine of what is known by now: the firmware and the boot disk as the guest shows, once it is examined.

    Args:
        key: the migration.
        spec: its effective spec.
        status: its status, with the machine.
        data_volumes: whether DataVolumes stand over the claims.
    """
    if status.machine is None:
        raise ValueError("a status without a machine")
    known = disks(status)
    boot = status.boot_disk or known[0].id
    attached = [
        AttachedDisk(
            id=disk.id,
            claim=disk.claim_name or "",
            data_volume=data_volumes,
            serial=disk_serial(index),
            boot=disk.id == boot,
        )
        for index, disk in enumerate(known)
    ]
    devices = chosen_devices(spec.target, repaired=status.repaired is not False)
    firmware = status.firmware or Firmware.BIOS
    return virtual_machine(key, status.machine, firmware, attached, spec.target.virtual_machine, devices)


def disks(status: VirtualMachineMigrationStatus) -> list[DiskStatus]:
    """The disks that have a claim: all of them, but for a dry run's."""
    return [disk for disk in status.disks if disk.claim_name is not None]
