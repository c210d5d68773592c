"""Claims as the provisioner sees them: when one gets its volume, and which PersistentVolume that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lab.cluster.layout import NODE
from lab.cluster.storage import PROVISIONER
from lab.cluster.volumes import VolumeMode

_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Set by the scheduler on a claim that waits for its first consumer."""


@dataclass(frozen=True)
class Claim:
    """What matters of a PersistentVolumeClaim.

    Attributes:
        namespace: its namespace.
        name: its name.
        uid: never used again for another claim.
        storage_class: the class that it asks for; empty for none.
        mode: file system or block device.
        access_modes: as it asks for.
        size: as it is written, such as 1Gi.
        settled: whether it has a volume, or is being deleted.
        node: where its first pod goes; empty until the scheduler has chosen.
    """

    namespace: str
    name: str
    uid: str
    storage_class: str
    mode: VolumeMode
    access_modes: tuple[str, ...]
    size: str
    settled: bool
    node: str

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """From the API server's JSON."""
        metadata, spec = document["metadata"], document["spec"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            storage_class=spec.get("storageClassName", ""),
            mode=VolumeMode(spec.get("volumeMode", VolumeMode.FILESYSTEM)),
            access_modes=tuple(spec["accessModes"]),
            size=spec["resources"]["requests"]["storage"],
            settled=bool(spec.get("volumeName") or metadata.get("deletionTimestamp")),
            node=metadata.get("annotations", {}).get(_SELECTED_NODE, ""),
        )

    @property
    def volume_name(self) -> str:
        """The name that every provisioner gives: it never changes for one claim."""
        return f"pvc-{self.uid}"

    def waits(self, bindings: Mapping[str, str]) -> bool:
        """Whether it is time to make its volume.

        Args:
            bindings: our StorageClasses → their volumeBindingMode.
        """
        binding = bindings.get(self.storage_class)
        return not self.settled and (binding == "Immediate" or (binding is not None and self.node == NODE))

    def persistent_volume(self, path: Path) -> dict[str, Any]:
        """Its PersistentVolume at a path of the node. It names the claim, so that no other claim takes it."""
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": self.volume_name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
            "spec": {
                "capacity": {"storage": self.size},
                "accessModes": list(self.access_modes),
                "volumeMode": self.mode.value,
                "storageClassName": self.storage_class,
                "persistentVolumeReclaimPolicy": "Delete",
                "local": {"path": str(path)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": self.namespace,
                    "name": self.name,
                    "uid": self.uid,
                },
            },
        }


def is_left(volume: Mapping[str, Any]) -> bool:
    """Whether a PersistentVolume, as the API server's JSON, is ours and its claim has gone."""
    metadata = volume["metadata"]
    ours = metadata.get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
    return ours and volume["status"].get("phase") == "Released" and "deletionTimestamp" not in metadata
