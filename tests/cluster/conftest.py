from lab.cluster.fixtures import cluster, kubevirt_cluster
from lab.scenario.fixtures import bootable_disk, machine_ova, operator, project, tiny_disk

__all__ = ["bootable_disk", "cluster", "kubevirt_cluster", "machine_ova", "operator", "project", "tiny_disk"]
