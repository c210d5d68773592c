"""The operator's process: settings, client, loop, watches, health."""

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Collection, Sequence
from functools import partial

import kopf

from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.migration import Phase
from hyper2kvm_operator.handlers.watch import Changes, registry
from hyper2kvm_operator.health import HealthServer
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient
from hyper2kvm_operator.kube.namespaces import refusing, wait_permitted
from hyper2kvm_operator.logs import configure
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.loop import Loop
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader
from hyper2kvm_operator.reconcile.migration.observe import Observer
from hyper2kvm_operator.reconcile.migration.reconcile import MigrationReconciler
from hyper2kvm_operator.reconcile.resync import Resync
from hyper2kvm_operator.settings import Settings, from_environment

_log = logging.getLogger("hyper2kvm")

_SELDOM = (50_000, 20, 50)
"""Python's thresholds for looking for cycles. By default it looks through all that is there hundreds of times while
thousands of objects are read at the start, a fifth of the time that this takes, and finds nothing."""

_NOWHERE = "!*"
"""kopf's pattern that no namespace matches. No pattern at all would be every namespace."""


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    try:
        settings, client = from_environment(os.environ), KubeClient()
    except Hyper2kvmError as error:
        print(f"{error.reason}: {error.message}", file=sys.stderr)  # noqa: T201 -- there is no log yet
        return error.exit_code
    configure(settings.log_format)
    gc.freeze()
    gc.set_threshold(*_SELDOM)
    asyncio.run(serve(settings, client))
    return 0


async def serve(settings: Settings, client: KubeClient, stop: asyncio.Event | None = None) -> None:
    """Run the operator until `stop` is set, or until a namespace that refused it does so no more.

    Args:
        settings: the operator's settings.
        client: the client to the API server.
        stop: ends the operator; SIGTERM and SIGINT do in any case.

    Raises:
        Exception: what kept the workers from their beginning, or the watches from going on.
    """
    cache, metrics, ended = Cache(), Metrics(), threading.Event()
    observer = Observer(client, cache, AbilityReader(client), settings)
    reconciler = MigrationReconciler(client, cache, observer, metrics)
    loop = Loop(reconciler, cache, metrics, workers=settings.workers, limit=settings.max_concurrent)
    client.on_request = metrics.requests.inc
    for phase in Phase:
        metrics.migrations.labels(phase.value).set_function(partial(_count, cache, phase))
    health = HealthServer(settings.port, metrics.registry, loop.age, loop.working)
    changes = Changes(cache, loop.queue)
    resync = Resync(client, cache, settings.watch_namespaces, changes.gone)
    health.start()
    _log.info("started; conversion image %s", settings.conversion_image)
    stop = stop or asyncio.Event()
    # kopf ends when a namespace refuses what it watches there (after 54 s), and with it the work in all others.
    refused = await asyncio.to_thread(refusing, client, settings.watch_namespaces)
    working = asyncio.create_task(asyncio.to_thread(_work, resync, loop, ended))
    # An operator that watches and never works would look well.
    working.add_done_callback(lambda done: stop.set() if done.exception() else None)
    # kopf takes its namespaces at its start only: the kubelet starts the operator anew.
    waiting = asyncio.create_task(asyncio.to_thread(wait_permitted, client, refused, ended))
    waiting.add_done_callback(lambda _: stop.set())
    try:
        await kopf.operator(
            registry=registry(changes, resync.listed),
            clusterwide=not settings.watch_namespaces,
            namespaces=_watched(settings.watch_namespaces, refused),
            standalone=True,
            stop_flag=stop,
        )
    finally:
        ended.set()
        await working
        await waiting
        await asyncio.to_thread(loop.stop)
        health.stop()
        _log.info("stopped")


def _watched(namespaces: Sequence[str], refused: Collection[str]) -> list[str]:
    """What kopf is to watch: what does not refuse of these namespaces, or, with an empty list, every namespace."""
    permitted = [one for one in namespaces if one not in refused]
    return [_NOWHERE] if namespaces and not permitted else permitted


def _work(resync: Resync, loop: Loop, ended: threading.Event) -> None:
    """Let the workers begin once the watches have told of everything, and hold what they know against the server."""
    if resync.wait_whole(ended):
        loop.start()
        _log.info("working")
        resync.keep(ended)


def _count(cache: Cache, phase: Phase) -> int:
    return sum(1 for migration in cache.migrations() if (migration.phase or Phase.PENDING) == phase)


if __name__ == "__main__":
    sys.exit(main())
