"""The configuration files of the node's programs: templates beside this module, filled for one cluster."""

from lab.cluster.layout import Layout
from lab.cluster.templates import fill

_PLACES = {
    "containerd.toml": "etc/containerd.toml",
    "10-lab.conflist": "etc/cni/10-lab.conflist",
    "kubelet.yaml": "etc/kubelet.yaml",
    "Corefile": "etc/Corefile",
    "audit.yaml": "etc/audit.yaml",
    "resolv.conf": "etc/resolv.conf",
}
"""Template in this folder's etc → its place in the cluster's folder."""


def write(layout: Layout, pause_image: str) -> None:
    """Write all configuration files into the cluster's folder."""
    for template, place in _PLACES.items():
        path = layout.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(template, layout, pause_image))


def render(template: str, layout: Layout, pause_image: str) -> str:
    """The text of one configuration file.

    Raises:
        KeyError: the template names something that there is not.
    """
    return fill(
        f"etc/{template}",
        folder=layout.folder,
        pause=pause_image,
        pods=layout.pods,
        cgroup=layout.cgroup,
        node_address=layout.node_address,
    )
