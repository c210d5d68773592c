"""Which spec of a migration counts: what is written with its profiles, or what was effective when planning began."""

from dataclasses import dataclass, replace

import yaml

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.manifest import parse, parse_stored
from hyper2kvm_api.merge import JsonObject, merge
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import effective_spec, profile_names
from hyper2kvm_operator.build.metadata import Json
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import ACTIVE

_FROZEN = {*ACTIVE, Phase.SUCCEEDED}
"""Phases in which the spec counts that was effective when planning began."""

_WISHES = ("suspend", "cancel")
"""Fields of the spec that always count as they are written."""


@dataclass(frozen=True)
class Counting:
    """The spec that counts.

    Attributes:
        spec: it, or why there is none.
        values: the same as JSON values.
        edited: whether what is written now means another one than that which work began with.
    """

    spec: VirtualMachineMigrationSpec | SpecError
    values: Json
    edited: bool = False


def counting(migration: KubeObject, status: VirtualMachineMigrationStatus, cache: Cache) -> Counting:
    """The spec that counts; the cache knows the profiles."""
    written = _written(migration, cache)
    changed = migration["metadata"]["generation"] != status.observed_generation
    if status.phase is Phase.FAILED:
        return replace(written, edited=changed and _tries_another(migration, written.spec, status))
    if status.phase not in _FROZEN or not status.effective_spec:
        return written
    try:
        frozen = frozen_spec(status, _wishes(migration))
    except SpecError as error:
        return Counting(error, migration["spec"])
    edited = changed and _means_another(migration, written.spec, frozen)
    return Counting(frozen, frozen.to_object(), edited)


def stored(spec: VirtualMachineMigrationSpec) -> str:
    """A spec as `status.effectiveSpec` holds it: YAML, as people look at it there."""
    return yaml.dump(spec.to_object(), Dumper=yaml.CSafeDumper, sort_keys=False)


def frozen_spec(status: VirtualMachineMigrationStatus, wishes: Json | None = None) -> VirtualMachineMigrationSpec:
    """The spec that was effective when planning began, with what is wished now.

    Raises:
        SpecError: it is one that this version does not understand.
    """
    values = {**yaml.load(status.effective_spec or "{}", Loader=yaml.CSafeLoader), **(wishes or {})}
    return parse_stored(VirtualMachineMigrationSpec, values, "status.effectiveSpec")


def _written(migration: KubeObject, cache: Cache) -> Counting:
    try:
        spec = effective_spec(migration, _profiles(migration, cache))
    except SpecError as error:
        return Counting(error, migration["spec"])
    return Counting(spec, spec.to_object())


def _profiles(migration: KubeObject, cache: Cache) -> list[JsonObject]:
    found: list[JsonObject] = []
    for name in profile_names(migration):
        profile = cache.get(Resources.PROFILE.value, migration["metadata"]["namespace"], name)
        if profile is None:
            raise SpecError(Reason.PROFILE_NOT_FOUND, f"spec.profiles: there is no MigrationProfile {name!r}")
        found.append(profile)
    return found


def _wishes(migration: KubeObject) -> Json:
    return {name: migration["spec"].get(name) or False for name in _WISHES}


def _tries_another(
    migration: KubeObject, written: VirtualMachineMigrationSpec | SpecError, status: VirtualMachineMigrationStatus
) -> bool:
    """Whether a change of a failed migration is more than a wish: another spec than the one that it failed with.

    Where that one is not known, as no work began with it, and where only the rest of a handoff is left to do, it is.
    """
    if not status.effective_spec or any(disk.handed_off for disk in status.disks):
        return True
    try:
        return _means_another(migration, written, frozen_spec(status, _wishes(migration)))
    except SpecError:
        return True


def _means_another(
    migration: KubeObject, written: VirtualMachineMigrationSpec | SpecError, frozen: VirtualMachineMigrationSpec
) -> bool:
    """Whether what is written now means another spec than the one that counts.

    Where it means none, a profile may have gone, which changes nothing: what the migration itself states is compared.
    """
    if not isinstance(written, SpecError):
        return written != frozen
    own = {name: value for name, value in migration["spec"].items() if name not in _WISHES}
    try:
        return parse(VirtualMachineMigrationSpec, merge([frozen.to_object(), own]), "spec") != frozen
    except SpecError:
        return True
