"""The product on the lab's cluster: its images, built from the checkout, and its chart, installed by Helm.

`python -m lab.product` only builds the images.
"""

import hashlib
from pathlib import Path

from hyper2kvm.run import run
from lab.cluster.binaries import KUBERNETES, ensure_built
from lab.cluster.cluster import Cluster
from lab.cluster.containerfiles import Build, build_image, trim_build_storage
from lab.cluster.layout import CACHE
from lab.cluster.lock import IMAGES, alone
from lab.cluster.progress import say

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts/hyper2kvm"
NAMESPACE = "hyper2kvm"
RELEASE = "h2k"
DEPLOYMENT = "h2k-hyper2kvm"

_SOURCES = ("pyproject.toml", "crds/hyper2kvm_api", "operator/hyper2kvm_operator", "conversion-image/hyper2kvm")
_ROOMS = {"operator": "operator", "conversion": "conversion-image"}
"""Image → the folder with its Containerfile and its lock."""


def image(name: str) -> str:
    """The reference of one of the two images, with a tag that is its content's."""
    hashed = hashlib.sha256()
    room = REPOSITORY / _ROOMS[name]
    for path in (room / "Containerfile", room / "requirements.lock", *_files()):
        hashed.update(str(path.relative_to(REPOSITORY)).encode() + b"\0" + path.read_bytes())
    return f"localhost/hyper2kvm-{name}:{hashed.hexdigest()[:12]}"


def ensure_images() -> dict[str, Path]:
    """Archives of both images by reference, built where they are not cached.

    Raises:
        HostError: a build failed.
    """
    return {reference: _archive(name, reference) for name, reference in images().items()}


def images() -> dict[str, str]:
    """The references of both images by name."""
    return {name: image(name) for name in _ROOMS}


def load_images(cluster: Cluster) -> dict[str, str]:
    """Give the node both images; their references by name.

    Raises:
        HostError: a build failed.
    """
    found = images()
    for name, reference in found.items():
        if not cluster.has_image(reference):
            archive = _archive(name, reference)
            say(f"loading {reference}")
            cluster.load_image(archive, reference)
    return found


def install(cluster: Cluster, *settings: str, chart: Path = CHART) -> None:
    """Install or upgrade the chart, and wait until the operator is ready.

    Args:
        cluster: where.
        settings: values of the chart as `path=value`; the last one of a path counts.
        chart: its folder.

    Raises:
        HostError: ProgramFailed with Helm's words.
    """
    found = load_images(cluster)
    say(f"helm upgrade --install {RELEASE}")
    values = [
        f"operator.image.name={found['operator']}",
        f"conversion.image.name={found['conversion']}",
        "operator.image.pullPolicy=Never",
        "conversion.image.pullPolicy=Never",
        # The node has two cores, and the cluster itself runs on them.
        "conversion.resources.requests.cpu=100m",
        "conversion.resources.requests.memory=256Mi",
        *settings,
    ]
    chosen = [f"--set={value}" for value in values]
    wait = ["--wait", "--timeout=5m", "--create-namespace", f"--namespace={NAMESPACE}"]
    helm(cluster, "upgrade", "--install", RELEASE, str(chart), *wait, *chosen)


def helm(cluster: Cluster, *arguments: str, deadline: float = 400) -> str:
    """Run Helm on the cluster; what it prints.

    Raises:
        HostError: ProgramFailed with Helm's words.
    """
    ensure_built(KUBERNETES)
    command = [str(KUBERNETES.program("helm")), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    return run(command, deadline=deadline, environment=cluster.kubectl.environment).text


def _files() -> list[Path]:
    found = []
    for source in _SOURCES:
        path = REPOSITORY / source
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [each for each in inside if each.is_file() and each.suffix != ".pyc"]
    return found


def _archive(name: str, reference: str) -> Path:
    folder = CACHE / "cluster" / "images"
    archive = folder / f"hyper2kvm-{name}-{reference.partition(':')[2]}.tar"
    if archive.exists():
        return archive
    with alone(IMAGES, "whoever else builds images"):
        if archive.exists():  # another process may have built it while this one waited
            return archive
        for older in folder.glob(f"hyper2kvm-{name}-*"):
            older.unlink()
        trim_build_storage()
        build_image(Build(REPOSITORY / _ROOMS[name] / "Containerfile", REPOSITORY, reference), archive)
    return archive


if __name__ == "__main__":
    for built in ensure_images():
        say(built)
