"""A whole Kubernetes with CDI and KubeVirt on one machine, in namespaces of its own: no registry, no container engine.

`python tests/lab/cluster up` brings it up, `down` removes it without a trace; tests use `lab.cluster.cluster.Cluster`.
"""
