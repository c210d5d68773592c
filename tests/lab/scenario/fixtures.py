"""pytest's fixtures: the installed operator, and a namespace for each test."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from lab.cluster.cluster import Cluster
from lab.scenario.images import disk_image, dull_guest
from lab.scenario.installation import Installation
from lab.scenario.project import Project


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Iterator[Installation]:
    """The operator, installed from its chart, and removed after the tests, unless parallel workers share it."""
    installed = Installation(cluster)
    installed.install()
    yield installed
    if "PYTEST_XDIST_WORKER" not in os.environ:
        installed.uninstall()


@pytest.fixture
def project(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Project]:
    """A namespace of the test's own, gone afterwards."""
    told = request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")
    made = Project(cluster, f"{told}-{uuid4().hex[:4]}")
    cluster.kubectl.make_namespace(made.namespace)
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def machine_ova(tmp_path: Path) -> Path:
    """The OVA of a machine without a system, with two disks that differ and a MAC address that no other test's has."""
    address = "00:50:56:" + ":".join(f"{byte:02x}" for byte in uuid4().bytes[:3])
    return dull_guest(tmp_path / "guest", data=9, mac=address).ova


@pytest.fixture(scope="session")
def tiny_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 of 64 MiB with 8 MiB of data and no boot record: its migration takes seconds."""
    return disk_image(tmp_path_factory.mktemp("tiny") / "tiny.qcow2", size=64, data=8)


@pytest.fixture(scope="session")
def bootable_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a boot record, and nothing that it starts: INSPECT opens it in the appliance, for a while."""
    return disk_image(tmp_path_factory.mktemp("bootable") / "bootable.qcow2", size=64, data=8, boot_record=True)
