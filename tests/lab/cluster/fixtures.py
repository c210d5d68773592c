"""pytest's fixtures: the running cluster, or one that is started for the tests and removed after them.

Parallel workers of pytest-xdist share a cluster that was brought up before them.
"""

from collections.abc import Iterator

import pytest

from lab.cluster import addons
from lab.cluster.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster. One that ran before the tests goes on after them."""
    found = Cluster()
    was_running = found.running
    found.up(addons.CDI)
    yield found
    if not was_running:
        found.down()


@pytest.fixture(scope="session")
def kubevirt_cluster(cluster: Cluster) -> Cluster:
    """The same cluster, with KubeVirt."""
    cluster.up(addons.CDI, addons.KUBEVIRT)
    return cluster
