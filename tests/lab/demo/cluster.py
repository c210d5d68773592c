"""`make demo`: a VMware guest on a real Kubernetes: `kubectl apply` in, a machine that KubeVirt runs out."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm import accelerator
from hyper2kvm.run import Service, last_lines
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab import product, running
from lab.cluster import addons
from lab.cluster.cluster import Cluster
from lab.cluster.lifecycle import prepare
from lab.cluster.progress import say, wait_for
from lab.demo.ending import carried_out, near
from lab.guests.build import ensure_guest
from lab.guests.sample import SampleGuest
from lab.product import REPOSITORY
from lab.scenario.objects import Json
from lab.scenario.project import FINAL, Project

NAMESPACE = "demo"
EXAMPLE = REPOSITORY / "manifests/examples/ova-to-kubevirt.yaml"
FOLDER = REPOSITORY / "out/demo"
_ADDONS = (addons.CDI, addons.KUBEVIRT)
_GUEST = "debian12-bios"
_NAME = "web01"
_DEADLINE = 1800.0
_AFTERWARDS = "look around with `python tests/lab/cluster kubectl …`; `make cluster-down` removes everything"


@dataclass(frozen=True)
class Shown:
    """What a demonstration has to show.

    Attributes:
        status: the migration's.
        screen: picture of the machine that KubeVirt runs.
        report: the report as a page.
    """

    status: Json
    screen: Path
    report: Path


def main() -> int:
    """Carry the demonstration out; the exit code."""
    return carried_out(_demonstrate, _AFTERWARDS)


def _demonstrate() -> int:
    cluster = Cluster()
    with ThreadPoolExecutor(1) as beside:
        proven = beside.submit(accelerator.proven)  # which waits 20 s for a KVM that hangs its guests
        guest = _prepared()
        cluster.up(*_ADDONS, meanwhile=lambda: product.install(cluster, _kvm(proven.result())))
    clear(cluster)
    cluster.kubectl.make_namespace(NAMESPACE)
    migrate(Project(cluster, NAMESPACE), guest, FOLDER)
    return 0


def _kvm(proven: accelerator.Accelerator) -> str:
    """The chart's value for a machine of this accelerator."""
    return f"kvm={'Auto' if proven == 'kvm' else 'None'}"


def _prepared() -> SampleGuest:
    """The guest. What is not cached of it and of the product is built beside the cluster: packages leave a processor idle."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _beside("lab.guests", _GUEST), _beside("lab.product"):
        prepare(_ADDONS)
    return ensure_guest(_GUEST)


@contextmanager
def _beside(module: str, *arguments: str) -> Iterator[None]:
    """Run a module beside what is in the context, and wait for its end. Whoever needs what it makes sees its failures."""
    log = FOLDER / f"{module}.log"

    def unfinished() -> str | None:
        return None if builder.exit_code is not None else last_lines(builder.messages(), 1)

    with Service([sys.executable, "-m", module, *arguments], log=log) as builder:
        yield
        wait_for(module, unfinished, deadline=_DEADLINE, log=log)


def clear(cluster: Cluster) -> None:
    """Remove what an earlier demonstration has left: its machine has the name and the addresses of the next one's.

    Raises:
        HostError: ProgramFailed when it does not go.
    """
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s", deadline=200)


def migrate(project: Project, guest: SampleGuest, folder: Path) -> Shown:
    """Migrate a guest's OVA by the example, and wait until KubeVirt has run it to its login.

    Args:
        project: a namespace on a cluster with the product, CDI and KubeVirt.
        guest: the BIOS guest, which the example names.
        folder: takes the picture and the report.

    Raises:
        HostError: ProgramFailed with the migration's failure; ProgramTimedOut.
    """
    say(f"{guest.ova.name}, as VMware exports it, onto the claim exports")
    project.source({guest.ova.name: guest.ova}, size="1Gi")
    say(f"kubectl apply --namespace {project.namespace} -f {EXAMPLE.relative_to(REPOSITORY)}")
    project.kubectl("apply", f"--filename={EXAMPLE}")
    status = _watched(project)
    machine = str(status["virtualMachineName"])
    running.wait_running(project.cluster, project.namespace, machine)
    # The banner over the login prompt.
    running.wait_console(project.cluster, project.namespace, machine, f"{guest.name} ttyS0")
    say("the guest runs under KubeVirt and asks for a login")
    print(project.kubectl("get", "vmig,datavolume,virtualmachine"), flush=True)  # noqa: T201 -- what a user would see
    folder.mkdir(parents=True, exist_ok=True)
    screen = folder / "kubevirt-screen.png"
    running.screenshot(project.cluster, project.namespace, machine, screen)
    say(f"{'screen':<10} {near(screen)}")
    return Shown(status, screen, _report(project, folder))


def _watched(project: Project) -> Json:
    """Tell each change until the migration has succeeded; its status."""
    before, began = "", time.monotonic()
    status: Json = {}
    while status.get("phase") not in FINAL:
        if time.monotonic() - began > _DEADLINE:
            raise HostError(
                Reason.PROGRAM_TIMED_OUT,
                f"{_NAME} is still {before} after {_DEADLINE / 60:.0f} min",
                hint="Look at its pods and at the operator's log.",
            )
        status = project.status(_NAME)
        told = " · ".join(str(status[key]) for key in ("phase", "progress") if status.get(key))
        if told != before:
            say(f"{_NAME}: {told}")
            before = told
        time.sleep(1)
    if status["phase"] != "Succeeded":
        failure = status.get("failure", {"reason": status["phase"], "message": before, "hint": "Look at its events."})
        raise HostError(
            Reason.PROGRAM_FAILED, f"{_NAME}: {failure['reason']}: {failure['message']}", hint=failure["hint"]
        )
    return status


def _report(project: Project, folder: Path) -> Path:
    told = project.h2k("report", "--namespace", project.namespace, _NAME, "--output", folder)
    pages = [Path(line) for line in told.stdout.splitlines() if line.endswith(".html")]
    if not pages:
        raise HostError(Reason.PROGRAM_FAILED, f"h2k report: {told.stderr}", hint="Look at the operator's log.")
    say(f"{'report':<10} {near(pages[0])}")
    return pages[0]


if __name__ == "__main__":
    sys.exit(main())
