"""The product's images, built from the Containerfiles that users build, and named by what they are made from."""

from dataclasses import dataclass
from pathlib import Path

from lab.cluster.cluster import Cluster
from lab.cluster.containerfiles import Build, build_image
from lab.cluster.digest import digest, digest_tree
from lab.cluster.images import REPOSITORY
from lab.cluster.layout import CACHE

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: what the Containerfiles copy from."""

_PACKAGES = ("crds/hyper2kvm_api", "operator/hyper2kvm_operator", "conversion-image/hyper2kvm")


@dataclass(frozen=True)
class ProductImage:
    """One of the two images.

    Attributes:
        name: its repository's last part.
        folder: where its Containerfile and its lock file lie, relative to the checkout.
    """

    name: str
    folder: str

    @property
    def digest(self) -> str:
        """Digest of the files that the build copies."""
        files = [ROOT / self.folder / name for name in ("Containerfile", "requirements.lock")]
        return digest(*files, ROOT / "pyproject.toml", *(digest_tree(ROOT / path, (".py",)) for path in _PACKAGES))

    @property
    def reference(self) -> str:
        """Full name with a tag that changes with the content."""
        return f"{REPOSITORY}/{self.name}:{self.digest}"


OPERATOR = ProductImage("hyper2kvm-operator", "operator")
CONVERSION = ProductImage("hyper2kvm-conversion", "conversion-image")


def ensure_image(cluster: Cluster, image: ProductImage) -> str:
    """Build an image and load it, unless the node has it; returns its full name.

    Raises:
        HostError: ProgramFailed with the last lines of the failing instruction.
    """
    reference = image.reference
    if not cluster.has_image(reference):
        cluster.load_image(ensure_archive(image), reference)
    return reference


def ensure_archive(image: ProductImage) -> Path:
    """The image as a docker archive, built when it is not cached. Older ones of the same name go.

    Raises:
        HostError: as `ensure_image`.
    """
    folder = CACHE / "product"
    archive = folder / f"{image.name}-{image.digest}.tar"
    if not archive.exists():
        build_image(Build(ROOT / image.folder / "Containerfile", ROOT, image.reference), archive)
        for older in folder.glob(f"{image.name}-????????????.tar"):
            if older != archive:
                older.unlink()
    return archive
