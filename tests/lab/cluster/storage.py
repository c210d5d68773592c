"""The StorageClasses of the lab, and what CDI cannot know about a provisioner that it has never heard of."""

import json
from dataclasses import dataclass

PROVISIONER = "hyper2kvm.test/loop"


@dataclass(frozen=True)
class StorageClass:
    """One StorageClass.

    Attributes:
        name: its name.
        binding: when a claim gets its volume: WaitForFirstConsumer or Immediate.
        mode: the volume mode that CDI prefers there.
        default: whether claims that name no class get this one.
    """

    name: str
    binding: str
    mode: str
    default: bool = False

    def manifest(self) -> str:
        """The object."""
        annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if self.default else {}
        return json.dumps(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": self.name, "annotations": annotations},
                "provisioner": PROVISIONER,
                "volumeBindingMode": self.binding,
                "reclaimPolicy": "Delete",
            }
        )

    def profile(self) -> str:
        """Its StorageProfile: the modes that CDI fills in where a DataVolume names none."""
        return json.dumps(
            {
                "apiVersion": "cdi.kubevirt.io/v1beta1",
                "kind": "StorageProfile",
                "metadata": {"name": self.name},
                "spec": {"claimPropertySets": [{"accessModes": ["ReadWriteOnce"], "volumeMode": self.mode}]},
            }
        )


CLASSES = (
    StorageClass("lab-wait", "WaitForFirstConsumer", "Filesystem", default=True),
    StorageClass("lab-immediate", "Immediate", "Filesystem"),
    StorageClass("lab-block", "WaitForFirstConsumer", "Block"),
    StorageClass("fast", "WaitForFirstConsumer", "Filesystem"),
    StorageClass("fast-block", "WaitForFirstConsumer", "Block"),
)
"""Those of the lab's own, and those that manifests/examples and the documentation name."""
