from lab.cluster.fixtures import cluster, kubevirt_cluster
from lab.scenario.fixtures import bootable_disk, operator, project, tiny_disk

__all__ = ["bootable_disk", "cluster", "kubevirt_cluster", "operator", "project", "tiny_disk"]
