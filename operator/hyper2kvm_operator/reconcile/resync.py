"""Holds the cache against the API server: at the start until it is whole, later for what was deleted unseen.

A watch that was away for too long lists everything anew (the API server's 410 Gone), and kopf then tells of what is
there, not of what is gone; of a list that holds nothing it tells nothing at all.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.namespaces import where_permitted
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER, Resources

CHILDREN = (Resources.JOB, Resources.POD, Resources.CLAIM, Resources.DATA_VOLUME)
"""Kinds of children that are watched, by their label."""

WATCHED = (Resources.MIGRATION, Resources.PROFILE, *CHILDREN)
"""All kinds that are watched."""

_log = logging.getLogger("hyper2kvm.resync")

_PAUSE = 5.0
_LOOK = 0.1
"""Seconds between looks at a cache that is being filled."""

_PERIOD = 600.0
"""Seconds between two comparisons of everything, whatever the watches have told."""


class Resync:
    """Compares the cache with the API server a moment after a watch has listed anew, and now and then."""

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
        self._whole: set[Resources] = set()
        self._pending: set[Resources] = set()

    def listed(self, kind: Resources) -> None:
        """A watch has listed this kind: compare soon, once for all objects of the list.

        Until the kind is whole for the first time, `wait_whole` compares.
        """
        with self._lock:
            if kind in self._pending or kind not in self._whole:
                return
            self._pending.add(kind)
        timer = threading.Timer(self._pause, self._run, (kind,))
        timer.daemon = True
        timer.start()

    def keep(self, stop: threading.Event, period: float = _PERIOD) -> None:
        """Compare every kind each `period` seconds, until `stop` is set."""
        while not stop.wait(period):
            for kind in WATCHED:
                self.listed(kind)

    def compare(self, kind: Resources) -> None:
        """List a kind and forget what is not in the list.

        Raises:
            RefusedError, UnreachableError: no list, nothing forgotten.
        """
        since = self._clock()
        self._forget(kind, since, self._uids(kind))

    def wait_whole(self, stop: threading.Event) -> bool:
        """Wait until the watches have told of all that there is; False when `stop` was set before.

        Whoever decides on half of what there is takes what he does not see for absent.
        """
        for kind in WATCHED:
            while not stop.is_set():
                since = self._clock()
                try:
                    wanted = self._uids(kind)
                except (RefusedError, UnreachableError) as error:
                    _log.warning("%s are not listed yet: %s", kind.value.plural, error)
                    stop.wait(self._pause)
                    continue
                if self._filled(kind, wanted, stop):
                    self._forget(kind, since, wanted)
                    with self._lock:
                        self._whole.add(kind)
                    break
        return not stop.is_set()

    def _filled(self, kind: Resources, wanted: set[str], stop: threading.Event) -> bool:
        """Whether the cache has all of these within a pause; what was deleted meanwhile never comes."""
        deadline = self._clock() + self._pause
        while not self._cache.holds(kind.value, wanted):
            if self._clock() > deadline or stop.wait(_LOOK):
                return False
        return True

    def _forget(self, kind: Resources, since: float, there: set[str]) -> None:
        """Forget what was last told of before a moment of the clock, and a list made after it does not hold."""
        for value in self._cache.unseen(kind.value, since, there):
            _log.info("%s %s is gone", kind.value.kind, value["metadata"]["name"])
            self._gone(kind, value)

    def _uids(self, kind: Resources) -> set[str]:
        """The uids of what there is. Of a namespace that refuses nothing is waited for, and nothing forgotten."""
        labels = f"{MANAGED_BY}={MANAGER}" if kind in CHILDREN else None
        found: set[str] = set()
        for namespace in self._namespaces:
            there = self._cache.uids(kind.value, namespace)
            with where_permitted(namespace):
                there = self._client.uids(kind.value, namespace, labels=labels)
            found |= there
        return found

    def _run(self, kind: Resources) -> None:
        with self._lock:
            self._pending.discard(kind)
        try:
            self.compare(kind)
        except (RefusedError, UnreachableError) as error:
            _log.warning("%s are not compared yet: %s", kind.value.plural, error)
            self.listed(kind)
