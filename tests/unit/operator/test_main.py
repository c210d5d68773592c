"""The operator's process where it cannot start."""

import pytest

from hyper2kvm_api.reasons import Category
from hyper2kvm_operator.main import main


@pytest.mark.parametrize(
    ("image", "reason", "category"),
    [("example/conversion:1", "ClusterNotConfigured", Category.CLUSTER), ("", "InvalidSpec", Category.SPEC)],
    ids=["no cluster", "no image"],
)
def test_what_it_lacks_is_told_in_a_line(monkeypatch, tmp_path, capsys, image, reason, category):
    monkeypatch.setenv("HYPER2KVM_CONVERSION_IMAGE", image)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main() == category.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{reason}: ")
