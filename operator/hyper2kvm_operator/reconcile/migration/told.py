"""What pods tell on their standard output, read from their logs; a node that does not answer is not asked again at once."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hyper2kvm_operator.build.pod import CONTAINER
from hyper2kvm_operator.kube.client import KubeClient
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError

_PAUSE = 30.0
"""Seconds for which a pod is left alone whose log could not be read."""


@dataclass(frozen=True)
class Told:
    """The end of a log.

    Attributes:
        text: its last lines; None when there is none.
        trouble: why it cannot be read at the moment; the log may be there all the same.
    """

    text: str | None = None
    trouble: str | None = None


class LogReader:
    """Reads logs. Safe to use from several threads."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._silent: dict[tuple[str, str], tuple[float, str]] = {}

    def read(self, namespace: str, pod: str, *, lines: int) -> Told:
        """The last lines of a pod's log. A refusal that has nothing to do with the pod's node is raised.

        Raises:
            RefusedError: the operator may not read it.
        """
        place = (namespace, pod)
        with self._lock:
            since, trouble = self._silent.get(place, (0.0, ""))
            if trouble and self._clock() - since < _PAUSE:
                return Told(trouble=trouble)
            self._silent.pop(place, None)
        try:
            return Told(text=self._client.log(namespace, pod, container=CONTAINER, tail=lines))
        except RefusedError as refusal:
            if refusal.status < 500:
                raise
            trouble = refusal.message
        except UnreachableError as error:
            trouble = str(error)
        with self._lock:
            now = self._clock()
            self._silent = {one: told for one, told in self._silent.items() if now - told[0] < _PAUSE}
            self._silent[place] = (now, trouble)
        return Told(trouble=trouble)
