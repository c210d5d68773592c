"""Builders of what `decide` observes, for tests: a plain migration in any phase, changed as a test needs it."""

import datetime as dt
from dataclasses import replace

from hyper2kvm_api.machine import Cpu, DiskBus, Firmware, Machine, MachineDisk, Nic
from hyper2kvm_api.migration import (
    BootStatus,
    DiskStatus,
    Phase,
    VirtualMachineMigrationSpec,
    VirtualMachineMigrationStatus,
)
from hyper2kvm_api.result import DiskResult, Outcome, Result
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.reconcile.migration.observed import (
    Abilities,
    ClaimState,
    DataVolumeState,
    JobOutcome,
    JobState,
    Observed,
    PodState,
)
from hyper2kvm_operator.settings import Settings

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
KEY = MigrationKey("moves", "web01", "uid-1")
SETTINGS = Settings(conversion_image="example/conversion:1")
CDI = Abilities(cdi=True, kubevirt=True, kvm_nodes=0, storage_classes=frozenset({"fast"}), default_class="fast")
MACHINE = Machine(
    name="Web 01",
    cpu=Cpu(sockets=1, cores=2),
    memory=2 << 30,
    firmware=Firmware.BIOS,
    disks=tuple(
        MachineDisk(
            id=f"scsi0:{n}",
            bus=DiskBus.SCSI,
            controller=0,
            unit=n,
            capacity=(n + 1) << 30,
            format="vmdk",
            file=f"web01_{n}.vmdk",
        )
        for n in range(2)
    ),
    nics=(Nic(id="ethernet0", mac="00:50:56:aa:bb:cc", network="VM Network", model="vmxnet3"),),
)
SOURCE = {"files": {"volume": {"persistentVolumeClaim": {"claimName": "exports"}}, "path": "web01/web01.ova"}}
RESULT = Result(
    outcome=Outcome.SUCCEEDED,
    disks=tuple(DiskResult(id=f"scsi0:{n}", capacity=(n + 1) << 30, digest=f"d{n}") for n in range(2)),
    boot=BootStatus(verdict="Booted", evidence="Probe", seconds=41.0, accelerator="tcg"),
    firmware=Firmware.BIOS,
    boot_disk="scsi0:0",
)
DISKS = [
    DiskStatus(id="scsi0:0", capacity=1 << 30, claim_name="web01-disk0"),
    DiskStatus(id="scsi0:1", capacity=2 << 30, claim_name="web01-disk1"),
]


def make_spec(**fields):
    return VirtualMachineMigrationSpec.model_validate({"source": SOURCE, **fields})


def seconds_ago(seconds):
    return (NOW - dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_status(phase=None, *, since=5, **fields):
    planned = phase not in {None, Phase.PENDING, Phase.PLANNING}
    told = {"machine": MACHINE, "disks": DISKS} if planned else {}
    return VirtualMachineMigrationStatus(
        phase=phase,
        phase_started_at=seconds_ago(since) if phase else None,
        observed_generation=1 if phase else None,
        **{**told, **fields},
    )


def observed(phase=None, spec=None, *, since=5, status=None, **fields):
    spec = make_spec() if spec is None else spec
    status = status or make_status(phase, since=since)
    base = Observed(
        key=KEY,
        generation=1,
        deleting=False,
        finalizer=True,
        spec=spec,
        migration={
            "apiVersion": "hyper2kvm.io/v1alpha1",
            "kind": "VirtualMachineMigration",
            "metadata": {"name": KEY.name, "namespace": KEY.namespace, "uid": KEY.uid},
            "spec": spec.to_object() if isinstance(spec, VirtualMachineMigrationSpec) else {"source": SOURCE},
        },
        status=status,
        settings=SETTINGS,
        now=NOW,
        free_slot=True,
        ahead=0,
        abilities=CDI,
        claims=WRITTEN if status.phase is Phase.HANDING_OFF else (),
        cancel=isinstance(spec, VirtualMachineMigrationSpec) and spec.cancel,
        suspend=isinstance(spec, VirtualMachineMigrationSpec) and spec.suspend,
    )
    told = replace(base, **fields)
    return replace(told, status=told.status.replaced(blocked=None), blocked=told.status.blocked)


def later(o, decision, seconds, **changes):
    """The same some time after a decision, as nothing else has changed."""
    status = decision.status
    told = replace(o, status=status.replaced(blocked=None), blocked=status.blocked, **changes)
    return replace(told, now=told.now + dt.timedelta(seconds=seconds))


def pod(*, running=False, age=10, **fields):
    created = NOW - dt.timedelta(seconds=age)
    return PodState(name="web01-convert-x", uid="uid-pod", created=created, running=running, **fields)


def job(role="convert", outcome=JobOutcome.RUNNING, *, age=3600, **fields):
    created = NOW - dt.timedelta(seconds=age)
    return JobState(name=f"web01-{role}", uid=f"uid-{role}", created=created, outcome=outcome, **fields)


def claim(name, owner=KEY.uid, *, age=3600, **fields):
    created = NOW - dt.timedelta(seconds=age)
    return ClaimState(name=name, uid=f"uid-{name}", created=created, owner=owner, bound=True, **fields)


WRITTEN = tuple(claim(disk.claim_name) for disk in DISKS)
"""The claims that the convert Job has written."""


def kinds(decision, action):
    """Kind and name of what the actions of a type are about."""
    return [
        (a.value["kind"], a.value["metadata"]["name"]) if hasattr(a, "value") else (a.resource.kind, a.name)
        for a in decision.actions
        if isinstance(a, action)
    ]


def condition(decision, type_):
    return next((c for c in decision.status.conditions if c.type == type_), None)


def volumes(*told):
    """The DataVolumes of the disks, each as `phase` or `phase progress`."""
    return tuple(DataVolumeState(f"web01-disk{n}", f"uid-{n}", *one.split()) for n, one in enumerate(told))


ADOPTED = {"target": {"handoff": "Adopt"}}
WITH_VM = {"target": {"virtualMachine": {"create": True, "name": "web"}}}
IMPORT = {"target": {"handoff": "Import", "disks": {"format": "qcow2"}}}
