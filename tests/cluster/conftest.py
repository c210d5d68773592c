from lab.cluster.fixtures import cluster, kubevirt_cluster

__all__ = ["cluster", "kubevirt_cluster"]
