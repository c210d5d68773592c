"""One look from end to end, over a storage in memory."""

import threading
import time

import pytest

from hyper2kvm_api.errors import ValidationError
from hyper2kvm_api.migration import BootStatus, Phase
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.result import Outcome, Result, failure_of
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.loop import Loop
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader
from hyper2kvm_operator.reconcile.migration.apply import ActionRefusedError
from hyper2kvm_operator.reconcile.migration.decide import cleared, decide
from hyper2kvm_operator.reconcile.migration.decision import Delete
from hyper2kvm_operator.reconcile.migration.observe import Observer
from hyper2kvm_operator.reconcile.migration.reconcile import MigrationReconciler, after_refusal
from hyper2kvm_operator.settings import Settings
from unit.operator.objects import Storage, migration, stored
from unit.operator.situations import IMPORT, MACHINE, claim, kinds, later, make_spec, observed, volumes

MIGRATION = Resources.MIGRATION.value
SETTINGS = Settings(conversion_image="example/conversion:1")
FORBIDDEN = RefusedError(403, "Forbidden", "no", "POST")


def default_class():
    value = stored(Resources.STORAGE_CLASS, "fast", namespace=None)
    value["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    value["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    return value


class Operator:
    """A reconciler over a storage; what is stored is what its watches have told."""

    def __init__(self, *objects):
        self.storage = Storage(default_class(), *objects)
        self.cache = Cache()
        self.metrics = Metrics()
        for kind in (Resources.MIGRATION, Resources.JOB, Resources.POD):
            for one in self.storage.list(kind.value):
                self.cache.put(kind.value, one)
        watcher = Observer(self.storage, self.cache, AbilityReader(self.storage), SETTINGS)
        self.reconciler = MigrationReconciler(self.storage, self.cache, watcher, self.metrics)

    def look(self, name="web01"):
        return self.reconciler.reconcile(self.cache.get(MIGRATION, "moves", name))

    def status(self, name="web01"):
        return self.storage.get(MIGRATION, "moves", name)["status"]


def test_a_look_writes_status_finalizer_and_events():
    operator = Operator(migration())
    operator.look()
    assert operator.status()["phase"] == "Planning"
    assert operator.storage.get(MIGRATION, "moves", "web01")["metadata"]["finalizers"] == ["hyper2kvm.io/migration"]
    assert [one["reason"] for one in operator.storage.list(Resources.EVENT.value)] == ["Planning"]


def test_the_status_of_an_object_that_took_the_name_is_not_written():
    operator = Operator(migration())
    before = operator.cache.get(MIGRATION, "moves", "web01")
    newer = migration()
    newer["metadata"]["uid"] = "uid-newer"
    operator.storage.put(newer)
    with pytest.raises(RefusedError) as caught:
        operator.reconciler.reconcile(before)
    assert caught.value.stale
    assert operator.status() == {}


@pytest.mark.parametrize("error", [FORBIDDEN, UnreachableError("timed out")], ids=["refused", "silent"])
def test_events_that_are_not_recorded_change_nothing(error):
    operator = Operator(migration())
    operator.storage.refusals["POST", "Event"] = error
    operator.look()
    assert operator.status()["phase"] == "Planning"


def test_a_refusal_is_told_with_the_condition_of_its_phase():
    operator = Operator(migration())
    operator.look()
    operator.storage.refusals["POST", "Job"] = RefusedError(403, "Forbidden", "exceeded quota: limits", "POST")
    operator.look()
    status = operator.status()
    assert (status["phase"], status["blocked"]["reason"]) == ("Planning", "QuotaExceeded")
    assert {one["type"]: one["reason"] for one in status["conditions"]}["Planned"] == "QuotaExceeded"
    del operator.storage.refusals["POST", "Job"]
    operator.look()
    assert "blocked" not in operator.status()


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (Resources.CLAIM, "ClaimExists"),
        (Resources.DATA_VOLUME, "ClaimExists"),
        (Resources.VIRTUAL_MACHINE, "VirtualMachineExists"),
        (Resources.JOB, "RequestRefused"),
    ],
)
def test_a_name_that_somebody_has_taken_meanwhile_is_called_so(resource, reason):
    taken = RefusedError(409, "Taken", "belongs to something else", "POST")
    decision = after_refusal(observed(Phase.HANDING_OFF), ActionRefusedError(resource.value, "web01", taken))
    assert decision.status.failure.reason == reason


QUOTA = RefusedError(403, "Forbidden", "exceeded quota: limits", "POST")


def after_patience(o, action):
    """What a migration decides after it was refused an action for longer than it waits for that."""
    refused = ActionRefusedError(action.value, "web01", QUOTA)
    return cleared(o, after_refusal(later(o, after_refusal(o, refused), SETTINGS.start_deadline + 1), refused))


def test_claims_that_nothing_was_written_to_do_not_outlive_the_failure_to_make_the_others():
    there = (claim("web01-disk0", age=3), claim("web01-workspace", age=9000))
    decision = after_patience(observed(Phase.PROVISIONING, claims=there), Resources.CLAIM)
    assert decision.status.failure.reason == "QuotaExceeded"
    assert kinds(decision, Delete) == [("PersistentVolumeClaim", "web01-disk0")]


def test_disks_that_were_released_stay_when_a_data_volume_is_refused_and_the_status_knows_them():
    o = observed(Phase.HANDING_OFF)
    o = later(o, decide(o), 1, data_volumes=volumes("Succeeded"))
    decision = after_patience(o, Resources.DATA_VOLUME)
    assert decision.status.failure.reason == "QuotaExceeded"
    assert all(disk.handed_off for disk in decision.status.disks)
    assert not decision.actions


def test_nobody_goes_on_with_an_import_whose_server_is_refused():
    o = observed(Phase.HANDING_OFF, make_spec(**IMPORT), data_volumes=volumes("ImportInProgress"), certificate=True)
    decision = after_patience(o, Resources.POD)
    assert [kind for kind, _ in kinds(decision, Delete)] == ["DataVolume", "Secret", "ConfigMap", "Service", "Pod"]


def test_what_a_refusal_makes_useless_is_removed_when_the_status_says_so():
    blocked = {"reason": "QuotaExceeded", "message": "", "since": "2026-01-01T00:00:00Z"}
    disks = [{"id": disk.id, "claimName": f"web01-disk{n}"} for n, disk in enumerate(MACHINE.disks)]
    told = {"phase": "HandingOff", "phaseStartedAt": blocked["since"], "observedGeneration": 1, "blocked": blocked}
    value = migration(status={**told, "machine": MACHINE.to_object(), "disks": disks}, **IMPORT)
    half = stored(Resources.DATA_VOLUME, "web01-disk0", owner=value["metadata"]["uid"], status={})
    operator = Operator(value, half)
    operator.cache.put(Resources.DATA_VOLUME.value, half)
    operator.storage.refusals["POST", "Pod"] = QUOTA
    operator.look()
    assert operator.status()["failure"]["reason"] == "QuotaExceeded"
    assert operator.storage.names(Resources.DATA_VOLUME) == []


VM = {"target": {"virtualMachine": {"create": True, "name": "web"}}}


def described(name):
    """A migration whose plan Job has told its machine."""
    job = stored(Resources.JOB, f"{name}-plan", owner=f"uid-{name}", spec={})
    job["metadata"]["labels"]["hyper2kvm.io/role"] = "plan"
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    pod = stored(Resources.POD, f"{name}-plan-x", owner=f"uid-{name}", status={"phase": "Succeeded"})
    pod["metadata"] |= {
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "ownerReferences": [{"uid": job["metadata"]["uid"]}],
    }
    return migration(name, status={"phase": "Planning", "observedGeneration": 1}, **VM), job, pod


def test_of_two_that_are_planned_at_the_same_time_one_gets_the_name_and_the_address():
    names = ("web01", "web02")
    operator = Operator(*(one for name in names for one in described(name)))
    machines = operator.storage.list

    def slowly(resource, *arguments, **named):
        found = machines(resource, *arguments, **named)
        if resource is Resources.VIRTUAL_MACHINE.value:
            time.sleep(0.2)
        return found

    operator.storage.list = slowly
    for name in names:
        operator.storage.logs[f"{name}-plan-x"] = f'{{"time":"t","type":"Machine","machine":{MACHINE.to_json()}}}'
    both = [threading.Thread(target=operator.look, args=(name,)) for name in names]
    for one in both:
        one.start()
    for one in both:
        one.join()
    ended = sorted(
        (operator.status(name)["phase"], operator.status(name).get("failure", {}).get("reason")) for name in names
    )
    assert ended == [("Failed", "VirtualMachineExists"), ("Provisioning", None)]


class Failing:
    """A reconciler that fails, and what it was asked to tell."""

    def __init__(self, error):
        self.error = error
        self.told = []

    def reconcile(self, migration):
        raise self.error

    def tell(self, migration, reason, message):
        self.told.append((reason, message))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RefusedError(500, "InternalError", "failed calling webhook", "POST"), Reason.REQUEST_REFUSED),
        (ValueError("surprise"), Reason.OPERATOR_ERROR),
    ],
)
def test_an_error_that_stays_is_told_to_the_user(error, told):
    cache, failing = Cache(), Failing(error)
    cache.put(MIGRATION, {**migration(), "metadata": {**migration()["metadata"], "resourceVersion": "1"}})
    loop = Loop(failing, cache, Metrics(), workers=1, limit=1, clock=lambda: 0.0)
    key = ("moves", "web01")
    for _ in range(5):
        loop._reconcile(key)
    assert [reason for reason, _ in failing.told] == [told, told]
    assert str(error.args[0] if isinstance(error, ValueError) else error.message) in failing.told[0][1]


def test_one_that_takes_the_name_while_its_predecessor_is_missed_is_looked_at():
    class Recreating(Cache):
        """Of a migration that was deleted; another of its name is told of right then."""

        def get(self, resource, namespace, name):
            found = super().get(resource, namespace, name)
            loop.queue.add((namespace, name))
            return found

    loop = Loop(Failing(ValueError()), Recreating(), Metrics(), workers=1, limit=1)
    loop.queue.add(("moves", "web01"))
    loop._reconcile(loop.queue.take(0))
    assert loop.queue.take(0) == ("moves", "web01")


def test_what_is_told_stands_in_the_status_until_a_look_succeeds():
    operator = Operator(migration())
    operator.reconciler.tell(operator.cache.get(MIGRATION, "moves", "web01"), Reason.OPERATOR_ERROR, "surprise")
    status = operator.status()
    assert status["blocked"]["reason"] == "OperatorError"
    assert [one["message"] for one in status["conditions"] if one["type"] == "Ready"] == ["surprise"]
    operator.look()
    assert "blocked" not in operator.status()


def test_an_edit_that_no_look_has_come_to_is_not_forgotten_over_what_is_told():
    failure = {"reason": "BootFailed", "message": "emergency"}
    status = {"phase": "Failed", "observedGeneration": 1, "failure": failure}
    operator = Operator(migration(generation=2, status=status))
    operator.reconciler.tell(operator.cache.get(MIGRATION, "moves", "web01"), Reason.REQUEST_REFUSED, "no")
    assert operator.status()["blocked"]["reason"] == "RequestRefused"
    operator.look()
    assert operator.status()["phase"] == "Pending"


def convert_job(*, failed=False):
    job = stored(Resources.JOB, "web01-convert", owner="uid-web01", spec={})
    job["metadata"]["labels"]["hyper2kvm.io/role"] = "convert"
    job["status"] = {"conditions": [{"type": "Failed" if failed else "Complete", "status": "True"}]}
    return job


def convert_pod(job, result):
    ended = {"exitCode": 0, "message": result.to_json()}
    pod = stored(Resources.POD, "web01-convert-x", owner="uid-web01")
    pod["status"] = {
        "phase": "Succeeded",
        "containerStatuses": [{"name": "conversion", "state": {"terminated": ended}}],
    }
    pod["metadata"] |= {
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "ownerReferences": [{"uid": job["metadata"]["uid"]}],
    }
    return pod


def converted(result, *, failed=False):
    """An operator that has looked at a migration whose convert Job has ended."""
    job = convert_job(failed=failed)
    told = {"id": "scsi0:0", "capacity": 1 << 30, "copied": 300}
    status = {"phase": "Converting", "observedGeneration": 1, "machine": MACHINE.to_object(), "disks": [told]}
    operator = Operator(migration(status=status), job, convert_pod(job, result))
    operator.storage.logs["web01-convert-x"] = (
        '{"time":"t","type":"StageFinished","stage":"Fix","seconds":4.5}\n'
        '{"time":"t","type":"Progress","stage":"Convert","disk":"scsi0:0","done":500,"total":500}\n'
    )
    operator.look()
    return operator


def value(operator, name, **labels):
    return operator.metrics.registry.get_sample_value(name, labels)


def test_a_conversion_is_counted_with_its_stages_bytes_and_boot_check():
    boot = BootStatus(verdict="Booted", evidence="Probe", seconds=41.0, accelerator="tcg")
    operator = converted(Result(outcome=Outcome.SUCCEEDED, boot=boot))
    assert operator.status()["phase"] == "HandingOff"
    assert value(operator, "hyper2kvm_stage_duration_seconds_sum", stage="Fix") == 4.5
    assert value(operator, "hyper2kvm_copied_bytes_total") == 500
    labels = {"verdict": "Booted", "evidence": "Probe", "accelerator": "tcg"}
    assert value(operator, "hyper2kvm_boot_checks_total", **labels) == 1


def test_a_guest_that_does_not_come_up_is_counted_as_such():
    failure = failure_of(ValidationError(Reason.BOOT_FAILED, "emergency"))
    operator = converted(Result(outcome=Outcome.FAILED, failure=failure), failed=True)
    assert value(operator, "hyper2kvm_migrations_finished_total", phase="Failed") == 1
    assert value(operator, "hyper2kvm_failures_total", reason="BootFailed") == 1
    labels = {"verdict": "BootFailed", "evidence": "", "accelerator": ""}
    assert value(operator, "hyper2kvm_boot_checks_total", **labels) == 1
