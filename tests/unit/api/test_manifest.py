import datetime as dt
from typing import get_args, get_origin

import pytest
import yaml

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.manifest import parse, parse_stored, read_manifests
from hyper2kvm_api.migration import VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason

MIGRATION = """
apiVersion: hyper2kvm.io/v1alpha1
kind: VirtualMachineMigration
metadata: {name: web01, uid: 0a7a, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  source: {files: {volume: {persistentVolumeClaim: {claimName: exports}}, path: web01/web01.ova}}
"""
PROFILE = """
apiVersion: hyper2kvm.io/v1alpha1
kind: MigrationProfile
metadata: {name: production}
spec: {guest: {serialConsole: true, trim: null}}
"""


def changed(**spec):
    value = yaml.safe_load(MIGRATION)
    value["spec"] |= spec
    return yaml.safe_dump(value)


def refusal(text):
    with pytest.raises(SpecError) as caught:
        read_manifests([("web01.yaml", text)])
    return caught.value


def test_a_migration_and_its_profiles_may_stand_in_one_file_or_in_several():
    together = read_manifests([("all.yaml", f"{MIGRATION}---\n{PROFILE}")])
    apart = read_manifests([("web01.yaml", MIGRATION), ("profile.yaml", PROFILE)])
    assert together == apart
    assert list(together.profiles) == ["production"]


def test_metadata_that_the_cluster_adds_is_accepted():
    assert read_manifests([("web01.yaml", MIGRATION)]).migration["metadata"]["uid"] == "0a7a"


@pytest.mark.parametrize(
    ("spec", "path", "nearest"),
    [
        ({"guest": {"serialConsol": True}}, "spec.guest.serialConsol", "serialConsole"),
        ({"taget": {}}, "spec.taget", "target"),
        (
            {"target": {"virtualMachine": {"networks": [{"sorce": "a"}]}}},
            "spec.target.virtualMachine.networks[0].sorce",
            "source",
        ),
        ({"job": {"resources": {"request": {}}}}, "spec.job.resources.request", "requests"),
        ({"validation": {"boot": {"time-out": "1m"}}}, "spec.validation.boot.time-out", "timeout"),
    ],
)
def test_unknown_keys_are_refused_with_their_path_and_the_nearest_known_key(spec, path, nearest):
    error = refusal(changed(**spec))
    assert error.reason is Reason.UNKNOWN_FIELD
    assert f"unknown field {path} (did you mean {nearest}?)" in error.message


def aliases(model, path=()):
    """Every field of a model and its parts whose name outside differs from the one inside: path, key, Python's name."""
    for name, field in model.model_fields.items():
        if field.alias != name:
            yield path, field.alias, name
        for part in parts(field.annotation):
            yield from aliases(part, (*path, field.alias))


def parts(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return [annotation]
    return [model for inner in get_args(annotation) for model in parts(inner) if get_origin(annotation) is not list]


@pytest.mark.parametrize(("path", "key", "name"), list(aliases(VirtualMachineMigrationSpec)), ids=str)
def test_keys_are_camel_case_only(path, key, name):
    spec = {}
    inner = spec
    for step in path:
        inner = inner.setdefault(step, {})
    inner[name] = None
    with pytest.raises(SpecError) as caught:
        parse(VirtualMachineMigrationSpec, {"source": {}, **spec}, "spec")
    assert f"unknown field {'.'.join((*path, name))} (did you mean {key}?)" in caught.value.message


def test_what_json_does_not_know_is_refused():
    with pytest.raises(SpecError, match="date is not JSON serializable"):
        parse(VirtualMachineMigrationSpec, {"job": {"labels": {"since": dt.date(2026, 1, 1)}}}, "spec")


def test_a_key_that_resembles_nothing_gets_the_known_ones():
    assert "(known here: secretName)" in refusal(changed(guest={"keys": {"zzz": 1}})).message


def test_unknown_keys_of_a_profile_are_refused_as_well():
    with pytest.raises(SpecError) as caught:
        read_manifests([("a", MIGRATION), ("b", PROFILE.replace("serialConsole", "serialconsole"))])
    assert "did you mean serialConsole?" in caught.value.message


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"mode": "Maybe"}, "spec.mode: Input should be 'Migrate' or 'Plan' (given: 'Maybe')"),
        ({"guest": {"trim": "sure"}}, "spec.guest.trim"),
        ({"guest": {"trim": "yes"}}, "spec.guest.trim"),
        ({"guest": {"trim": 1}}, "spec.guest.trim"),
        ({"job": {"retries": "3"}}, "spec.job.retries"),
        ({"machine": {"cpu": {"cores": 2.0}}}, "spec.machine.cpu.cores"),
        ({"target": {"virtualMachine": {"labels": {"tier": 1}}}}, "spec.target.virtualMachine.labels.tier"),
        ({"profiles": ["production", 7]}, "spec.profiles[1]"),
        ({"machine": {"memory": "2 GB"}}, "spec.machine.memory"),
        ({"machine": {"memory": "0"}}, "spec.machine.memory"),
        ({"validation": {"boot": {"timeout": "0s"}}}, "spec.validation.boot.timeout"),
        ({"machine": {"cpu": {"sockets": 0}}}, "spec.machine.cpu.sockets"),
        ({"guest": {"root": "sda1"}}, "spec.guest.root"),
        ({"validation": {"boot": {"timeout": "10"}}}, "spec.validation.boot.timeout"),
    ],
)
def test_wrong_values_are_refused_with_their_path(spec, said):
    error = refusal(changed(**spec))
    assert error.reason is Reason.INVALID_SPEC
    assert said in error.message
    assert "kubectl explain" in error.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 VirtualMachineMigrations"),
        (f"{MIGRATION}---\n{MIGRATION}", "2 VirtualMachineMigrations"),
        ("- a", "no mapping"),
        ("a: [", "web01.yaml"),
        ("kind: Pod", "'Pod'"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        (MIGRATION + "  guest: {trim: true}\n  guest: {}\n", "'guest' stands twice"),
        (MIGRATION.replace("{name: web01,", "{name: web01, name: web02,"), "'name' stands twice"),
        (MIGRATION + "  guest: {1: 2}\n", "this key is no text: quote it"),
        (MIGRATION + "  guest: &a {trim: [*a]}\n", "Circular reference"),
        (MIGRATION + "  guest: {root: !!binary aGVsbG8=}\n", "bytes"),
        (MIGRATION + "  guest: {trim: .nan}\n", "float values"),
    ],
)
def test_what_holds_no_migration_is_unreadable(text, said):
    error = refusal(text)
    assert error.reason is Reason.MANIFEST_UNREADABLE
    assert said in error.message


def test_a_stored_document_of_a_newer_version_is_read_without_what_is_unknown():
    stored = {
        "phase": "Converting",
        "fromTheFuture": 1,
        "disks": [{"id": "scsi0:0", "colour": "red"}],
        "failure": {"reason": "FutureReason", "message": "m", "severity": "high"},
    }
    status = parse_stored(VirtualMachineMigrationStatus, stored, "status")
    assert (status.phase, status.disks[0].id, status.failure.reason) == ("Converting", "scsi0:0", "FutureReason")


@pytest.mark.parametrize("stored", [{"phase": "Pondering"}, {"disks": [{"capacity": 1}]}, {"percent": 101}])
def test_a_stored_document_with_words_or_values_of_another_form_is_refused(stored):
    with pytest.raises(SpecError) as caught:
        parse_stored(VirtualMachineMigrationStatus, stored, "status")
    assert caught.value.reason is Reason.INVALID_SPEC
    assert caught.value.message.startswith("status: ")


def test_what_looks_like_a_time_is_text():
    text = MIGRATION + "  target: {virtualMachine: {labels: {since: 2026-01-01}}}\n"
    assert (
        read_manifests([("a", text)]).migration["spec"]["target"]["virtualMachine"]["labels"]["since"] == "2026-01-01"
    )


def test_parts_of_a_manifest_may_be_shared_by_anchors():
    text = (
        MIGRATION + "  target: {virtualMachine: {labels: &tier {tier: front}}}\n  job: {labels: {<<: *tier, team: a}}\n"
    )
    spec = read_manifests([("web01.yaml", text)]).migration["spec"]
    assert spec["job"]["labels"] == {"tier": "front", "team": "a"}


def test_two_profiles_of_one_name_are_refused():
    with pytest.raises(SpecError) as caught:
        read_manifests([("a.yaml", f"{MIGRATION}---\n{PROFILE}"), ("b.yaml", PROFILE)])
    assert caught.value.message == "b.yaml: there are two MigrationProfiles 'production'"


@pytest.mark.parametrize(
    ("migration", "profile", "refused"),
    [("a", "a", False), (None, "a", False), ("a", None, False), (None, None, False), ("a", "b", True)],
)
def test_a_profile_is_of_the_migrations_namespace(migration, profile, refused):
    texts = []
    for text, namespace in ((MIGRATION, migration), (PROFILE, profile)):
        value = yaml.safe_load(text)
        value["metadata"] = {"name": value["metadata"]["name"]} | ({"namespace": namespace} if namespace else {})
        texts.append((value["kind"], yaml.safe_dump(value)))
    if not refused:
        assert list(read_manifests(texts).profiles) == ["production"]
        return
    with pytest.raises(SpecError) as caught:
        read_manifests(texts)
    assert "'production' is of the namespace b, the migration of a" in caught.value.message
