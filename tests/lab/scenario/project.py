"""A namespace with migrations in it: what a user applies, watches and finds afterwards."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER, NAME_LABEL
from lab.cluster.cluster import Cluster

Json = dict[str, Any]

FINAL = ("Succeeded", "Failed", "Cancelled")
KIND = "virtualmachinemigration"
SOURCE = "exports"
"""Name of the claim with the sources."""

_CHILDREN = "job,pod,persistentvolumeclaim,configmap,secret,service,datavolume"
_PAUSE = 0.3


class Project:
    """A namespace.

    Attributes:
        cluster: where it lies.
        namespace: its name.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._sources: dict[str, str] = {}

    def source(self, files: Mapping[str, Path], *, size: str = "256Mi") -> None:
        """Put files on the claim of the sources, and remember what they are.

        Raises:
            HostError: of the cluster.
        """
        self.apply(claim(SOURCE, "lab-immediate", size))
        self.cluster.wait("persistentvolumeclaim", SOURCE, "status.phase", "Bound", namespace=self.namespace)
        folder = self._folder()
        for name, file in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            run(["cp", "--sparse=always", str(file), str(path)], deadline=300)
            path.chmod(0o644)
        self._sources = self._digests()

    def source_is_unchanged(self) -> bool:
        """Whether the sources are what they were."""
        return bool(self._sources) and self._digests() == self._sources

    def apply(self, *manifests: Json) -> None:
        """Apply objects in this namespace.

        Raises:
            HostError: ProgramFailed with the API server's refusal.
        """
        self.cluster.apply(*manifests, namespace=self.namespace)

    def patch(self, name: str, spec: Json) -> None:
        """Merge into a migration's spec.

        Raises:
            HostError: ProgramFailed with the API server's refusal.
        """
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", KIND, name, "--type=merge", f"--patch={patch}")

    def kubectl(self, *arguments: str, deadline: float = 60) -> str:
        """kubectl in this namespace."""
        return self.cluster.kubectl(*arguments, f"--namespace={self.namespace}", deadline=deadline)

    def get(self, kind: str, name: str) -> Json | None:
        """An object, or None."""
        return self.cluster.get(kind, name, self.namespace)

    def items(self, kind: str, selector: str = "") -> list[Json]:
        """The objects of a kind."""
        found: list[Json] = json.loads(self.kubectl("get", kind, f"--selector={selector}", "--output=json"))["items"]
        return found

    def key(self, name: str) -> MigrationKey:
        """What the names of a migration's objects are made from."""
        return MigrationKey(self.namespace, name, str((self.get(KIND, name) or {})["metadata"]["uid"]))

    def status(self, name: str) -> Json:
        """A migration's status; empty when there is none."""
        found = self.get(KIND, name) or {}
        status: Json = found.get("status", {})
        return status

    def phase(self, name: str) -> str:
        """A migration's phase."""
        return str(self.status(name).get("phase", ""))

    def wait_phase(self, name: str, *phases: str, deadline: float = 300) -> Json:
        """Wait until a migration, as it is specified now, is in one of the phases; its status.

        Raises:
            HostError: ProgramTimedOut with the status that it has instead, at once when that is its end.
        """
        began = time.monotonic()
        while True:
            found = self.get(KIND, name) or {"metadata": {}}
            status: Json = found.get("status", {})
            seen = status.get("observedGeneration") == found["metadata"].get("generation")
            if seen and status.get("phase") in phases:
                return status
            ended = seen and status.get("phase") in FINAL
            if ended or time.monotonic() - began > deadline:
                raise _not_reached(self.namespace, name, phases, status)
            time.sleep(_PAUSE)

    def wait_end(self, name: str, *, deadline: float = 400) -> Json:
        """Wait until a migration has ended, however; its status."""
        return self.wait_phase(name, *FINAL, deadline=deadline)

    def wait_reason(self, name: str, reason: str, *, deadline: float = 60) -> Json:
        """Wait until a condition of a migration that does not hold has this reason; the condition.

        Raises:
            HostError: ProgramTimedOut.
        """
        began = time.monotonic()
        while True:
            status = self.status(name)
            found = [one for one in status.get("conditions", []) if one["reason"] == reason]
            if found:
                condition: Json = found[0]
                return condition
            if time.monotonic() - began > deadline:
                raise _not_reached(self.namespace, name, (reason,), status)
            time.sleep(_PAUSE)

    def wait_stage(self, name: str, stage: str, *, deadline: float = 180) -> str:
        """Wait until the newest convert pod says that it has begun a stage; the pod's name.

        Raises:
            HostError: ProgramTimedOut.
        """
        began = time.monotonic()
        started = f'"type":"StageStarted","stage":"{stage}"'
        while time.monotonic() - began < deadline:
            pods = self.pods(name, "convert")
            if pods:
                pod = str(pods[-1]["metadata"]["name"])
                told = self.cluster.kubectl.run("logs", pod, f"--namespace={self.namespace}", check=False)
                if started in told.text:
                    return pod
            time.sleep(0.1)
        raise _not_reached(self.namespace, name, (stage,), self.status(name))

    def pods(self, name: str, role: str) -> list[Json]:
        """The pods of a migration's Job, the newest last."""
        found = self.items("pod", f"job-name={name}-{role}")
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and message of the Events on a migration."""
        path = f"--field-selector=involvedObject.name={name},involvedObject.kind=VirtualMachineMigration"
        found = json.loads(self.kubectl("get", "event", path, "--output=json"))["items"]
        return [(event["reason"], event["message"]) for event in found]

    def delete(self, name: str, *, deadline: float = 120) -> None:
        """Delete a migration and wait until it is gone.

        Raises:
            HostError: ProgramFailed when it does not go.
        """
        self.kubectl("delete", KIND, name, f"--timeout={deadline:.0f}s", deadline=deadline + 10)

    def leftovers(self, kept: Iterable[str] = (), *, of: str = "", patience: float = 45) -> list[str]:
        """What the operator has made and what is still there, apart from what is to be kept, as `kind/name`.

        Owned objects go in the background: they get some patience.

        Args:
            kept: what is to be there.
            of: only what belongs to this migration; of all when empty.
            patience: seconds.
        """
        began = time.monotonic()
        while True:
            found = set(self._made(of)) - set(kept)
            if not found or time.monotonic() - began > patience:
                return sorted(found)
            time.sleep(_PAUSE)

    def image(self, claim_name: str, file: str = "disk.img") -> Path:
        """A disk on a claim, as the host sees it."""
        return self.cluster.host_folder_for(claim_name, self.namespace) / file

    def _made(self, migration_name: str) -> list[str]:
        selector = f"{MANAGED_BY}={MANAGER}" + (f",{NAME_LABEL}={migration_name}" if migration_name else "")
        told = self.kubectl("get", _CHILDREN, f"--selector={selector}", "--output=name")
        return [line.replace("datavolume.cdi.kubevirt.io", "datavolume") for line in told.split()]

    def _folder(self) -> Path:
        return self.cluster.host_folder_for(SOURCE, self.namespace)

    def _digests(self) -> dict[str, str]:
        folder = self._folder()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): _digest(path) for path in files}


def migration(name: str, path: str, **changes: Json | str | bool | list[str]) -> Json:
    """A migration of a file on the claim of the sources, small and without a boot check; `changes` are merged in, None removes."""
    spec: Json = {
        "source": {"files": {"volume": {"persistentVolumeClaim": {"claimName": SOURCE}}, "path": path}},
        "guest": {"whenUnsupported": "Copy"},
        "validation": {"boot": {"enabled": False}},
        "job": {"workspace": {"size": "64Mi"}},
    }
    return {
        "apiVersion": "hyper2kvm.io/v1alpha1",
        "kind": "VirtualMachineMigration",
        "metadata": {"name": name},
        "spec": _merged(spec, changes),
    }


def claim(name: str, storage_class: str, size: str, mode: str = "Filesystem") -> Json:
    """A PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": mode,
            "resources": {"requests": {"storage": size}},
        },
    }


def _merged(under: Json, over: Mapping[str, Any]) -> Json:
    both = {
        key: _merged(under[key], value)
        for key, value in over.items()
        if isinstance(value, dict) and isinstance(under.get(key), dict)
    }
    merged = {**under, **over, **both}
    return {key: value for key, value in merged.items() if value is not None}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_reached(namespace: str, name: str, wanted: Iterable[str], status: Json) -> HostError:
    told = {key: status.get(key) for key in ("phase", "stage", "progress", "failure", "conditions")}
    return HostError(
        Reason.PROGRAM_TIMED_OUT,
        f"{namespace}/{name} does not reach {' or '.join(wanted)}: {json.dumps(told)}",
        hint="Look at its pods and at the operator's log.",
    )
