"""The volumes of pods: where they come from, and where a container sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

from hyper2kvm_api.migration import MigrationSourceSpec
from hyper2kvm_api.options import VolumeMode
from hyper2kvm_operator.build.metadata import Json

SOURCE_FOLDER = "/source"
TARGETS_FOLDER = "/targets"
WORKSPACE_FOLDER = "/workspace"
PLAN_FOLDER = "/etc/hyper2kvm"
KEYS_FOLDER = "/secrets/keys"
DEVICES_FOLDER = "/dev/hyper2kvm"


@dataclass(frozen=True)
class Volume:
    """A volume of a pod.

    Attributes:
        name: its name in the pod.
        source: what it is, in Kubernetes' notation.
        path: where the container sees it: a folder, or a device when it is a block volume.
        read_only: whether the container may only read it.
        block: whether it is a block volume.
    """

    name: str
    source: Json
    path: str
    read_only: bool = True
    block: bool = False


@dataclass(frozen=True)
class TargetVolume:
    """A claim that a disk is written to.

    Attributes:
        disk: the disk's id in the machine.
        claim: name of the claim.
        mode: Filesystem or Block.
        file: name of the file on a Filesystem volume.
    """

    disk: str
    claim: str
    mode: VolumeMode
    file: str

    @property
    def path(self) -> str:
        """Where the pod sees the target: a file, or a device."""
        if self.mode is VolumeMode.BLOCK:
            return f"{DEVICES_FOLDER}/{self.claim}"
        return f"{TARGETS_FOLDER}/{self.claim}/{self.file}"


TEMPORARY = (
    Volume("tmp", {"emptyDir": {}}, "/tmp", read_only=False),  # noqa: S108 -- the pod's own
    Volume("var-tmp", {"emptyDir": {}}, "/var/tmp", read_only=False),  # noqa: S108 -- as above
)
"""What programs write beside a read-only root file system; QEMU's snapshots go to /var/tmp."""


def source_volume(source: MigrationSourceSpec) -> Volume:
    """The volume with the source's files."""
    volume = source.files.volume if source.files else None
    if volume is None:
        raise ValueError("a source without a volume")
    if volume.persistent_volume_claim is not None:
        claim = {"claimName": volume.persistent_volume_claim.claim_name, "readOnly": True}
        return Volume("source", {"persistentVolumeClaim": claim}, SOURCE_FOLDER)
    if volume.nfs is not None:
        return Volume("source", {"nfs": {**volume.nfs.to_object(), "readOnly": True}}, SOURCE_FOLDER)
    if volume.host_path is not None:
        return Volume("source", {"hostPath": {"path": volume.host_path.path, "type": "Directory"}}, SOURCE_FOLDER)
    raise ValueError("a source volume of no kind")


def config_volume(config: str) -> Volume:
    """The volume with what a ConfigMap tells the pod."""
    return Volume("plan", {"configMap": {"name": config}}, PLAN_FOLDER)


def keys_volume(secret: str) -> Volume:
    """The volume with the keys of encrypted disks."""
    return Volume("keys", {"secret": {"secretName": secret}}, KEYS_FOLDER)


def workspace_volume(claim: str | None) -> Volume:
    """The workspace: a claim, or, without one, a volume of the pod's own."""
    source: Json = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    return Volume("workspace", source, WORKSPACE_FOLDER, read_only=False)


def target_volume(number: int, target: TargetVolume) -> Volume:
    """The volume that a disk is written to, named by the disk's number: a claim's name may be as long as a volume's."""
    block = target.mode is VolumeMode.BLOCK
    path = target.path if block else f"{TARGETS_FOLDER}/{target.claim}"
    source = {"persistentVolumeClaim": {"claimName": target.claim}}
    return Volume(f"target{number}", source, path, read_only=False, block=block)


def in_pod(volumes: Sequence[Volume]) -> list[Json]:
    """The volumes, as a pod states them."""
    return [{"name": volume.name, **volume.source} for volume in volumes]


def in_container(volumes: Sequence[Volume]) -> Json:
    """The volumes, as a container states them: mounts and devices."""
    mounts = [
        {"name": volume.name, "mountPath": volume.path} | ({"readOnly": True} if volume.read_only else {})
        for volume in volumes
        if not volume.block
    ]
    devices = [{"name": volume.name, "devicePath": volume.path} for volume in volumes if volume.block]
    return {"volumeMounts": mounts} | ({"volumeDevices": devices} if devices else {})
