"""A dynamic provisioner of local volumes: what a CSI driver's provisioner does, on one node.

Runs in the cluster's namespaces. Level-triggered: any change of a claim or a volume, or ten quiet seconds, makes it
compare all claims with all volumes.
"""

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
from lab.cluster.layout import NODE
from lab.cluster.progress import say
from lab.cluster.storage import PROVISIONER
from lab.cluster.volumes import Volume, VolumeMode

_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Set by the scheduler on a claim that waits for its first consumer."""

_QUIET_SECONDS = 10.0
_PAUSE = 0.3
"""Seconds in which further changes gather."""


def waits_for_provisioner(claim: client.V1PersistentVolumeClaim, immediate: set[str], delayed: set[str]) -> bool:
    """Whether it is time to make the volume of a claim.

    Args:
        claim: any claim.
        immediate: names of our StorageClasses that bind at once.
        delayed: names of those that wait for the first consumer.
    """
    if claim.spec.volume_name or claim.metadata.deletion_timestamp:
        return False
    class_name = claim.spec.storage_class_name
    chosen = (claim.metadata.annotations or {}).get(_SELECTED_NODE)
    return class_name in immediate or (class_name in delayed and chosen == NODE)


def persistent_volume(claim: client.V1PersistentVolumeClaim, size: int, path: Path) -> client.V1PersistentVolume:
    """The PersistentVolume for a claim, bound to it beforehand, so that no other claim takes it."""
    here = client.V1NodeSelectorRequirement(key="kubernetes.io/hostname", operator="In", values=[NODE])
    term = client.V1NodeSelectorTerm(match_expressions=[here])
    return client.V1PersistentVolume(
        metadata=client.V1ObjectMeta(name=volume_name(claim), annotations={_PROVISIONED_BY: PROVISIONER}),
        spec=client.V1PersistentVolumeSpec(
            capacity={"storage": str(size)},
            access_modes=claim.spec.access_modes,
            volume_mode=claim.spec.volume_mode,
            storage_class_name=claim.spec.storage_class_name,
            persistent_volume_reclaim_policy="Delete",
            local=client.V1LocalVolumeSource(path=str(path)),
            node_affinity=client.V1VolumeNodeAffinity(required=client.V1NodeSelector(node_selector_terms=[term])),
            claim_ref=client.V1ObjectReference(
                api_version="v1",
                kind="PersistentVolumeClaim",
                namespace=claim.metadata.namespace,
                name=claim.metadata.name,
                uid=claim.metadata.uid,
            ),
        ),
    )


def volume_name(claim: client.V1PersistentVolumeClaim) -> str:
    """The name that every provisioner gives: it never changes for one claim."""
    return f"pvc-{claim.metadata.uid}"


def provision(core: client.CoreV1Api, storage: client.StorageV1Api, folder: Path) -> None:
    """Make the volumes that claims wait for, and remove those whose claims have gone."""
    classes = [one for one in storage.list_storage_class().items if one.provisioner == PROVISIONER]
    delayed = {one.metadata.name for one in classes if one.volume_binding_mode == "WaitForFirstConsumer"}
    immediate = {one.metadata.name for one in classes} - delayed
    volumes = {one.metadata.name: one for one in core.list_persistent_volume().items}
    for claim in core.list_persistent_volume_claim_for_all_namespaces().items:
        if waits_for_provisioner(claim, immediate, delayed) and volume_name(claim) not in volumes:
            _create(core, claim, folder)
    for name, volume in volumes.items():
        ours = (volume.metadata.annotations or {}).get(_PROVISIONED_BY) == PROVISIONER
        if ours and volume.status.phase == "Released" and not volume.metadata.deletion_timestamp:
            _delete(core, Volume(folder, name))


def _create(core: client.CoreV1Api, claim: client.V1PersistentVolumeClaim, folder: Path) -> None:
    size = int(parse_quantity(claim.spec.resources.requests["storage"]))
    volume = Volume(folder, volume_name(claim))
    path = volume.create(size, VolumeMode(claim.spec.volume_mode or VolumeMode.FILESYSTEM))
    core.create_persistent_volume(persistent_volume(claim, size, path), _request_timeout=30)
    say(f"{claim.metadata.namespace}/{claim.metadata.name}: {size} bytes at {path}")


def _delete(core: client.CoreV1Api, volume: Volume) -> None:
    try:
        volume.destroy()
    except HostError as error:
        # The pod that used it is still being removed: the next round tries again.
        say(f"{volume.name} is in use: {error.message}")
        return
    core.delete_persistent_volume(volume.name, _request_timeout=30)
    say(f"{volume.name}: removed")


def _notice(list_objects: Callable[..., Any], changed: threading.Event) -> None:
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
