from lab.cluster.fixtures import cluster, kubevirt_cluster
from lab.scenario.fixtures import operator, project, tiny_disk

__all__ = ["cluster", "kubevirt_cluster", "operator", "project", "tiny_disk"]
