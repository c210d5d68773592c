"""`make demo`: a VMware guest on a real Kubernetes: `kubectl apply` in, a machine that KubeVirt runs out."""

import sys
import time
from pathlib import Path
from typing import Any

from lab import running
from lab.cluster import addons
from lab.cluster.cluster import Cluster
from lab.cluster.progress import say
from lab.command import h2k
from lab.guests.build import ensure_guest
from lab.product import REPOSITORY
from lab.scenario.installation import Installation
from lab.scenario.project import FINAL, Project

NAMESPACE = "demo"
EXAMPLE = REPOSITORY / "manifests/examples/ova-to-kubevirt.yaml"
FOLDER = REPOSITORY / "out/demo"
_NAME = "web01"
_DEADLINE = 1800.0


def main() -> int:
    """Carry the demonstration out; the exit code."""
    guest = ensure_guest("debian12-bios")
    cluster = Cluster()
    cluster.up(addons.CDI, addons.KUBEVIRT)
    Installation(cluster).install()
    project = Project(cluster, NAMESPACE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s", deadline=200)
    cluster.kubectl.make_namespace(NAMESPACE)
    say(f"{guest.ova.name}, as VMware exports it, onto the claim exports")
    project.source({guest.ova.name: guest.ova}, size="1Gi")
    say(f"kubectl apply --namespace {NAMESPACE} -f {EXAMPLE.relative_to(REPOSITORY)}")
    project.kubectl("apply", f"--filename={EXAMPLE}")
    status = _watched(project)
    print(project.kubectl("get", "vmig,datavolume,virtualmachine"), flush=True)  # noqa: T201 -- what a user would see
    if status.get("phase") != "Succeeded":
        print(project.kubectl("describe", "vmig", _NAME), flush=True)  # noqa: T201 -- as above
        return 1
    machine = str(status["virtualMachineName"])
    running.wait_running(cluster, NAMESPACE, machine)
    running.wait_console(cluster, NAMESPACE, machine, f"{guest.name} ttyS0")
    FOLDER.mkdir(parents=True, exist_ok=True)
    screen = FOLDER / "kubevirt-screen.png"
    running.screenshot(cluster, NAMESPACE, machine, screen)
    told = h2k("report", "--namespace", NAMESPACE, _NAME, "--output", FOLDER, KUBECONFIG=str(cluster.kubeconfig))
    say("the guest runs under KubeVirt and asks for a login")
    _tell("screen", screen)
    for line in told.stdout.split():
        _tell("report", Path(line))
    say("look around with `python tests/lab/cluster kubectl …`; `make cluster-down` removes everything")
    return told.code


def _watched(project: Project) -> dict[str, Any]:
    """Tell each change until the migration has ended; its status."""
    before, began = "", time.monotonic()
    status: dict[str, Any] = {}
    while time.monotonic() - began < _DEADLINE and status.get("phase") not in FINAL:
        status = project.status(_NAME)
        told = " · ".join(str(status[key]) for key in ("phase", "progress") if status.get(key))
        if told != before:
            say(f"{_NAME}: {told}")
            before = told
        time.sleep(1)
    return status


def _tell(what: str, path: Path) -> None:
    if path.exists():
        say(f"{what:<10} {path}")


if __name__ == "__main__":
    sys.exit(main())
