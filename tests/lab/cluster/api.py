"""A cluster's objects, read in this process: tests ask many times a second, and to start kubectl is much more work."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import urllib3
import yaml
from kubernetes import client, config

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.client import TIMEOUT, KubeClient
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError, refused
from hyper2kvm_operator.kube.resources import Resource

Json = dict[str, Any]
_T = TypeVar("_T")

_EVERY_KIND = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""Aggregated discovery (https://kubernetes.io/docs/concepts/overview/kubernetes-api/)."""

_READABLE = {"get", "list"}


@dataclass(frozen=True)
class Api:
    """Everything on a cluster; its kinds have the names that kubectl gives them: `job`, `jobs`, `job.batch`, `jobs.batch`.

    Attributes:
        kubeconfig: who asks, and where; read at each use, as another cluster may have come up there.
    """

    kubeconfig: Path

    def get(self, kind: str, name: str, namespace: str) -> Json | None:
        """One object, or None when there is none, or not yet such a kind.

        Raises:
            HostError: ProgramFailed with the API server's refusal, or when it does not answer.
        """
        found = self._kind(kind)
        return _told(lambda: self._connection.client.get(found, namespace, name)) if found else None

    def items(self, kind: str, namespace: str | None = None, *, selector: str = "", fields: str = "") -> list[Json]:
        """The objects of a kind; none when there is not yet such a kind.

        Args:
            kind: by any of its names.
            namespace: where, or everywhere.
            selector: of labels.
            fields: a selector of fields.

        Raises:
            HostError: as `get`.
        """
        found = self._kind(kind)
        if found is None:
            return []
        chosen = {"labels": selector or None, "fields": fields or None}
        return _told(lambda: self._connection.client.list(found, namespace, **chosen))

    def kinds(self) -> list[str]:
        """Each kind of object that lies in namespaces and can be deleted, such as `job.batch`, as of now.

        Raises:
            HostError: as `get`.
        """
        found = {one for one in self._discover().values() if one.namespaced and "delete" in one.verbs}
        return sorted(f"{_singular(one)}.{one.group}".removesuffix(".") for one in found)

    @property
    def _connection(self) -> "_Connection":
        return _connect(self.kubeconfig.read_text())

    def _kind(self, name: str) -> Resource | None:
        return self._connection.kinds.get(name) or self._discover().get(name)

    def _discover(self) -> dict[str, Resource]:
        connection = self._connection
        found = _told(lambda: list(_discovered(connection.api)))
        # Groups and versions come in the order in which they are preferred.
        connection.kinds = {name: one for names, one in reversed(found) for name in names}
        return connection.kinds


@dataclass
class _Connection:
    """To one API server.

    Attributes:
        api: the library's client.
        client: the product's, on it.
        kinds: what was discovered: name → kind.
    """

    api: client.ApiClient
    client: KubeClient
    kinds: dict[str, Resource] = field(default_factory=dict)


@lru_cache(maxsize=4)
def _connect(kubeconfig: str) -> _Connection:
    api = config.new_client_from_config_dict(yaml.safe_load(kubeconfig))
    api.configuration.retries = False
    return _Connection(api, KubeClient(api))


def _discovered(api: client.ApiClient) -> Iterator[tuple[set[str], Resource]]:
    for path in ("/api", "/apis"):
        asked = api.param_serialize("GET", path, header_params={"Accept": _EVERY_KIND}, auth_settings=["BearerToken"])
        response = api.call_api(*asked, _request_timeout=TIMEOUT)
        data = response.read()
        if response.status != HTTPStatus.OK:
            raise refused(response.status, data, f"GET {path}")
        for group in json.loads(data)["items"]:
            for version in group["versions"]:
                for one in version.get("resources", []):
                    # What is there for the sake of its subresources alone has null.
                    if set(one["verbs"] or []) >= _READABLE:
                        yield _resource(group["metadata"].get("name", ""), version["version"], one)


def _resource(group: str, version: str, told: Json) -> tuple[set[str], Resource]:
    """A kind and all of its names (apidiscovery.k8s.io/v2, APIResourceDiscovery)."""
    found = Resource(
        api_version=f"{group}/{version}" if group else version,
        kind=told["responseKind"]["kind"],
        plural=told["resource"],
        verbs=tuple(told["verbs"]),
        namespaced=told["scope"] == "Namespaced",
    )
    names = {_singular(found), found.plural}
    return {*names, *told.get("shortNames", []), *(f"{name}.{group}" for name in names)}, found


def _singular(kind: Resource) -> str:
    return kind.kind.lower()


def _told(request: Callable[[], _T]) -> _T:
    try:
        return request()
    except (RefusedError, UnreachableError, client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        raise HostError(Reason.PROGRAM_FAILED, str(error), hint="Look at the log of kube-apiserver.") from error
