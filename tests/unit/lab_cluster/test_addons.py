"""What is deployed already is not installed again: it would take each test process some seconds. No cluster is there."""

import pytest

from lab.cluster import cdi, images, kubevirt
from lab.cluster.kubectl import Kubectl

INSTALLATIONS = {
    "cdi": (cdi.install, images.cdi().reference("cdi-operator")),
    "kubevirt": (kubevirt.install, images.kubevirt().reference("virt-operator")),
}


class Cluster(Kubectl):
    """An API server with an addon on it, in a phase and with an image."""

    def __init__(self, tmp_path, phase, image):
        super().__init__(tmp_path / "kubeconfig")
        object.__setattr__(self, "phase", phase)
        object.__setattr__(self, "reference", image)
        object.__setattr__(self, "changes", [])

    def get(self, kind, name, namespace="default"):
        if kind == "deployment":
            return {"spec": {"template": {"spec": {"containers": [{"image": self.reference}]}}}}
        return {"status": {"phase": self.phase}}

    def run(self, *arguments, **_):
        self.changes.append(arguments)
        raise InterruptedError


@pytest.mark.parametrize("addon", INSTALLATIONS)
def test_what_is_deployed_with_these_very_images_is_left_alone(tmp_path, addon):
    install, reference = INSTALLATIONS[addon]
    cluster = Cluster(tmp_path, "Deployed", reference)
    install(cluster)
    assert cluster.changes == []


@pytest.mark.parametrize("addon", INSTALLATIONS)
@pytest.mark.parametrize(("phase", "older"), [("Deploying", False), ("Deployed", True), ("", True)])
def test_what_is_not_whole_or_older_is_installed(tmp_path, addon, phase, older):
    install, reference = INSTALLATIONS[addon]
    cluster = Cluster(tmp_path, phase, "localhost/older:1" if older else reference)
    with pytest.raises(InterruptedError):
        install(cluster)
    assert len(cluster.changes) == 1
