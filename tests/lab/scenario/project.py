"""A namespace with migrations in it: what a user applies, watches and finds afterwards."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER, NAME_LABEL
from lab.cluster.cluster import Cluster
from lab.cluster.progress import wait_for
from lab.command import Ended, h2k
from lab.scenario.objects import SOURCE, Json, claim

FINAL = ("Succeeded", "Failed", "Cancelled")
KIND = "virtualmachinemigration"
_OWN = ("job", "pod", "persistentvolumeclaim", "configmap", "secret", "service", "datavolume")
"""Kinds of what the operator makes."""

_GIVEN = ("serviceaccount/default", "configmap/kube-root-ca.crt")
"""What Kubernetes puts into each namespace."""

_PAUSE = 0.3


class Project:
    """A namespace.

    Attributes:
        cluster: where it lies.
        namespace: its name.
        files: the sources, by their paths on the claim.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.files: Mapping[str, Path] = {}
        self._sources: dict[str, str] = {}

    def source(self, files: Mapping[str, Path], *, size: str = "256Mi") -> None:
        """Put files on the claim of the sources, and remember what they are.

        Raises:
            HostError: of the cluster.
        """
        self.apply(claim(SOURCE, "lab-immediate", size))
        self.cluster.wait("persistentvolumeclaim", SOURCE, "status.phase", "Bound", namespace=self.namespace)
        self.files = dict(files)
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

    def apply(self, *manifests: Json | str) -> None:
        """Apply objects or YAML texts in this namespace.

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

    def h2k(self, *arguments: str | Path, deadline: float = 60, **environment: str) -> Ended:
        """h2k as the cluster's administrator; `environment` are variables beside this process's."""
        return h2k(*arguments, deadline=deadline, KUBECONFIG=str(self.cluster.kubeconfig), **environment)

    def get(self, kind: str, name: str) -> Json | None:
        """An object, or None."""
        return self.cluster.get(kind, name, self.namespace)

    def items(self, kind: str, selector: str = "") -> list[Json]:
        """The objects of a kind."""
        return self.cluster.items(kind, self.namespace, selector)

    def key(self, name: str) -> MigrationKey:
        """What the names of a migration's objects are made from."""
        return MigrationKey(self.namespace, name, str((self.get(KIND, name) or {})["metadata"]["uid"]))

    def status(self, name: str) -> Json:
        """A migration's status; empty when there is none."""
        status: Json = (self.get(KIND, name) or {}).get("status", {})
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
            found = self.get(KIND, name) or {}
            status: Json = found.get("status", {})
            seen = bool(found) and status.get("observedGeneration") == found["metadata"]["generation"]
            if seen and status.get("phase") in phases:
                return status
            ended = seen and status.get("phase") in FINAL
            if ended or time.monotonic() - began > deadline:
                raise not_reached(self.namespace, name, phases, status)
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
                raise not_reached(self.namespace, name, (reason,), status)
            time.sleep(_PAUSE)

    def pods(self, name: str, role: str) -> list[Json]:
        """The pods of a migration's Job, the newest last."""
        found = self.items("pod", f"job-name={name}-{role}")
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and message of the Events on a migration."""
        about = f"involvedObject.name={name},involvedObject.kind=VirtualMachineMigration"
        return [
            (event["reason"], event["message"]) for event in self.cluster.items("event", self.namespace, fields=about)
        ]

    def wait_event(self, name: str, reason: str, *, deadline: float = 30) -> list[tuple[str, str]]:
        """Wait until an Event on a migration has this reason; all of them. The status tells first, its Event follows.

        Raises:
            HostError: ProgramTimedOut with the reasons that there are.
        """

        def missing() -> str | None:
            reasons = [one for one, _ in self.events(name)]
            return None if reason in reasons else f"there are {', '.join(reasons) or 'none'}"

        wait_for(f"Event {reason} on {self.namespace}/{name}", missing, deadline=deadline, pause=_PAUSE)
        return self.events(name)

    def delete(self, *names: str, deadline: float = 120) -> None:
        """Delete migrations and wait until they are gone.

        Raises:
            HostError: ProgramFailed when one does not go.
        """
        self.kubectl("delete", KIND, *names, f"--timeout={deadline:.0f}s", deadline=deadline + 10)

    def leftovers(self, kept: Iterable[str] = (), *, of: str = "", patience: float = 45) -> list[str]:
        """What is still there, apart from what is to be kept and what was given, as `kind/name`.

        Owned objects go in the background: they get some patience.

        Args:
            kept: what is to be there.
            of: only what is labelled as this migration's; everything in the namespace, whoever made it, when empty.
            patience: seconds.
        """
        began = time.monotonic()
        every = _OWN if of else tuple(self._kinds())
        kinds = every
        while True:
            found = (self._labelled(of, kinds) if of else self._everything(kinds)) - set(kept)
            if not found and kinds == every:
                return []
            if found and time.monotonic() - began > patience:
                return sorted(found)
            # To list every kind is dear: what is on its way out is looked for alone, and in the end everything again.
            # Volumes are known by their claims.
            going = {one.partition("/")[0] for one in found if "/" in one}
            kinds = tuple(sorted({*going, "persistentvolumeclaim"})) if going else every
            time.sleep(_PAUSE)

    def image(self, claim_name: str, file: str = "disk.img") -> Path:
        """A disk on a claim, as the host sees it: a file, or a block device."""
        place = self.cluster.host_folder_for(claim_name, self.namespace)
        return place if place.is_block_device() else place / file

    def _labelled(self, name: str, kinds: Iterable[str]) -> set[str]:
        """Every object of these kinds that is labelled as a migration's, as `kind/name`."""
        selector = f"{MANAGED_BY}={MANAGER},{NAME_LABEL}={name}"
        return {_named(kind, one) for kind in kinds for one in self.items(kind, selector)}

    def _kinds(self) -> list[str]:
        """Every kind of object that a namespace may hold, but Events."""
        return [kind for kind in self.cluster.kubectl.api.kinds() if kind.partition(".")[0] != "event"]

    def _everything(self, kinds: Iterable[str]) -> set[str]:
        """Every object of these kinds in the namespace, and the volumes of claims that are gone."""
        found = {_named(kind, one) for kind in kinds for one in self.items(kind)}
        holders = [volume["spec"].get("claimRef", {}) for volume in self.cluster.items("persistentvolume")]
        claims = {holder["name"] for holder in holders if holder.get("namespace") == self.namespace}
        lost = {f"persistentvolume of {name}" for name in claims if f"persistentvolumeclaim/{name}" not in found}
        return (found | lost) - {*_GIVEN, f"persistentvolumeclaim/{SOURCE}"}

    def _folder(self) -> Path:
        return self.cluster.host_folder_for(SOURCE, self.namespace)

    def _digests(self) -> dict[str, str]:
        folder = self._folder()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): _digest(path) for path in files}


def _named(kind: str, value: Json) -> str:
    """`kind/name`; the kind without its group."""
    return f"{kind.partition('.')[0]}/{value['metadata']['name']}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_reached(namespace: str, name: str, wanted: Iterable[str], status: Json) -> HostError:
    """The error of who has waited for something that a migration does not become."""
    told = {key: status.get(key) for key in ("phase", "stage", "progress", "failure", "conditions")}
    return HostError(
        Reason.PROGRAM_TIMED_OUT,
        f"{namespace}/{name} does not reach {' or '.join(wanted)}: {json.dumps(told)}",
        hint="Look at its pods and at the operator's log.",
    )
