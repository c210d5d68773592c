"""What is there already, or will be, of what a migration wants: claims, machines, names and addresses."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import Mode, VirtualMachineMigrationSpec
from hyper2kvm_api.names import disk_suffix
from hyper2kvm_api.options import VirtualMachineOptions
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.build.virtualmachine import machine_name, map_networks
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError
from hyper2kvm_operator.kube.namespaces import where_permitted
from hyper2kvm_operator.kube.resources import Resource, Resources
from hyper2kvm_operator.reconcile.migration.decision import ACTIVE
from hyper2kvm_operator.reconcile.migration.effective import frozen_spec
from hyper2kvm_operator.reconcile.migration.observed import Neighbours
from hyper2kvm_operator.reconcile.migration.read import own, read_claim, stored_status
from hyper2kvm_operator.settings import Settings

_INSTANCETYPES = (Resources.CLUSTER_INSTANCETYPE.value, Resources.INSTANCETYPE.value)
_PREFERENCES = (Resources.CLUSTER_PREFERENCE.value, Resources.PREFERENCE.value)
"""Kinds that a VirtualMachine may refer to, the one first that it means when it names none."""


class NeighbourReader:
    """Looks around a migration."""

    def __init__(self, client: KubeClient, cache: Cache, settings: Settings) -> None:
        self._client = client
        self._cache = cache
        self._settings = settings

    def read(self, key: MigrationKey, spec: VirtualMachineMigrationSpec | SpecError, machine: Machine) -> Neighbours:
        """What could be in the way of a migration's disks and of its machine.

        Raises:
            RefusedError, UnreachableError: of the API server.
        """
        if isinstance(spec, SpecError):
            return Neighbours()
        wanted = [key.child(disk_suffix(index)) for index in range(len(machine.disks))]
        claims = self._there(Resources.CLAIM, key.namespace, wanted)
        volumes = self._there(Resources.DATA_VOLUME, key.namespace, wanted)
        found = Neighbours(
            claims=tuple(read_claim(claim, ()) for claim in claims),
            data_volumes=tuple(one["metadata"]["name"] for one in volumes if not own(key, one)),
        )
        options = spec.target.virtual_machine
        return found if not options.create else self._machines(key, options, machine, found)

    def _there(self, kind: Resources, namespace: str, names: Sequence[str]) -> Iterator[KubeObject]:
        """The objects of these names, but for those that a deleted migration has left: they go as it went."""
        for name in names:
            found = self._client.get(kind.value, namespace, name)
            if found is not None and not self._cache.orphaned(found):
                yield found

    def _machines(
        self, key: MigrationKey, options: VirtualMachineOptions, machine: Machine, found: Neighbours
    ) -> Neighbours:
        """With the VirtualMachines that are there, and those that other migrations are about to make."""
        name = machine_name(machine, options)
        namespaces: Sequence[str | None] = self._settings.watch_namespaces or [None]
        machines = (vm for one in namespaces for vm in self._virtual_machines(one))
        others = [(_place(vm), _macs(vm)) for vm in machines if not own(key, vm)]
        coming = list(self._coming(key))
        there = [(mac, f"the VirtualMachine {'/'.join(place)}") for place, used in others for mac in used]
        planned = [(mac, f"the migration {'/'.join(_place(one))}") for one in coming for mac in _planned_macs(one)]
        names = {one["status"].get("virtualMachineName"): one for one in coming if _place(one)[0] == key.namespace}
        return replace(
            found,
            virtual_machine=any(place == (key.namespace, name) for place, _ in others),
            reserved_by=names[name]["metadata"]["name"] if name in names else None,
            macs=(*there, *planned),
            absent=tuple(self._absent(key.namespace, _references(options, machine))),
        )

    def _absent(self, namespace: str, references: Iterator[tuple[Resource, str]]) -> Iterator[str]:
        """What is not there of what a machine will refer to."""
        for kind, wanted in dict.fromkeys(references):
            place, _, name = wanted.rpartition("/")
            if self._missing(kind, (place or namespace) if kind.namespaced else None, name):
                yield f"{kind.kind} {wanted}"

    def _missing(self, kind: Resource, namespace: str | None, name: str) -> bool:
        """Whether an object is not there. Where the operator may not look, in other namespaces than its own, KubeVirt will."""
        try:
            return self._client.get(kind, namespace, name) is None
        except RefusedError as refusal:
            if refusal.status != HTTPStatus.FORBIDDEN:
                raise
            return False

    def _virtual_machines(self, namespace: str | None) -> Iterator[KubeObject]:
        """The VirtualMachines of a namespace, or of all; none of one that refuses."""
        with where_permitted(namespace):
            yield from self._client.each(Resources.VIRTUAL_MACHINE.value, namespace)

    def _coming(self, key: MigrationKey) -> Iterator[KubeObject]:
        """The other migrations at work that will make a VirtualMachine: a dry run makes none."""
        for other in self._cache.migrations():
            if other.phase in ACTIVE and other.virtual_machine is not None and other.uid != key.uid:
                whole = self._cache.get(Resources.MIGRATION.value, *other.place)
                if whole is not None and whole["spec"].get("mode") != Mode.PLAN:
                    yield whole


def _references(options: VirtualMachineOptions, machine: Machine) -> Iterator[tuple[Resource, str]]:
    """What the machine will refer to, as `name` or `namespace/name`. Of a kind that KubeVirt does not know it says so."""
    for reference, kinds in ((options.instancetype, _INSTANCETYPES), (options.preference, _PREFERENCES)):
        if reference is not None:
            wanted = (reference.kind or kinds[0].kind).lower()
            yield from ((kind, reference.name) for kind in kinds if wanted in {kind.kind.lower(), kind.plural})
    for attachment in map_networks(machine.nics, options.networks).attached:
        if attachment.multus is not None:
            yield Resources.NETWORK.value, attachment.multus


def _macs(virtual_machine: KubeObject) -> list[str]:
    """The MAC addresses that a VirtualMachine states, in lower case."""
    domain = virtual_machine["spec"].get("template", {}).get("spec", {}).get("domain", {})
    interfaces = domain.get("devices", {}).get("interfaces", [])
    return [interface["macAddress"].lower().replace("-", ":") for interface in interfaces if "macAddress" in interface]


def _planned_macs(migration: KubeObject) -> list[str]:
    """The MAC addresses that a migration's machine will have, in lower case: those of adapters that it does not ignore."""
    try:
        status = stored_status(migration)
        mappings = frozen_spec(status).target.virtual_machine.networks if status.effective_spec else ()
    except SpecError:
        return []
    nics = status.machine.nics if status.machine else ()
    return [one.nic.mac.lower() for one in map_networks(nics, mappings).attached if one.nic.mac]


def _place(value: KubeObject) -> tuple[str, str]:
    return value["metadata"]["namespace"], value["metadata"]["name"]
