"""PersistentVolumeClaims: the targets of disks, and the workspace. Sizes follow CDI's rules.

Source: CDI, doc/cdi-config.md (filesystem overhead) and the importer's rounding: a claim of a Filesystem volume must
hold the disk's virtual size after the overhead; a Block volume must be at least the virtual size.
"""

import math
from dataclasses import dataclass

from hyper2kvm_api.options import DiskOptions, VolumeMode, WorkspaceOptions
from hyper2kvm_api.scalars import quantity_bytes
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
from hyper2kvm_operator.kube.resources import Resources

DEFAULT_OVERHEAD = 0.06
"""CDI's default share of a Filesystem volume that the file system itself may take."""

_ALIGNMENT = 1024 * 1024

WORKSPACE = "workspace"


@dataclass(frozen=True)
class Overheads:
    """CDI's filesystem overhead: of all storage classes, and of single ones."""

    general: float = DEFAULT_OVERHEAD
    by_class: tuple[tuple[str, float], ...] = ()

    def of(self, storage_class: str | None) -> float:
        """The overhead of a class, as a share of the volume; None is a class that is not known."""
        return dict(self.by_class).get(storage_class or "", self.general)


DEFAULT_OVERHEADS = Overheads()
"""CDI's defaults, also where CDI is not installed."""


def required_size(capacity: int, mode: VolumeMode, overhead: float) -> int:
    """Bytes to ask for, so that a disk of `capacity` bytes fits."""
    aligned = -(-capacity // _ALIGNMENT) * _ALIGNMENT
    return aligned if mode is VolumeMode.BLOCK else math.ceil(aligned * (1 + overhead) / _ALIGNMENT) * _ALIGNMENT


def volume_mode(options: DiskOptions) -> VolumeMode:
    """The mode of the targets' volumes."""
    return options.volume_mode or VolumeMode.FILESYSTEM


def disk_claim(
    key: MigrationKey,
    name: str,
    capacity: int,
    options: DiskOptions,
    overheads: Overheads,
    *,
    mode: VolumeMode,
    default_class: str | None = None,
) -> Json:
    """The claim that a disk is written to.

    Args:
        key: the migration.
        name: name of the claim.
        capacity: the disk's virtual size in bytes.
        options: the target's disks.
        overheads: CDI's filesystem overheads.
        mode: Filesystem or Block.
        default_class: the cluster's default storage class, which a claim gets that names none.
    """
    claim = new_object(Resources.CLAIM.value, key, name)
    size = required_size(capacity, mode, overheads.of(options.storage_class_name or default_class))
    claim["spec"] = {
        "accessModes": options.access_modes or ["ReadWriteOnce"],
        "volumeMode": mode.value,
        "resources": {"requests": {"storage": str(size)}},
    } | ({"storageClassName": options.storage_class_name} if options.storage_class_name else {})
    return claim


def workspace_claim(key: MigrationKey, options: WorkspaceOptions) -> Json:
    """The claim of the workspace."""
    claim = new_object(Resources.CLAIM.value, key, key.child(WORKSPACE))
    claim["spec"] = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": str(quantity_bytes(options.size))}},
    } | ({"storageClassName": options.storage_class_name} if options.storage_class_name else {})
    return claim
