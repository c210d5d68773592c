"""A small client: objects as JSON by kind and name, server-side apply, typed refusals."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from hyper2kvm_api.errors import ClusterError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError, refused
from hyper2kvm_operator.kube.resources import MANAGER, Resource

KubeObject: TypeAlias = dict[str, Any]
"""An object of Kubernetes as JSON."""

TIMEOUT = 20.0
"""Seconds that one request may take."""

LOG_TIMEOUT = 5.0
"""Seconds that a log may take: the API server asks the node for it, which may be gone."""

_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_UNPROCESSABLE = 422
"""What the server answers when a test of a patch does not hold."""

LOG_BYTES = 4 * 1024 * 1024
"""Bytes of a pod's log that are read at most."""


class KubeClient:
    """Requests to the API server. Safe to use from several threads.

    Every method raises RefusedError (the server's answer, by reason) or UnreachableError (no answer).
    """

    def __init__(self, api: client.ApiClient | None = None) -> None:
        """`api` is a configured ApiClient; the user's kubeconfig or the pod's service account when None.

        Raises:
            ClusterError: ClusterNotConfigured.
        """
        self._api = api or _configured()
        self.on_request: Callable[[], None] = _nothing
        """Called before each request, by the thread that sends it."""

    def get(self, resource: Resource, namespace: str | None, name: str) -> KubeObject | None:
        """An object, or None when there is none (or its kind is not installed)."""
        try:
            return self._json("GET", resource.path(namespace, name))
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> list[KubeObject]:
        """The objects of a kind, in one namespace or in all; none when the kind is not installed."""
        return list(self.each(resource, namespace, labels=labels, fields=fields))

    def each(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> Iterator[KubeObject]:
        """As `list`, one after the other: of those that are passed over no more than a page is in memory."""
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        for page in self._pages(resource, namespace, labels, fields, _JSON):
            for item in page:
                yield {**kind, **item}

    def uids(self, resource: Resource, namespace: str | None = None, *, labels: str | None = None) -> set[str]:
        """The uids of the objects of a kind, as `list`; nothing else of them is fetched (Kubernetes, "Metadata-only")."""
        return {
            value["metadata"]["uid"]
            for page in self._pages(resource, namespace, labels, None, _METADATA)
            for value in page
        }

    def _pages(
        self, resource: Resource, namespace: str | None, labels: str | None, fields: str | None, accept: str
    ) -> Iterator[Sequence[KubeObject]]:
        query = {"limit": "500", "labelSelector": labels, "fieldSelector": fields, "continue": None}
        while True:
            try:
                page = self._json("GET", resource.path(namespace), query=query, accept=accept)
            except RefusedError as error:
                if error.status == 404:
                    return
                raise
            # Go's way to say of a metadata-only list that it is empty is null.
            yield page.get("items") or []
            query["continue"] = page.get("metadata", {}).get("continue")
            if not query["continue"]:
                return

    def try_list(self, resource: Resource, namespace: str) -> None:
        """Ask for one object of a kind, only to see whether that is refused."""
        self._json("GET", resource.path(namespace), query={"limit": "1"}, accept=_METADATA)

    def serves(self, resource: Resource) -> bool:
        """Whether the kind is installed, as the server's discovery says, which everybody may ask."""
        prefix = "/apis" if resource.group else "/api"
        try:
            told = self._json("GET", f"{prefix}/{resource.api_version}")
        except RefusedError as error:
            if error.status == 404:
                return False
            raise
        return any(one["name"] == resource.plural for one in told.get("resources", []))

    def apply(self, resource: Resource, value: KubeObject) -> KubeObject:
        """Server-side apply of the fields that the object states, taking over conflicts with other managers."""
        metadata = value["metadata"]
        return self._json(
            "PATCH",
            resource.path(metadata.get("namespace"), metadata["name"]),
            query={"fieldManager": MANAGER, "force": "true"},
            body=value,
            content_type="application/apply-patch+yaml",
        )

    def create(self, resource: Resource, value: KubeObject, *, rehearsal: bool = False) -> KubeObject:
        """Create an object; RefusedError with AlreadyExists when there is one of that name.

        A rehearsal goes through admission, and nothing is stored.
        """
        query = {"dryRun": "All" if rehearsal else None}
        return self._json("POST", resource.path(value["metadata"].get("namespace")), query=query, body=value)

    def patch(self, resource: Resource, namespace: str | None, name: str, patch: KubeObject) -> KubeObject:
        """Merge a partial object (RFC 7396). With metadata.resourceVersion: RefusedError with Conflict when it is stale."""
        return self._json(
            "PATCH", resource.path(namespace, name), body=patch, content_type="application/merge-patch+json"
        )

    def remove_item(self, resource: Resource, namespace: str | None, name: str, place: str, item: str) -> KubeObject:
        """Remove an item of a list by its place (RFC 6902); RefusedError with Conflict when something else is there."""
        operations = [{"op": "test", "path": place, "value": item}, {"op": "remove", "path": place}]
        path = resource.path(namespace, name)
        try:
            return self._json("PATCH", path, body=operations, content_type="application/json-patch+json")
        except RefusedError as error:
            if error.status == _UNPROCESSABLE:
                raise RefusedError(409, "Conflict", error.message, error.request) from None
            raise

    def put_status(self, resource: Resource, value: KubeObject) -> KubeObject:
        """Apply an object's status: what is not stated any more is removed.

        With metadata.uid: RefusedError with Conflict when another object has taken the name.
        """
        metadata = value["metadata"]
        return self._json(
            "PATCH",
            resource.path(metadata["namespace"], metadata["name"]) + "/status",
            query={"fieldManager": MANAGER, "force": "true"},
            body=value,
            content_type="application/apply-patch+yaml",
        )

    def delete(self, resource: Resource, namespace: str | None, name: str, *, uid: str | None = None) -> None:
        """Delete an object and, in the background, what it owns. Nothing happens when it is gone.

        With `uid`: RefusedError with Conflict when another object has taken the name.
        """
        body: KubeObject = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", resource.path(namespace, name), body=body)
        except RefusedError as error:
            if error.status != 404:
                raise

    def log(self, namespace: str, pod: str, *, container: str, tail: int) -> str | None:
        """The last lines of a container's log, or None when there is none yet.

        The server counts limitBytes from the first of these lines: more than LOG_BYTES lose their end.
        """
        query = {"container": container, "tailLines": str(tail), "limitBytes": str(LOG_BYTES)}
        try:
            path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
            return self._request("GET", path, query, timeout=LOG_TIMEOUT).decode(errors="replace")
        except RefusedError as error:
            if error.status in {400, 404}:
                return None
            raise

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: KubeObject | Sequence[KubeObject] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> KubeObject:
        return cast("KubeObject", json.loads(self._request(method, path, query, body, content_type, accept)))

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | None] | None = None,
        body: KubeObject | Sequence[KubeObject] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        timeout: float = TIMEOUT,
    ) -> bytes:
        self.on_request()
        given = [(key, value) for key, value in (query or {}).items() if value is not None]
        serialized = self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=given,
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*serialized, _request_timeout=timeout)
            data = response.read()
        except ApiException as error:
            raise refused(error.status, error.body, f"{method} {path}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"{method} {path}: {error}") from None
        if response.status >= 400:
            raise refused(response.status, data, f"{method} {path}")
        return bytes(data)


def _nothing() -> None:
    pass


def _configured() -> client.ApiClient:
    """By the kubeconfig that KUBECONFIG names; without one by the pod's service account, else by ~/.kube/config.

    Raises:
        ClusterError: ClusterNotConfigured.
    """
    named = os.environ.get("KUBECONFIG")
    ways: list[Callable[[], None]] = [] if named else [config.load_incluster_config]
    ways.append(partial(config.load_kube_config, named or None))
    told = ""
    for load in ways:
        try:
            load()
        except (config.ConfigException, yaml.YAMLError, OSError) as error:
            told = str(error)
            continue
        configuration = client.Configuration.get_default_copy()
        # Whoever asks knows when to ask again; urllib3 would repeat a request that timed out three times.
        configuration.retries = False
        return client.ApiClient(configuration)
    raise ClusterError(Reason.CLUSTER_NOT_CONFIGURED, f"no cluster to talk to: {told}")
