"""pytest's fixtures: the running cluster, or one that is started for the tests and removed after them.

Parallel workers of pytest-xdist share a cluster that was brought up before them. With `--apart` it is another one, beside
the one that others use.
"""

from collections.abc import Iterator

import pytest

from lab.cluster import addons
from lab.cluster.cluster import Cluster
from lab.cluster.layout import APART, RUN


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster. One that ran before the tests goes on after them."""
    found = Cluster(APART if request.config.getoption("--apart") else RUN)
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
