"""The namespaces that the operator is limited to, where they refuse it: passed over, told of, and tried again.

Its rights in such a namespace are a RoleBinding there, which goes with the namespace. A namespace that is not there
refuses as well: authorization comes before the look.
"""

import functools
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from hyper2kvm_operator.kube.client import KubeClient
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources

_log = logging.getLogger("hyper2kvm.namespaces")

_PAUSE = 60.0
"""Seconds after which a namespace that refuses is tried again."""


@contextmanager
def where_permitted(namespace: str | None) -> Iterator[None]:
    """Do without what a namespace refuses. That all of them (None) refuse is raised, as is any other error."""
    try:
        yield
    except RefusedError as error:
        if namespace is None or error.status != HTTPStatus.FORBIDDEN:
            raise
        _tell(namespace)


def refusing(client: KubeClient, namespaces: Sequence[str]) -> list[str]:
    """Those of the namespaces in which migrations may not be listed. Who does not answer has not refused."""
    return [one for one in namespaces if _permits(client, one) is False]


def wait_permitted(client: KubeClient, namespaces: Sequence[str], stop: threading.Event, pause: float = _PAUSE) -> None:
    """Wait until migrations may be listed in one of these namespaces, or until `stop` is set."""
    while not stop.wait(pause):
        for one in namespaces:
            if not stop.is_set() and _permits(client, one):
                _log.info("the namespace %s does not refuse any more: the operator starts anew and watches it", one)
                return


def _permits(client: KubeClient, namespace: str) -> bool | None:
    """Whether migrations may be listed in a namespace; None when the server says neither."""
    permitted = False
    try:
        with where_permitted(namespace):
            client.try_list(Resources.MIGRATION.value, namespace)
            permitted = True
    except (RefusedError, UnreachableError) as error:
        _log.warning("whether the namespace %s refuses is not known yet: %s", namespace, error)
        return None
    return permitted


@functools.cache
def _tell(namespace: str) -> None:
    """Log that a namespace refuses, once in the life of the process."""
    _log.warning(
        "the namespace %s refuses the operator: nothing in it is seen or worked on. Make the RoleBinding in it again, as "
        "helm upgrade does, or take it out of watchNamespaces",
        namespace,
    )
