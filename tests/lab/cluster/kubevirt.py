"""KubeVirt, by its own operator, with emulation where the machine has no KVM that works."""

from hyper2kvm.run import run
from lab.cluster.binaries import KUBEVIRT, KUBEVIRT_VERSION
from lab.cluster.images import kubevirt
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import NODE
from lab.cluster.progress import wait_for
from lab.cluster.templates import fill

NAMESPACE = "kubevirt"


def install(kubectl: Kubectl) -> None:
    """Install KubeVirt's operator and ask it for KubeVirt. Does nothing where these very images are deployed.

    Raises:
        HostError: ProgramFailed with the API server's refusal; ProgramTimedOut.
    """
    if deployed(kubectl) and kubectl.image("virt-operator", NAMESPACE) == kubevirt().reference("virt-operator"):
        return
    # virt-operator's and virt-api's pods prefer or require nodes of the control plane.
    kubectl("label", "node", NODE, "node-role.kubernetes.io/control-plane=", "--overwrite")
    kubectl.make_namespace(NAMESPACE)
    for kind in ("kv", "operator-rbac", "priorityclass"):
        kubectl.apply(_generated(kind))
    wait_for("KubeVirt's API", lambda: _no_api(kubectl), deadline=60)
    kubectl.apply(operator_manifest())


def wait_until_deployed(kubectl: Kubectl) -> None:
    """Wait until KubeVirt's operator calls it Deployed.

    Raises:
        HostError: ProgramTimedOut with the phase that it stays in and the pods that are not ready.
    """
    wait_for("KubeVirt", lambda: _not_deployed(kubectl), deadline=600)


def deployed(kubectl: Kubectl) -> bool:
    """Whether KubeVirt's operator calls it Deployed."""
    return kubectl.field("kubevirt", "kubevirt", "status.phase", NAMESPACE) == "Deployed"


def operator_manifest() -> str:
    """The operator's Deployment and the KubeVirt object, for our images."""
    names = ("operator", "api", "controller", "handler", "launcher")
    references = {name: kubevirt().reference(f"virt-{name}") for name in names}
    return fill("manifests/kubevirt.yaml", version=KUBEVIRT_VERSION, **references)


def _generated(kind: str) -> str:
    generator = str(KUBEVIRT.program("resource-generator"))
    return run([generator, "--type", kind, "--namespace", NAMESPACE], deadline=60).text


def _no_api(kubectl: Kubectl) -> str | None:
    established = kubectl.run("get", "kubevirts.kubevirt.io", "--all-namespaces", check=False).code == 0
    return None if established else "its resources are not served yet"


def _not_deployed(kubectl: Kubectl) -> str | None:
    phase = kubectl.field("kubevirt", "kubevirt", "status.phase", NAMESPACE)
    return (
        None
        if phase == "Deployed"
        else f"its phase is {phase or 'not set'}; waiting for {kubectl.unready(NAMESPACE) or 'its pods'}"
    )
