"""What a user has forgotten or mistyped, and what a cluster denies: named in the status, with what to do about it."""

import os
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest

from lab.scenario.ending import failed
from lab.scenario.objects import migration
from lab.scenario.project import Project

pytestmark = pytest.mark.cluster

NOWHERE = {"files": {"volume": {"persistentVolumeClaim": {"claimName": "nowhere"}}, "path": "tiny.qcow2"}}
ON_THE_NODE = {"files": {"volume": {"persistentVolumeClaim": None, "hostPath": {"path": "/etc"}}}}

TROUBLES = {
    "no-claim": ("tiny.qcow2", {"source": NOWHERE}, "SourceVolumeMissing", 'persistentvolumeclaim "nowhere" not found'),
    "no-file": ("nowhere.ova", {}, "SourceNotFound", "nowhere.ova"),
    "half-a-file": ("half.qcow2", {}, "ImageTruncated", "half.qcow2"),
    "wrong-format": ("tiny.qcow2", {"source": {"files": {"format": "vmdk"}}}, "ImageFormatMismatch", "tiny.qcow2"),
    "no-class": ("tiny.qcow2", {"target": {"disks": {"storageClassName": "quick"}}}, "StorageClassMissing", "quick"),
    "no-secret": (
        "tiny.qcow2",
        {"guest": {"keys": {"secretName": "keys"}}},
        "SecretMissing",
        'secret "keys" not found',
    ),
    "no-account": (
        "tiny.qcow2",
        {"job": {"serviceAccountName": "mover"}},
        "ServiceAccountMissing",
        '"mover" not found',
    ),
    "no-profile": ("tiny.qcow2", {"profiles": ["production"]}, "ProfileNotFound", "production"),
    "node-folder": ("tiny.qcow2", {"source": ON_THE_NODE}, "HostPathForbidden", "/etc"),
    "no-node": ("tiny.qcow2", {"job": {"nodeSelector": {"disk": "fast"}}}, "PodUnschedulable", "node"),
    "no-system": ("tiny.qcow2", {"guest": {"whenUnsupported": "Fail"}}, "NoOperatingSystem", "operating system"),
    "no-workspace": ("tiny.qcow2", {"job": {"workspace": {"size": "1Mi"}, "retries": 1}}, "WorkspaceFull", "workspace"),
}


@pytest.fixture(scope="module")
def troubled(operator, tiny_disk, tmp_path_factory) -> Iterator[Project]:
    """A namespace in which all of these migrations have been applied at once."""
    made = Project(operator.cluster, f"troubled-{uuid4().hex[:4]}")
    operator.cluster.kubectl.make_namespace(made.namespace)
    folder = tmp_path_factory.mktemp("troubled")
    half = folder / "half.qcow2"
    half.write_bytes(tiny_disk.read_bytes())
    os.truncate(half, half.stat().st_size // 2)
    made.source({"tiny.qcow2": tiny_disk, "half.qcow2": half})
    for name, (path, changes, _, _) in TROUBLES.items():
        made.apply(migration(name, path, **changes))
    yield made
    operator.cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.mark.parametrize(("name", "reason", "words"), [(name, row[2], row[3]) for name, row in TROUBLES.items()])
def test_a_trouble_is_named_and_nothing_is_tried_again(troubled, name, reason, words):
    """But for the workspace, which the administrator may enlarge meanwhile: its migration allows one more try."""
    failed(troubled, name, reason, words)
    tries = pods_of_jobs(troubled, name)
    assert tries == Counter({job: 2 if job == "no-workspace-convert" else 1 for job in tries})


def pods_of_jobs(project: Project, name: str) -> Counter[str]:
    """How many pods each Job of a migration has had, as its Events tell."""
    about = "involvedObject.kind=Job,reason=SuccessfulCreate"
    jobs = (one["involvedObject"]["name"] for one in project.cluster.items("event", project.namespace, fields=about))
    return Counter(job for job in jobs if job.rpartition("-")[0] == name)


def test_troubles_are_on_the_screen_leave_the_source_alone_and_nothing_behind(troubled):
    for name in TROUBLES:
        troubled.wait_end(name)
    screen = {line.split()[0]: line for line in troubled.kubectl("get", "vmig").splitlines()}
    assert [name for name, row in TROUBLES.items() if f" {row[2]} " not in screen[name]] == []
    troubled.kubectl("delete", "vmig", "--all", "--timeout=120s", deadline=130)
    assert troubled.leftovers() == []
    assert troubled.source_is_unchanged()
