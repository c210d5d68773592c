"""The examples of manifests/examples are what the API takes, and its page lists all of them."""

from pathlib import Path

import pytest
import yaml

from hyper2kvm_api.manifest import parse
from hyper2kvm_api.migration import MigrationProfile, VirtualMachineMigration
from lab.cluster.storage import CLASSES

EXAMPLES = Path(__file__).parents[2] / "manifests/examples"
KINDS = {"VirtualMachineMigration": VirtualMachineMigration, "MigrationProfile": MigrationProfile}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_valid_and_listed(path):
    for document in yaml.safe_load_all(path.read_text()):
        if document["kind"] in KINDS:
            parse(KINDS[document["kind"]], document, path.name)
    assert f"]({path.name})" in (EXAMPLES / "README.md").read_text()


def test_storage_classes_that_examples_name_are_there_when_they_are_tried():
    """The operator plans nothing for a class that does not exist."""
    named = {
        document["spec"].get("target", {}).get("disks", {}).get("storageClassName")
        for path in EXAMPLES.glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] in KINDS
    }
    assert len(named) > 1
    assert named - {None} <= {one.name for one in CLASSES}
