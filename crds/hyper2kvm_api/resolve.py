"""resolve: a migration, its profiles and the machine that the source describes become a Plan. No I/O."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast

from hyper2kvm_api.devices import chosen_devices
from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.machine import Firmware, Machine, Nic
from hyper2kvm_api.manifest import parse, refusing
from hyper2kvm_api.merge import JsonObject, merge
from hyper2kvm_api.migration import Metadata, Mode, VirtualMachineMigrationSpec
from hyper2kvm_api.names import disk_serial, disk_suffix
from hyper2kvm_api.options import MachineOptions
from hyper2kvm_api.plan import Plan, PlannedBoot, PlannedDisk, PlannedSource
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.rules import broken
from hyper2kvm_api.scalars import duration_seconds, quantity_bytes


@dataclass(frozen=True)
class Places:
    """Where things lie on the machine that runs the pipeline. Every path is absolute.

    Attributes:
        source: the folder that the source's volume is mounted at.
        output: the folder for targets and the domain XML.
        targets: a target a disk id, where they are not files of `output` (claims in a pod).
        keys: the folder with the keys of encrypted disks.
        owner: uid and gid that finished files are given; None leaves them to the process.
        domain: whether a libvirt domain is written.
    """

    source: str
    output: str
    targets: Mapping[str, str] = field(default_factory=dict)
    keys: str | None = None
    owner: int | None = None
    domain: bool = True


def effective_spec(migration: JsonObject, profiles: Sequence[JsonObject]) -> VirtualMachineMigrationSpec:
    """The migration's spec laid over its profiles' (both are whole objects, as written).

    Raises:
        SpecError: InvalidSpec or UnknownField, when the merged layers are no valid spec.
    """
    layers = [cast("JsonObject", item.get("spec") or {}) for item in (*profiles, migration)]
    spec = parse(VirtualMachineMigrationSpec, merge(layers), "spec")
    wrong = broken(spec.to_object())
    if wrong:
        raise SpecError(Reason.INVALID_SPEC, f"spec: {'; '.join(wrong)}")
    return spec


def profile_names(migration: JsonObject) -> list[str]:
    """The names of the profiles that a migration (as written) asks for, in order."""
    spec = cast("JsonObject", migration.get("spec") or {})
    return list(cast("Sequence[str]", spec.get("profiles") or ()))


def resolve(migration: JsonObject, profiles: Sequence[JsonObject], machine: Machine, places: Places) -> Plan:
    """Everything that the pipeline needs, from what the user wrote and what the source holds.

    Args:
        migration: the VirtualMachineMigration as written.
        profiles: its MigrationProfiles as written, in the order of spec.profiles.
        machine: the machine as the source describes it.
        places: where things lie.

    Raises:
        SpecError: InvalidSpec or UnknownField.
    """
    spec = effective_spec(migration, profiles)
    with refusing("spec"):
        return _plan(spec, migration, machine, places)


def _plan(spec: VirtualMachineMigrationSpec, migration: JsonObject, machine: Machine, places: Places) -> Plan:
    metadata = parse(Metadata, migration["metadata"], "metadata")
    target = with_overrides(machine, spec.machine, f"{metadata.namespace}/{metadata.name}")
    options = spec.target.disks
    devices = chosen_devices(spec.target, repaired=True)
    return Plan(
        name=metadata.name,
        namespace=metadata.namespace,
        mode=spec.mode,
        source=planned_source(spec, places),
        machine=target,
        disks=tuple(
            PlannedDisk(
                id=disk.id,
                capacity=disk.capacity,
                target=places.targets.get(disk.id)
                or f"{places.output}/{metadata.name}-{disk_suffix(index)}.{options.format.value}",
                format=options.format,
                compression=options.compression,
                bus=devices.bus,
                serial=disk_serial(index),
            )
            for index, disk in enumerate(machine.disks)
        ),
        network_model=devices.network_model,
        copied=chosen_devices(spec.target, repaired=False),
        guest=spec.guest,
        keys_folder=places.keys if spec.guest.keys else None,
        owner=places.owner,
        boot=PlannedBoot(
            enabled=spec.validation.boot.enabled and spec.mode is Mode.MIGRATE,
            timeout=duration_seconds(spec.validation.boot.timeout),
            memory=quantity_bytes(spec.validation.boot.memory),
        ),
        domain_xml=f"{places.output}/{metadata.name}.xml" if places.domain else None,
    )


def planned_source(spec: VirtualMachineMigrationSpec, places: Places) -> PlannedSource:
    """Where the source's files lie.

    Raises:
        SpecError: InvalidSpec, when there is no source or its path leaves the volume.
    """
    files = spec.source.files
    if files is None:
        raise SpecError(Reason.INVALID_SPEC, "spec.source: exactly one of files is needed")
    return PlannedSource(path=inside(places.source, files.path), format=files.format)


def with_overrides(machine: Machine, options: MachineOptions, identity: str) -> Machine:
    """The machine with the user's overrides and a MAC address for every adapter.

    An address that the source does not state is derived from `identity` and the adapter's id, in the locally
    administered range of QEMU (52:54:00), so that it is the same in every run.

    Raises:
        SpecError: InvalidSpec, when there is no such machine.
    """
    with refusing("spec.machine"):
        return machine.replaced(
            cpu=options.cpu or machine.cpu,
            memory=quantity_bytes(options.memory) if options.memory else machine.memory,
            firmware=options.firmware or machine.firmware,
            secure_boot=_secure_boot(machine, options),
            tpm=machine.tpm if options.tpm is None else options.tpm,
            nics=tuple(_with_mac(nic, identity) for nic in machine.nics),
        )


def _secure_boot(machine: Machine, options: MachineOptions) -> bool:
    """Whether the target enforces Secure Boot. BIOS cannot, so that asking for BIOS gives it up."""
    wanted = machine.secure_boot if options.secure_boot is None else options.secure_boot
    firmware = options.firmware or machine.firmware
    if firmware is not Firmware.BIOS or not wanted:
        return wanted
    if options.secure_boot:
        raise SpecError(
            Reason.INVALID_SPEC,
            "spec.machine.secureBoot: needs firmware uefi, and the source's is bios",
            hint="Set spec.machine.firmware: uefi as well where the guest can start from UEFI, else leave secureBoot out.",
        )
    return False


def made_up_addresses(plan: Plan) -> frozenset[str]:
    """The MAC addresses of a plan's adapters that its source does not state."""
    identity = f"{plan.namespace}/{plan.name}"
    return frozenset(nic.mac for nic in plan.machine.nics if nic.mac and nic.mac == _made_up(nic, identity))


def inside(folder: str, path: str) -> str:
    """The absolute path of `path` in `folder`.

    Raises:
        SpecError: InvalidSpec, when the path would leave the folder.
    """
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or ".." in parts:
        raise SpecError(Reason.INVALID_SPEC, f"spec.source.files.path: {path!r} must be relative and without '..'")
    return str(PurePosixPath(folder, path))


def _with_mac(nic: Nic, identity: str) -> Nic:
    return nic.replaced(mac=nic.mac.lower() if nic.mac else _made_up(nic, identity))


def _made_up(nic: Nic, identity: str) -> str:
    octets = hashlib.sha256(f"{identity}/{nic.id}".encode()).digest()[:3]
    return "52:54:00:" + ":".join(f"{octet:02x}" for octet in octets)
