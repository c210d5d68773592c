"""A dynamic provisioner of local volumes: what a CSI driver's provisioner does, on one node.

Runs in the cluster's namespaces. Level-triggered: any change of a claim or a volume, or ten quiet seconds, makes it
compare all claims with all volumes.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3.exceptions
from kubernetes import client, config, watch
from kubernetes.utils import parse_quantity

from hyper2kvm_api.errors import HostError
from lab.cluster.claims import Claim, is_left
from lab.cluster.progress import say
from lab.cluster.storage import PROVISIONER
from lab.cluster.volumes import Volume

_QUIET_SECONDS = 10.0
_PAUSE = 0.3
"""Seconds in which further changes gather."""

_TIMEOUT = 30
_List = Callable[..., Any]


def provision(core: client.CoreV1Api, storage: client.StorageV1Api, folder: Path) -> None:
    """Make the volumes that claims wait for, and remove those whose claims have gone.

    Raises:
        HostError: a volume cannot be made.
        kubernetes.client.ApiException: the API server refuses.
    """
    bindings = {
        one["metadata"]["name"]: one["volumeBindingMode"]
        for one in _items(storage.list_storage_class)
        if one["provisioner"] == PROVISIONER
    }
    existing = {one["metadata"]["name"]: one for one in _items(core.list_persistent_volume)}
    for document in _items(core.list_persistent_volume_claim_for_all_namespaces):
        claim = Claim.read(document)
        if claim.waits(bindings) and claim.volume_name not in existing:
            _create(core, claim, folder)
    for name, volume in existing.items():
        if is_left(volume):
            _delete(core, Volume(folder, name))


def _items(list_objects: _List) -> list[dict[str, Any]]:
    """The objects of a kind as JSON: the client's own decoding of a thousand claims takes seconds."""
    items: list[dict[str, Any]] = json.loads(list_objects(_preload_content=False, _request_timeout=_TIMEOUT).data)[
        "items"
    ]
    return items


def _create(core: client.CoreV1Api, claim: Claim, folder: Path) -> None:
    path = Volume(folder, claim.volume_name).create(int(parse_quantity(claim.size)), claim.mode)
    volume = claim.persistent_volume(path)
    core.create_persistent_volume(volume, _request_timeout=_TIMEOUT)  # type: ignore[arg-type]  # it takes JSON as well
    say(f"{claim.namespace}/{claim.name}: {claim.size} at {path}")


def _delete(core: client.CoreV1Api, volume: Volume) -> None:
    try:
        volume.destroy()
    except HostError as error:
        # The pod that used it is still being removed: the next round tries again.
        say(f"{volume.name} is in use: {error.message}")
        return
    core.delete_persistent_volume(volume.name, _request_timeout=_TIMEOUT)
    say(f"{volume.name}: removed")


def _notice(list_objects: _List, changed: threading.Event) -> None:
    """Set the event at every change of a kind of objects, for ever."""
    while True:
        try:
            for _ in watch.Watch().stream(list_objects, timeout_seconds=300):
                changed.set()
        except (client.ApiException, urllib3.exceptions.HTTPError):
            time.sleep(1)


def main() -> None:
    """Provision until killed."""
    kubeconfig, folder = sys.argv[1:]
    config.load_kube_config(kubeconfig)
    core, storage = client.CoreV1Api(), client.StorageV1Api()
    changed = threading.Event()
    for kind in (core.list_persistent_volume_claim_for_all_namespaces, core.list_persistent_volume):
        threading.Thread(target=_notice, args=(kind, changed), daemon=True).start()
    while True:
        changed.wait(_QUIET_SECONDS)
        changed.clear()
        try:
            provision(core, storage, Path(folder))
        except (client.ApiException, urllib3.exceptions.HTTPError, HostError) as error:
            say(f"trying again: {error}")
            changed.set()
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main()
