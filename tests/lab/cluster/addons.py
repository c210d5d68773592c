"""What a cluster may have beyond Kubernetes."""

from collections.abc import Callable
from enum import Enum

from lab.cluster import cdi, images, kubevirt
from lab.cluster.binaries import CDI, KUBEVIRT, VIRT_CHROOT, Group
from lab.cluster.images import ImageSet
from lab.cluster.kubectl import Kubectl


class Addon(Enum):
    """One addon: what it is made of, and how it gets onto a cluster."""

    CDI = "cdi"
    KUBEVIRT = "kubevirt"

    @property
    def groups(self) -> tuple[Group, ...]:
        """Its programs."""
        return {Addon.CDI: (CDI,), Addon.KUBEVIRT: (KUBEVIRT, VIRT_CHROOT)}[self]

    @property
    def images(self) -> ImageSet:
        """Its images."""
        return {Addon.CDI: images.cdi, Addon.KUBEVIRT: images.kubevirt}[self]()

    @property
    def install(self) -> Callable[[Kubectl], None]:
        """What installs it."""
        return {Addon.CDI: cdi.install, Addon.KUBEVIRT: kubevirt.install}[self]

    @property
    def wait(self) -> Callable[[Kubectl], None]:
        """What waits for it."""
        return {Addon.CDI: cdi.wait_until_deployed, Addon.KUBEVIRT: kubevirt.wait_until_deployed}[self]
