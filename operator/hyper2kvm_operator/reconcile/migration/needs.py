"""What a spec needs of the cluster."""

from hyper2kvm_api.errors import ClusterError
from hyper2kvm_api.migration import VirtualMachineMigrationSpec
from hyper2kvm_api.options import HANDOFF_OF_FORMAT, Handoff
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.reconcile.migration.observed import Abilities


def handoff(spec: VirtualMachineMigrationSpec) -> Handoff:
    """The handoff that a spec means."""
    return spec.target.handoff or HANDOFF_OF_FORMAT[spec.target.disks.format]


def lacking(spec: VirtualMachineMigrationSpec, abilities: Abilities) -> list[ClusterError]:
    """What a spec needs and the cluster has not."""
    disks, workspace = spec.target.disks.storage_class_name, spec.job.workspace.storage_class_name
    named = (("spec.target.disks", disks), ("spec.job.workspace", workspace))
    found = [
        ClusterError(Reason.STORAGE_CLASS_MISSING, f"{field}.storageClassName: there is no StorageClass {name}")
        for field, name in named
        if name is not None and name not in abilities.storage_classes
    ]
    if abilities.default_class is None and None in {disks, workspace}:
        message = "no storageClassName is given, and the cluster has no default StorageClass"
        found.append(ClusterError(Reason.STORAGE_CLASS_MISSING, message))
    if handoff(spec) is Handoff.IMPORT and not abilities.cdi:
        found.append(ClusterError(Reason.CDI_MISSING, "spec.target.handoff: Import"))
    if spec.target.virtual_machine.create and not abilities.kubevirt:
        found.append(ClusterError(Reason.KUBEVIRT_MISSING, "spec.target.virtualMachine.create: true"))
    return found
