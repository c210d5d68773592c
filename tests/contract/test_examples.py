"""The examples of manifests/examples are what the API takes, and its page lists all of them."""

from pathlib import Path

import pytest
import yaml

from hyper2kvm_api.manifest import parse
from hyper2kvm_api.migration import MigrationProfile, VirtualMachineMigration

EXAMPLES = Path(__file__).parents[2] / "manifests/examples"
KINDS = {"VirtualMachineMigration": VirtualMachineMigration, "MigrationProfile": MigrationProfile}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_valid_and_listed(path):
    for document in yaml.safe_load_all(path.read_text()):
        if document["kind"] in KINDS:
            parse(KINDS[document["kind"]], document, path.name)
    assert f"]({path.name})" in (EXAMPLES / "README.md").read_text()
