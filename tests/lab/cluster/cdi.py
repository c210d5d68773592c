"""CDI, by its own operator."""

from hyper2kvm.run import run
from lab.cluster.binaries import CDI, CDI_VERSION
from lab.cluster.images import cdi
from lab.cluster.kubectl import Kubectl
from lab.cluster.progress import wait_for
from lab.cluster.storage import CLASSES
from lab.cluster.templates import fill

NAMESPACE = "cdi"


def operator_manifest() -> str:
    """What CDI's release has as cdi-operator.yaml, for our images."""
    image = cdi().reference
    generator = [
        str(CDI.program("manifest-generator")),
        *("-resource-type", "operator", "-resource-group", "everything"),
        *("-namespace", NAMESPACE, "-operator-version", CDI_VERSION, "-pull-policy", "Never"),
        *(f"-{name}-image={image(f'cdi-{name}')}" for name in ("operator", "controller", "importer", "cloner")),
        *(f"-{name}-image={image(f'cdi-{name}')}" for name in ("apiserver", "uploadproxy", "uploadserver")),
        # The oVirt populator is not built; the operator wants a name all the same.
        f"-ovirt-populator-image={image('cdi-ovirt-populator')}",
    ]
    return run(generator, deadline=60).text


def deploy(kubectl: Kubectl) -> None:
    """Install CDI and wait until its operator calls it Deployed; then tell it about the storage classes.

    Raises:
        HostError: ProgramTimedOut with the phase that it stays in.
    """
    if kubectl.field("cdi", "cdi", "status.phase") != "Deployed":
        kubectl.apply(operator_manifest())
        wait_for("CDI's API", lambda: _missing(kubectl, "crd", "cdis.cdi.kubevirt.io"), deadline=60)
        kubectl.apply(fill("manifests/cdi.yaml"))
        wait_for("CDI", lambda: _not_deployed(kubectl), deadline=300)
    for storage_class in CLASSES:
        name = storage_class.name
        wait_for(f"StorageProfile {name}", lambda name=name: _missing(kubectl, "storageprofile", name), deadline=60)
        kubectl.apply(storage_class.profile())


def _missing(kubectl: Kubectl, kind: str, name: str) -> str | None:
    return None if kubectl.get(kind, name) else f"there is no {kind} {name} yet"


def _not_deployed(kubectl: Kubectl) -> str | None:
    phase = kubectl.field("cdi", "cdi", "status.phase")
    return None if phase == "Deployed" else f"its phase is {phase or 'not set'}"
