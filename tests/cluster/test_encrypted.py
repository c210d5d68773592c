"""A guest whose disk is encrypted, by the example of the documentation: the passphrase is in a Secret, and stays there."""

import json

import pytest
import yaml

from lab.guests.build import ensure_guest
from lab.guests.encrypted import PASSPHRASE, VOLUME
from lab.product import REPOSITORY
from lab.scenario.ending import finished_cleanly
from lab.scenario.moments import reach
from lab.scenario.project import Project

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

EXAMPLE = REPOSITORY / "manifests/examples/encrypted-disks.yaml"
IMAGE = "vault.img"


def test_an_encrypted_guest_is_unlocked_repaired_and_booted_with_the_passphrase_of_a_secret(operator, project):
    secret, wanted = yaml.safe_load_all(EXAMPLE.read_text())
    secret["stringData"]["root"] = PASSPHRASE
    wanted["spec"]["source"]["files"] |= {"path": IMAGE, "format": "raw"}
    project.source({IMAGE: ensure_guest("debian12-luks").disks[0]}, size="2Gi")
    project.apply(secret, wanted)
    name = wanted["metadata"]["name"]
    pod = reach(project, name, "Inspect")
    status = project.wait_phase(name, "Succeeded", deadline=900)
    assert (status["boot"]["verdict"], status["boot"]["evidence"]) == ("Booted", "Probe")
    report = json.loads(project.get("configmap", status["report"])["data"]["report.json"])
    assert report["validated"]["boot"]["probe"]["rootDevice"] == f"/dev/mapper/{VOLUME}"
    assert PASSPHRASE not in told(project, pod)
    finished_cleanly(project, name, kept=[f"secret/{secret['metadata']['name']}"])


def told(project: Project, pod: str) -> str:
    """All that a pod and the API server say of a migration, but for the Secret itself."""
    kinds = "vmig,job,pod,configmap,persistentvolumeclaim,datavolume,event"
    return project.kubectl("logs", pod) + project.kubectl("get", kinds, "--output=json")
