"""The migrations of a cluster, as the commands read them."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hyper2kvm_api.errors import ClusterError
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.read import read_status

_KIND = Resources.MIGRATION.value


@dataclass(frozen=True)
class Migration:
    """A migration.

    Attributes:
        namespace: its namespace.
        name: its name.
        created: when it was created.
        status: its status; an empty one when it has none yet.
    """

    namespace: str
    name: str
    created: dt.datetime
    status: VirtualMachineMigrationStatus

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self.status.phase or Phase.PENDING


def list_migrations(client: KubeClient, namespace: str | None) -> list[Migration]:
    """The migrations of a namespace or of all.

    Raises:
        ClusterError: the API server refuses or does not answer, or does not know migrations.
    """
    with _told():
        found = client.list(_KIND, namespace)
        known = bool(found) or client.serves(_KIND)
    if not known:
        raise ClusterError(
            Reason.NOT_FOUND,
            f"the cluster has no {_KIND.kind}s: hyper2kvm is not installed there",
            hint="Install the chart, or choose another cluster by KUBECONFIG.",
        )
    return [_migration(value) for value in found]


def fetch_report(namespace: str, name: str, client: KubeClient | None = None) -> dict[str, str]:
    """The files of a migration's report: name → content.

    Raises:
        ClusterError: there is no cluster, the migration or its report is not there, or the API server refuses.
    """
    client = client or KubeClient()
    with _told():
        found = client.get(_KIND, namespace, name)
        report = read_status(found).report if found else None
        kept = client.get(Resources.CONFIG_MAP.value, namespace, report) if report else None
    if found is None:
        raise ClusterError(
            Reason.NOT_FOUND,
            f"there is no migration {namespace}/{name}",
            hint="`h2k status` lists the migrations of all namespaces.",
        )
    if kept is None:
        raise ClusterError(
            Reason.NOT_FOUND,
            f"the migration {namespace}/{name} has no report {'any more' if report else 'yet'}",
            hint="It is written when the pod of a conversion or dry run ends; `h2k status` shows where it stands.",
        )
    files: dict[str, str] = kept.get("data", {})
    return files


@contextmanager
def _told() -> Iterator[None]:
    """The API server's refusals and silence, as errors of a command."""
    try:
        yield
    except RefusedError as error:
        raise ClusterError(Reason.REQUEST_REFUSED, str(error)) from None
    except UnreachableError as error:
        raise ClusterError(Reason.CLUSTER_UNREACHABLE, str(error)) from None


def _migration(value: KubeObject) -> Migration:
    metadata = value["metadata"]
    created = dt.datetime.fromisoformat(metadata["creationTimestamp"])
    return Migration(metadata["namespace"], metadata["name"], created, read_status(value))
