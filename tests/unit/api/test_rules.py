"""The rules that span fields. What the API server makes of them is shown in tests/cluster/test_api.py."""

import json

import pytest
import yaml

from cluster.test_api import REFUSED
from hyper2kvm_api.crd import migration_crd, profile_crd
from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.manifest import read_manifests
from hyper2kvm_api.resolve import effective_spec
from hyper2kvm_api.rules import RULES, broken
from hyper2kvm_api.structural import choices
from lab.scenario.objects import migration

VOLUME = {"hostPath": {"path": "/v"}}
SOURCE = {"files": {"volume": VOLUME, "path": "web01.ova"}}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"source": {}}, "source: exactly one of files is needed"),
        (
            {"source": {"files": {"volume": {**VOLUME, "nfs": {"server": "s", "path": "/"}}, "path": "a"}}},
            "source.files.volume: exactly one of persistentVolumeClaim, nfs, hostPath is needed",
        ),
        ({"source": {"files": {"volume": VOLUME, "path": "/a"}}}, "source.files.path: must be relative"),
        ({"source": {"files": {"volume": VOLUME, "path": "a/../b"}}}, "source.files.path: must be relative"),
        (
            {"target": {"virtualMachine": {"networks": [{"pod": {}}, {"source": "lan"}]}}},
            "target.virtualMachine.networks[1]: exactly one of pod, multus, ignore is needed",
        ),
        ({"target": {"handoff": "Import", "disks": {"format": "raw"}}}, "target: handoff Adopt needs disks.format raw"),
        ({"target": {"handoff": "Adopt", "disks": {"format": "vdi"}}}, "target: handoff Adopt needs disks.format raw"),
        ({"target": {"disks": {"compression": "Zstd", "format": "vdi"}}}, "target.disks: only qcow2 disks"),
        (
            {"target": {"handoff": "None", "virtualMachine": {"create": True}}},
            "target: virtualMachine.create needs handoff",
        ),
        (
            {"target": {"disks": {"format": "vdi"}, "virtualMachine": {"create": True}}},
            "target: virtualMachine.create needs disks.format",
        ),
        ({"machine": {"secureBoot": True, "firmware": "bios"}}, "machine: secureBoot needs firmware uefi"),
    ],
)
def test_a_broken_rule_is_told_with_its_path(spec, said):
    (message,) = broken({"source": SOURCE, **spec})
    assert message.startswith(said)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"target": {"handoff": "None", "disks": {"format": "vdi", "compression": "None"}}},
        {"target": {"handoff": "Import", "disks": {"format": "qcow2", "compression": "Zlib"}}},
        {"target": {"virtualMachine": {"networks": [{"source": "lan", "ignore": {}}, {"pod": {}}]}}},
        {"machine": {"secureBoot": False, "firmware": "bios"}},
        {"target": {"handoff": "None", "virtualMachine": {"create": False}}},
        {"target": {"handoff": "Import", "disks": {"format": "qcow2"}, "virtualMachine": {"create": True}}},
        {"machine": {"secureBoot": True}},
    ],
)
def test_what_goes_together_breaks_no_rule(spec):
    assert broken({"source": SOURCE, **spec}) == []


@pytest.mark.parametrize("changes", [pytest.param(changes, id=name) for name, (changes, _) in REFUSED.items()])
def test_what_the_api_server_refuses_is_refused_without_a_cluster_too(changes):
    text = json.dumps(migration("web01", "web01.ova", **changes))
    with pytest.raises(SpecError):
        effective_spec(read_manifests([("web01.yaml", text)]).migration, [])


def rules(schema, path=""):
    yield from ((path, rule["message"]) for rule in schema.get("x-kubernetes-validations", []))
    for name, member in schema.get("properties", {}).items():
        yield from rules(member, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from rules(schema["items"], f"{path}.[]")


def spec_of(crd):
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def test_both_kinds_have_every_rule_about_what_they_hold():
    for crd in (migration_crd(), profile_crd()):
        spec = spec_of(crd)
        expected = {(".".join(rule.path), rule.message) for rule in RULES if rule.path[0] in spec["properties"]}
        assert expected <= set(rules(spec))
    assert {rule.path[0] for rule in RULES} - set(spec["properties"]) == {"source"}


def test_options_of_both_kinds_may_be_null_and_what_is_no_option_may_not():
    for crd in (migration_crd(), profile_crd()):
        guest = spec_of(crd)["properties"]["guest"]
        assert guest["nullable"]
        assert guest["properties"]["trim"]["nullable"]
        handoff = spec_of(crd)["properties"]["target"]["properties"]["handoff"]
        assert "enum" not in handoff, "the API server would hold null against it"
        assert choices(handoff) == ["Adopt", "Import", "None"]
        labels = spec_of(crd)["properties"]["target"]["properties"]["virtualMachine"]["properties"]["labels"]
        assert labels["additionalProperties"]["nullable"]
    members = spec_of(migration_crd())["properties"]
    assert [name for name in ("source", "profiles", "mode", "suspend", "cancel") if "nullable" in members[name]] == []


def test_a_migrations_null_takes_away_what_a_profile_sets():
    profile = {"spec": {"guest": {"trim": False}, "target": {"virtualMachine": {"labels": {"tier": "a", "team": "b"}}}}}
    text = json.dumps(migration("web01", "web01.ova"))
    own = yaml.safe_load(text)
    own["spec"] |= {"guest": {"trim": None}, "target": {"virtualMachine": {"labels": {"tier": None}}}}
    spec = effective_spec(read_manifests([("web01.yaml", json.dumps(own))]).migration, [profile])
    assert (spec.guest.trim, spec.target.virtual_machine.labels) == (True, {"team": "b"})
