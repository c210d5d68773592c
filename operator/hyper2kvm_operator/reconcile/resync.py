"""Forgets what was deleted while no watch looked.

A watch that was away for too long lists everything anew (the API server's 410 Gone), and kopf then tells of what is
there, not of what is gone.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER, Resources

CHILDREN = (Resources.JOB, Resources.POD, Resources.CLAIM, Resources.DATA_VOLUME)
"""Kinds of children that are watched, by their label."""

_log = logging.getLogger("hyper2kvm.resync")

_PAUSE = 5.0


class Resync:
    """Compares the cache with the API server a moment after a watch has listed anew."""

    def __init__(
        self,
        client: KubeClient,
        cache: Cache,
        namespaces: Sequence[str],
        gone: Callable[[Resources, KubeObject], None],
        *,
        pause: float = _PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`namespaces` are those that are watched, all when empty; `gone` is told what is there no more."""
        self._client = client
        self._cache = cache
        self._namespaces: Sequence[str | None] = namespaces or [None]
        self._gone = gone
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: set[Resources] = set()

    def listed(self, kind: Resources) -> None:
        """A watch has listed this kind: compare soon, once for all objects of the list."""
        with self._lock:
            if kind in self._pending:
                return
            self._pending.add(kind)
        timer = threading.Timer(self._pause, self._run, (kind,))
        timer.daemon = True
        timer.start()

    def compare(self, kind: Resources) -> None:
        """List a kind and forget what is not in the list.

        Raises:
            RefusedError, UnreachableError: no list, nothing forgotten.
        """
        since = self._clock()
        labels = f"{MANAGED_BY}={MANAGER}" if kind in CHILDREN else None
        found: set[str] = set()
        for namespace in self._namespaces:
            found |= self._client.uids(kind.value, namespace, labels=labels)
        for value in self._cache.unseen(kind.value, since, found):
            _log.info("%s %s is gone", kind.value.kind, value["metadata"]["name"])
            self._gone(kind, value)

    def _run(self, kind: Resources) -> None:
        with self._lock:
            self._pending.discard(kind)
        try:
            self.compare(kind)
        except (RefusedError, UnreachableError) as error:
            _log.warning("%s are not compared yet: %s", kind.value.plural, error)
            self.listed(kind)
