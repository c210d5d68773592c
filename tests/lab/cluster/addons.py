"""What a cluster may have beyond Kubernetes."""

from collections.abc import Callable
from dataclasses import dataclass

from lab.cluster import binaries, cdi, images, kubevirt
from lab.cluster.binaries import Group
from lab.cluster.images import ImageSet
from lab.cluster.kubectl import Kubectl


@dataclass(frozen=True)
class Addon:
    """What it is made of, and how it gets onto a cluster.

    Attributes:
        groups: its programs.
        images: describes its images.
        install: asks for it.
        wait: returns when it is deployed.
    """

    groups: tuple[Group, ...]
    images: Callable[[], ImageSet]
    install: Callable[[Kubectl], None]
    wait: Callable[[Kubectl], None]


CDI = Addon((binaries.CDI,), images.cdi, cdi.install, cdi.wait_until_deployed)
KUBEVIRT = Addon(
    (binaries.KUBEVIRT, binaries.VIRT_CHROOT), images.kubevirt, kubevirt.install, kubevirt.wait_until_deployed
)
