"""Moments of a conversion: seen in its pod's log on the node as soon as they are there, and held while something happens.

Format of the log: https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hyper2kvm_operator.build.pod import CONTAINER
from lab.cluster import cgroups
from lab.scenario.objects import Json
from lab.scenario.project import Project, not_reached

Moment = Callable[[Json], bool]
"""Whether an event of the pipeline is the one that is waited for."""

_PAUSE = 0.02


def began(stage: str) -> Moment:
    """A stage has begun."""
    return lambda event: (event["type"], event.get("stage")) == ("StageStarted", stage)


def copied(count: int) -> Moment:
    """So many bytes of one disk have been copied."""
    return lambda event: event["type"] == "Progress" and event["done"] >= count


def reach(project: Project, name: str, moment: str | Moment, *, deadline: float = 180) -> str:
    """Wait for a moment of a migration's newest convert pod; the pod's name.

    Args:
        project: where the migration is.
        name: its name.
        moment: a stage that begins, by its name, or any moment.
        deadline: seconds.

    Raises:
        HostError: ProgramTimedOut with the status that the migration has instead.
    """
    wanted = began(moment) if isinstance(moment, str) else moment
    until = time.monotonic() + deadline
    before = None
    while time.monotonic() < until:
        folders = _folders(project, f"{name}-convert-*")
        written = _written(folders[-1]) if folders else None
        if folders and written != before and any(wanted(event) for event in _events(folders[-1])):
            return folders[-1].name.split("_")[1]
        before = written
        time.sleep(_PAUSE)
    raise not_reached(project.namespace, name, (str(moment),), project.status(name))


@contextmanager
def held(project: Project, name: str, moment: str | Moment = "Fetch") -> Iterator[str]:
    """The name of the convert pod, whose processes are stopped at a moment and go on when the context ends.

    Args:
        project: where the migration is.
        name: its name.
        moment: when; as soon as there is work to stop, by default.
    """
    pod = reach(project, name, moment)
    uid = _folders(project, pod)[-1].name.split("_")[2]
    _signal(project, uid, signal.SIGSTOP)
    try:
        assert not {event["type"] for event in events(project, pod)} & {"Succeeded", "Failed"}
        yield pod
    finally:
        _signal(project, uid, signal.SIGCONT)


def kill_in(project: Project, name: str, stage: str, *, moment: Moment | None = None) -> str:
    """Delete the convert pod without a warning while it is in a stage; its name.

    Args:
        project: where the migration is.
        name: its name.
        stage: what the pod is in: it is stopped there first, so that nothing else is hit.
        moment: when; as soon as the stage begins when None.
    """
    with held(project, name, moment or stage) as pod:
        told = events(project, pod)
        assert _last(told, "StageStarted") == stage
        assert _last(told, "StageFinished") != stage
        project.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    return pod


def events(project: Project, pod: str) -> list[Json]:
    """What a convert pod has told."""
    return list(_events(_folders(project, pod)[-1]))


def stages(project: Project, pod: str, type_: str) -> list[str]:
    """The stages of a convert pod's events of a type: StageStarted, StageSkipped or StageFinished."""
    return [str(event["stage"]) for event in events(project, pod) if event["type"] == type_]


def _last(told: list[Json], type_: str) -> str:
    found = [str(event["stage"]) for event in told if event["type"] == type_]
    return found[-1] if found else ""


def _signal(project: Project, uid: str, number: signal.Signals) -> None:
    for process in cgroups.processes(project.cluster.layout.cgroup, uid):
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _folders(project: Project, pod: str) -> list[Path]:
    """Log folders of pods, the newest last."""
    found = project.cluster.layout.pod_logs.glob(f"{project.namespace}_{pod}_*")
    return sorted(found, key=lambda folder: folder.stat().st_mtime)


def _written(folder: Path) -> tuple[Path, dict[str, int]]:
    """How much a pod has told until now."""
    return folder, {log.name: log.stat().st_size for log in _logs(folder)}


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{CONTAINER}/*.log"))


def _events(folder: Path) -> Iterator[Json]:
    for log in _logs(folder):
        for line in _lines(log):
            if line.startswith("{"):
                yield json.loads(line)


def _lines(log: Path) -> Iterator[str]:
    """What was written: a long line is kept in parts, and the last one may not be whole yet."""
    begun = ""
    for line in log.read_text(errors="replace").splitlines(keepends=True):
        if line.endswith("\n"):
            _, _, tag, text = line[:-1].split(" ", 3)
            begun += text
            if tag == "F":
                yield begun
                begun = ""
