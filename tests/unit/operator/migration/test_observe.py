"""Which spec counts, what other migrations have taken, and what pods tell."""

import datetime as dt

import pytest
import yaml

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.resolve import effective_spec
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import ROLE_LABEL, SUSPENDED, Resources
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader
from hyper2kvm_operator.reconcile.migration.observe import Observer
from hyper2kvm_operator.reconcile.migration.read import read_status
from hyper2kvm_operator.settings import Settings
from unit.operator.objects import Storage, migration, stored
from unit.operator.situations import MACHINE

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
SETTINGS = Settings(conversion_image="example/conversion:1")


def observer(storage, *cached, settings=SETTINGS):
    cache = Cache()
    for one in (*cached, *storage.objects["VirtualMachineMigration"].values()):
        cache.put(Resources[KINDS[one["kind"]]].value, one)
    return Observer(storage, cache, AbilityReader(storage), settings)


KINDS = {one.value.kind: one.name for one in Resources}


def look(value, *others, cached=(), storage=None, settings=SETTINGS):
    storage = storage or Storage(value, *others)
    for one in (value, *others):
        storage.put(one)
    return observer(storage, *cached, settings=settings).observe(value, NOW)


def effective(value):
    return yaml.safe_dump(effective_spec(value, ()).to_object())


def working(phase="Converting", **changes):
    plain = migration()
    status = {"phase": phase, "effectiveSpec": effective(plain), "observedGeneration": 1}
    return migration(generation=changes.pop("generation", 1), status=status, **changes)


def test_the_spec_that_was_effective_when_planning_began_counts():
    o = look(working(generation=2, guest={"trim": False}))
    assert o.spec.guest.trim
    assert o.edited


@pytest.mark.parametrize(
    ("changes", "edited"),
    [({"profiles": ["typo"]}, True), ({"target": {"handoff": "Import"}}, True), ({"suspend": True}, False)],
    ids=["a profile that is not there", "a contradiction", "no edit"],
)
def test_an_edit_to_what_cannot_be_resolved_is_an_edit(changes, edited):
    """And a profile that went after planning had begun is none."""
    value = working("Planning", generation=2, **changes)
    if not edited:
        profiled = {"profiles": ["gone"], **value["spec"]}
        value["spec"] = profiled
        counting = yaml.safe_load(value["status"]["effectiveSpec"]) | {"profiles": ["gone"], "guest": {"trim": False}}
        value["status"]["effectiveSpec"] = yaml.safe_dump(counting)
    assert look(value).edited is edited


def test_suspend_and_cancel_count_as_they_are_written_and_are_no_edit():
    o = look(working(generation=3, suspend=True, cancel=True))
    assert (o.suspend, o.cancel, o.spec.suspend, o.edited) == (True, True, True, False)


def test_a_failed_migration_is_judged_by_what_is_written_now():
    o = look(working("Failed", generation=2, guest={"trim": False}))
    assert not o.spec.guest.trim
    assert o.edited


@pytest.mark.parametrize(
    ("changes", "told", "edited"),
    [
        ({"suspend": True}, {}, False),
        ({}, {}, False),
        ({"guest": {"trim": False}}, {}, True),
        ({"profiles": ["typo"]}, {}, True),
        ({"suspend": True}, {"effectiveSpec": None}, True),
        ({}, {"effectiveSpec": "future: {}"}, True),
        ({}, {"disks": [{"id": "scsi0:0", "handedOff": True}]}, True),
    ],
    ids=["held", "resumed", "an edit", "another profile", "nothing had begun", "another version's", "handed off"],
)
def test_a_failed_migration_tries_again_for_more_than_a_wish(changes, told, edited):
    value = working("Failed", generation=2, **changes)
    value["status"] = {name: one for name, one in {**value["status"], **told}.items() if one is not None}
    assert look(value).edited is edited
    value["metadata"]["generation"] = 1
    assert not look(value).edited


def test_fields_that_a_later_version_has_added_to_what_is_stored_are_ignored():
    value = working()
    stored_spec = yaml.safe_load(value["status"]["effectiveSpec"])
    value["status"]["effectiveSpec"] = yaml.safe_dump({**stored_spec, "fromTheFuture": 1})
    value["status"]["alsoFromTheFuture"] = {"a": 1}
    o = look(value)
    assert not isinstance(o.spec, SpecError)
    assert o.status.phase == "Converting"


def test_a_status_that_is_not_understood_is_left_alone_and_shown_as_empty():
    value = migration(status={"phase": "Teleporting"})
    with pytest.raises(SpecError, match="phase"):
        look(value)
    assert read_status(value).phase is None


def test_a_missing_profile_is_no_spec():
    o = look(migration(profiles=["fast"]))
    assert o.spec.reason == "ProfileNotFound"


def job(role, **status):
    value = stored(Resources.JOB, f"web01-{role}", owner="uid-web01", spec={}, status=status)
    value["metadata"]["labels"][ROLE_LABEL] = role
    return value


def pod_of(owner, phase="Running", name="web01-plan-x"):
    state = {"running": {}} if phase == "Running" else {"terminated": {"exitCode": 0}}
    value = stored(
        Resources.POD,
        name,
        owner="uid-web01",
        status={"phase": phase, "containerStatuses": [{"name": "conversion", "state": state}]},
    )
    value["metadata"] |= {
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "ownerReferences": [{"uid": owner["metadata"]["uid"]}],
    }
    return value


PLANNED = {"conditions": [{"type": "Complete", "status": "True"}]}


def planning(storage, *others, settings=SETTINGS, **spec):
    value = migration(status={"phase": "Planning", "observedGeneration": 1}, **spec)
    value["status"]["effectiveSpec"] = effective(value)
    done = job("plan", **PLANNED)
    told = f'{{"time":"t","type":"Machine","machine":{MACHINE.to_json()}}}'
    storage.logs.setdefault("web01-plan-x", told)
    return look(value, *others, cached=(done, pod_of(done, "Succeeded")), storage=storage, settings=settings)


VM = {"target": {"virtualMachine": {"create": True, "name": "web"}}}
MAC = "00:50:56:aa:bb:cc"


def machine(name, namespace, mac):
    devices = {"interfaces": [{"name": "net0", "macAddress": mac}]}
    spec = {"template": {"spec": {"domain": {"devices": devices}}}}
    return stored(Resources.VIRTUAL_MACHINE, name, namespace=namespace, spec=spec)


def test_addresses_of_machines_that_are_there_are_known_in_any_spelling():
    o = planning(Storage(), machine("db", "prod", MAC.upper().replace(":", "-")), **VM)
    assert o.neighbours.macs == ((MAC, "the VirtualMachine prod/db"),)


def test_a_namespace_that_refuses_the_operator_has_no_machines():
    """And holds up nobody's planning. The others are looked at, those that come after it too."""
    limited = SETTINGS.model_copy(update={"watch_namespaces": ["moves", "gone", "prod"]})
    storage = Storage(machine("lost", "gone", "00:50:56:00:00:01"))
    storage.forbidden = {"gone"}
    o = planning(storage, machine("db", "prod", MAC), settings=limited, **VM)
    assert o.neighbours.macs == ((MAC, "the VirtualMachine prod/db"),)


def test_machines_that_may_not_be_listed_in_any_namespace_are_not_taken_for_none():
    storage = Storage()
    storage.refusals["LIST", "VirtualMachine"] = RefusedError(403, "Forbidden", "you may not", "GET")
    with pytest.raises(RefusedError, match="you may not"):
        planning(storage, **VM)


def test_names_and_addresses_that_other_migrations_have_taken_are_known():
    status = {"phase": "Converting", "virtualMachineName": "web", "machine": MACHINE.to_object()}
    o = planning(Storage(), migration("other", status=status), **VM)
    assert o.neighbours.reserved_by == "other"
    assert o.neighbours.macs == ((MAC, "the migration moves/other"),)


def test_addresses_of_adapters_that_another_migration_ignores_are_free():
    other = migration("other", **with_networks({"ignore": {}}))
    status = {"phase": "Converting", "virtualMachineName": "other", "machine": MACHINE.to_object()}
    other["status"] = {**status, "effectiveSpec": effective(other)}
    assert planning(Storage(), other, **VM).neighbours.macs == ()


def with_networks(*networks):
    return {"target": {"virtualMachine": {**VM["target"]["virtualMachine"], "networks": [*networks]}}}


@pytest.mark.parametrize(("phase", "mode"), [("Failed", "Migrate"), ("Converting", "Plan")])
def test_migrations_that_have_ended_and_dry_runs_have_taken_nothing(phase, mode):
    status = {"phase": phase, "virtualMachineName": "web", "machine": MACHINE.to_object()}
    o = planning(Storage(), migration("other", status=status, mode=mode), **VM)
    assert (o.neighbours.reserved_by, o.neighbours.macs) == (None, ())


@pytest.mark.parametrize(
    ("options", "absent"),
    [
        ({"instancetype": {"name": "u1.small"}}, ()),
        ({"instancetype": {"name": "nowhere"}}, ("VirtualMachineClusterInstancetype nowhere",)),
        (
            {"instancetype": {"name": "u1.small", "kind": "VirtualMachineInstancetype"}},
            ("VirtualMachineInstancetype u1.small",),
        ),
        ({"preference": {"name": "large", "kind": "virtualmachinepreferences"}}, ()),
        ({"preference": {"name": "large"}}, ("VirtualMachineClusterPreference large",)),
        ({"preference": {"name": "large", "kind": "Nothing"}}, ()),
        ({"networks": [{"multus": {"networkName": "vlan20"}}]}, ()),
        ({"networks": [{"multus": {"networkName": "shared/vlan20"}}]}, ("NetworkAttachmentDefinition shared/vlan20",)),
        ({"networks": [{"source": "another", "multus": {"networkName": "nowhere"}}]}, ()),
    ],
)
def test_what_a_machine_would_refer_to_is_looked_for(options, absent):
    there = [
        {"kind": "VirtualMachineClusterInstancetype", "metadata": {"name": "u1.small"}},
        {"kind": "VirtualMachinePreference", "metadata": {"name": "large", "namespace": "moves"}},
        {"kind": "NetworkAttachmentDefinition", "metadata": {"name": "vlan20", "namespace": "moves"}},
    ]
    machine = {"create": True, "name": "web", **options}
    assert planning(Storage(*there), target={"virtualMachine": machine}).neighbours.absent == absent


def test_what_lies_where_the_operator_may_not_look_is_left_to_kubevirt():
    storage = Storage()
    refusal = RefusedError(403, "Forbidden", "cannot get resource", "GET")
    storage.refusals["GET", "NetworkAttachmentDefinition"] = refusal
    mapped = with_networks({"multus": {"networkName": "shared/vlan20"}})
    assert planning(storage, **mapped).neighbours.absent == ()
    refusal.status = 500
    with pytest.raises(RefusedError):
        planning(storage, **mapped)


def test_a_data_volume_of_somebody_else_is_found_and_ones_own_is_not():
    o = planning(Storage(), stored(Resources.DATA_VOLUME, "web01-disk0"))
    assert o.neighbours.data_volumes == ("web01-disk0",)


def test_what_a_deleted_migration_has_left_is_not_in_the_way():
    left = [stored(kind, "web01-disk0", owner="gone") for kind in (Resources.CLAIM, Resources.DATA_VOLUME)]
    for one in left:
        one["metadata"]["ownerReferences"] = [{"uid": "gone"}]
    o = planning(Storage(), *left)
    assert (o.neighbours.claims, o.neighbours.data_volumes) == ((), ())


UNKNOWN = [RefusedError(500, "InternalError", "no route to host", "GET"), UnreachableError("timed out")]


@pytest.mark.parametrize("error", UNKNOWN, ids=["refused", "silent"])
def test_a_node_that_does_not_answer_is_told_and_not_asked_again_at_once(error):
    storage = Storage()
    storage.logs["web01-convert-x"] = error
    running = job("convert")
    value = working()
    storage.put(value)
    watcher = observer(storage, running, pod_of(running, name="web01-convert-x"))
    first, second = (watcher.observe(value, NOW) for _ in range(2))
    assert first.untold == second.untold
    assert str(first.untold) in {"no route to host", "timed out"}
    assert storage.log_reads == 1


def test_whoever_leaves_needs_no_log():
    storage = Storage()
    running = job("convert")
    value = working(cancel=True)
    storage.put(value)
    observer(storage, running, pod_of(running, name="web01-convert-x")).observe(value, NOW)
    assert storage.log_reads == 0


def told_of(value, *events):
    """A namespace with Events about an object, in the order in which they were written."""
    storage = Storage()
    for number, (kind, reason, repeated) in enumerate(events):
        event = stored(Resources.EVENT, f"event-{number}", type=kind, reason=reason, message=reason, **repeated)
        storage.put({**event, "involvedObject": {"uid": value["metadata"]["uid"]}})
    return storage


def test_of_a_namespaces_warnings_those_about_ones_own_objects_count():
    waiting = job("convert")
    storage = told_of(waiting, ("Warning", "FailedCreate", {}))
    theirs = stored(Resources.EVENT, "theirs", type="Warning", reason="Failed", message="theirs")
    storage.put({**theirs, "involvedObject": {"uid": "uid-other"}})
    o = look(working(), cached=(waiting,), storage=storage)
    assert o.convert_job.trouble.message == "FailedCreate"


def test_the_node_of_a_pod_is_known():
    running = job("convert")
    pod = {**pod_of(running, name="web01-convert-x"), "spec": {"nodeName": "worker3", "containers": []}}
    assert look(working(), cached=(running, pod)).convert_job.pod.node == "worker3"


EARLIER, LATER = {"lastTimestamp": "2026-01-01T00:00:00Z"}, {"lastTimestamp": "2026-01-01T00:09:00Z"}
SERIES = {"eventTime": "2026-01-01T00:00:00.5Z", "series": {"lastObservedTime": "2026-01-01T00:10:00.5Z"}}


@pytest.mark.parametrize(
    ("events", "trouble"),
    [
        ([("Warning", "FailedScheduling", EARLIER), ("Normal", "Scheduled", LATER)], None),
        ([("Warning", "FailedMount", EARLIER), ("Normal", "Pulling", LATER)], None),
        ([("Normal", "Scheduled", LATER), ("Warning", "FailedMount", LATER)], "FailedMount"),
        ([("Normal", "Scheduled", LATER), ("Warning", "FailedScheduling", SERIES)], "FailedScheduling"),
    ],
)
def test_a_warning_counts_until_something_else_is_told_of_its_object(events, trouble):
    running = job("convert")
    pod = pod_of(running, name="web01-convert-x", phase="Pending")
    o = look(working(), cached=(running, pod), storage=told_of(pod, *events))
    found = o.convert_job.pod.trouble
    assert (found and found.kind) == trouble


@pytest.mark.parametrize("held", [True, False])
def test_who_suspended_a_job_is_known(held):
    suspended = job("convert")
    suspended["spec"] = {"suspend": True}
    suspended["metadata"]["annotations"] = {SUSPENDED: "true"} if held else {}
    o = look(working(), cached=(suspended,))
    assert (o.convert_job.suspended, o.convert_job.held) == (True, held)


def test_a_storage_class_that_was_made_after_the_last_look_is_found_before_its_want_fails_a_migration():
    value = migration(target={"disks": {"storageClassName": "fast"}})
    storage = Storage(value)
    looks = observer(storage)
    looks.observe(value, NOW)
    storage.put({"kind": "StorageClass", "metadata": {"name": "fast", "creationTimestamp": "2026-01-01T00:00:00Z"}})
    assert "fast" in looks.observe(value, NOW).abilities.storage_classes


@pytest.mark.parametrize("going", [False, True])
def test_an_image_server_that_is_going_serves_nobody(going):
    server = stored(Resources.POD, "serve-web01", owner="uid-web01", status={"phase": "Running"})
    server["metadata"]["labels"][ROLE_LABEL] = "serve"
    if going:
        server["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:01Z"
    value = migration(status={"phase": "HandingOff", "observedGeneration": 1})
    assert (look(value, cached=(server,)).serve_pod is None) is going
