import re
from pathlib import Path

import pytest

from hyper2kvm_api.crd import migration_crd, profile_crd
from hyper2kvm_api.generate import GENERATED
from hyper2kvm_api.generated import drifted, header, main, write

REPOSITORY = Path(__file__).parents[3]
ALLOWED = {
    "type",
    "description",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "enum",
    "allOf",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "nullable",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
}


def schema(crd):
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(node, path=""):
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}[]")


@pytest.mark.parametrize("crd", [migration_crd(), profile_crd()], ids=["migration", "profile"])
def test_schemas_are_structural_and_described(crd):
    for path, node in nodes(schema(crd)):
        assert node.keys() <= ALLOWED, path
        assert "type" in node, path
        if path.startswith((".spec.", ".status.")) and not path.endswith("[]"):
            assert node.get("description"), path


def test_no_default_is_written_by_the_api_server():
    """A default that the API server writes into an object could not be told from the user's own choice."""
    assert not [path for path, node in nodes(schema(migration_crd())) if "default" in node]
    trim = schema(migration_crd())["properties"]["spec"]["properties"]["guest"]["properties"]["trim"]
    assert trim["description"].endswith("Default: true.")


def test_a_profile_may_remove_fields_by_null():
    spec = schema(profile_crd())["properties"]["spec"]
    assert spec["properties"]["guest"]["nullable"]
    assert spec["properties"]["guest"]["properties"]["trim"]["nullable"]
    assert "required" not in spec


def test_generated_files_are_what_their_generators_make():
    assert drifted(GENERATED, REPOSITORY) == []


def test_integers_have_their_size_and_nothing_is_an_anchor():
    for path, node in nodes(schema(migration_crd())):
        assert (node["type"] == "integer") == (node.get("format") == "int64"), path
    text = GENERATED["crds/hyper2kvm.io_virtualmachinemigrations.yaml"]()
    assert not re.search(r"[:-] [&*]\w", text)


@pytest.mark.parametrize("crd", [migration_crd(), profile_crd()], ids=["migration", "profile"])
def test_bounds_are_the_same_as_floats(crd):
    """So the API server reads them, and back into int64."""
    bounds = [node[key] for _, node in nodes(schema(crd)) for key in ("minimum", "maximum") if key in node]
    assert bounds
    assert all(float(bound) == bound and abs(bound) < 2**63 for bound in bounds)


def test_a_file_that_nothing_generates_any_more_is_found(tmp_path):
    write(GENERATED, tmp_path)
    (tmp_path / "crds/schemas/former.json").write_text((tmp_path / "crds/schemas/plan.json").read_text())
    (tmp_path / "docs/reference/written.md").write_text("# by hand")
    (tmp_path / "docs/reference/others.md").write_text(f"<!-- {header('another/package')} -->")
    assert drifted(GENERATED, tmp_path) == ["crds/schemas/former.json"]


def test_drift_is_found(tmp_path, capsys):
    write(GENERATED, tmp_path)
    assert main(GENERATED, ["--check", str(tmp_path)]) == 0
    (tmp_path / "docs/reference/reasons.md").write_text("edited")
    assert main(GENERATED, ["--check", str(tmp_path)]) == 1
    assert "docs/reference/reasons.md" in capsys.readouterr().err
