"""CDI, by its own operator."""

from hyper2kvm.run import run
from lab.cluster.binaries import CDI, CDI_VERSION
from lab.cluster.images import cdi
from lab.cluster.kubectl import Kubectl
from lab.cluster.progress import wait_for
from lab.cluster.storage import CLASSES, StorageClass
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


def install(kubectl: Kubectl) -> None:
    """Install CDI's operator and ask it for CDI. Does nothing where these very images are deployed.

    Raises:
        HostError: ProgramFailed with the API server's refusal; ProgramTimedOut.
    """
    if _phase(kubectl) == "Deployed" and kubectl.image("cdi-operator", NAMESPACE) == cdi().reference("cdi-operator"):
        return
    kubectl.make_namespace(NAMESPACE)
    kubectl.apply(operator_manifest())
    wait_for("CDI's API", lambda: _missing(kubectl, "crd", "cdis.cdi.kubevirt.io"), deadline=60)
    kubectl.apply(fill("manifests/cdi.yaml"))


def uninstall(kubectl: Kubectl) -> None:
    """Take CDI away with its kinds; its operator stays, and installs it again when asked.

    Raises:
        HostError: ProgramFailed, ProgramTimedOut.
    """
    kubectl("delete", "cdi", "cdi", "--ignore-not-found", "--timeout=120s", deadline=130)
    wait_for("the end of CDI", lambda: _left(kubectl, "crd", "datavolumes.cdi.kubevirt.io"), deadline=120)


def wait_until_deployed(kubectl: Kubectl) -> None:
    """Wait until CDI's operator calls it Deployed; then tell it about the storage classes.

    Raises:
        HostError: ProgramTimedOut with the phase that it stays in and the pods that are not ready.
    """
    wait_for("CDI", lambda: _not_deployed(kubectl), deadline=300)
    for storage_class in CLASSES:
        _tell_about(kubectl, storage_class)


def _tell_about(kubectl: Kubectl, storage_class: StorageClass) -> None:
    name = storage_class.name
    wait_for(f"StorageProfile {name}", lambda: _missing(kubectl, "storageprofile", name), deadline=60)
    kubectl.apply(storage_class.profile())


def _missing(kubectl: Kubectl, kind: str, name: str) -> str | None:
    return None if kubectl.get(kind, name) else f"there is no {kind} {name} yet"


def _left(kubectl: Kubectl, kind: str, name: str) -> str | None:
    return f"there still is {kind} {name}" if kubectl.get(kind, name) else None


def _not_deployed(kubectl: Kubectl) -> str | None:
    phase = _phase(kubectl)
    return (
        None
        if phase == "Deployed"
        else f"its phase is {phase or 'not set'}; waiting for {kubectl.unready(NAMESPACE) or 'its pods'}"
    )


def _phase(kubectl: Kubectl) -> str:
    return kubectl.field("cdi", "cdi", "status.phase")
