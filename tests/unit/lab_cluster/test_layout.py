import itertools
from ipaddress import IPv4Address

import pytest

from lab.cluster.layout import APART, RUN, SPARE, Layout


@pytest.mark.parametrize("layout", [RUN, APART, SPARE])
def test_addresses_are_of_a_test_network_and_do_not_overlap(layout):
    assert not layout.pods.overlaps(layout.services)
    for address in (layout.host_address, layout.node_address):
        assert address in layout.network
        assert address not in layout.pods
        assert address not in layout.services
    assert IPv4Address("198.18.0.0") <= layout.network[0] <= layout.network[-1] <= IPv4Address("198.19.255.255")


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations([RUN, APART, SPARE], 2)])
def test_two_clusters_share_nothing_on_the_machine(one, other):
    assert not one.network.overlaps(other.network)
    for name in ("folder", "before", "lock", "link", "cgroup"):
        assert getattr(one, name) != getattr(other, name)


def test_a_links_name_is_short_enough_for_the_kernel():
    assert len(Layout("ten-letter").link) <= 15
