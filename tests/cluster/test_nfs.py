"""A source on an NFS server. The node's client is one in user space: tests/lab/cluster/nfsclient.py."""

from pathlib import Path

import pytest

from lab.cluster import namespace
from lab.cluster.progress import wait_for
from lab.scenario import nfs
from lab.scenario.ending import finished_cleanly
from lab.scenario.moments import held
from lab.scenario.objects import SOURCE, migration
from lab.scenario.project import Project

pytestmark = pytest.mark.cluster


def test_a_source_on_nfs_is_read_where_it_lies(operator, project, machine_ova):
    project.source({"machine.ova": machine_ova})
    server = nfs.serve(project, SOURCE)
    volume = {"persistentVolumeClaim": None, "nfs": {"server": server, "path": nfs.EXPORT}}
    project.apply(migration("moved", "machine.ova", source={"files": {"volume": volume}}))
    export = f"{server}:{nfs.EXPORT}"
    with held(project, "moved"):
        assert export in mounted(project)
    project.wait_phase("moved", "Succeeded")
    wait_for("the end of the mount", lambda: export if export in mounted(project) else None, deadline=60)
    nfs.stop(project)
    finished_cleanly(project, "moved")


def mounted(project: Project) -> set[str]:
    """What the node has mounted (proc_pid_mounts(5))."""
    first = namespace.find(project.cluster.layout)
    return {line.split()[0] for line in Path(f"/proc/{first}/mounts").read_text().splitlines()}
