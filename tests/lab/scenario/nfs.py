"""An NFS server (nfs-ganesha) as a pod, which exports a claim to read."""

from lab.cluster import images
from lab.cluster.cluster import Cluster
from lab.cluster.images import ensure_packed
from lab.scenario.objects import Json
from lab.scenario.project import Project

EXPORT = "/exports"
"""The export's path, as clients name it."""

_NAME = "nfs"

_CONFIGURATION = """
NFS_CORE_PARAM { Protocols = 4; mount_path_pseudo = true; Enable_NLM = false; Enable_RQUOTA = false; }
NFSv4 { Graceless = true; Minor_Versions = 0; Only_Numeric_Owners = true; }
EXPORT {
  Export_Id = 1; Path = /volume; Pseudo = /exports; Access_Type = RO; Squash = Root_Squash; SecType = sys;
  FSAL { Name = VFS; }
}
"""
"""ganesha-config(8), ganesha-export-config(8). A server that is new to its clients need not wait for what they held."""

_SCRIPT = """
mkdir --parents /run/ganesha /var/lib/nfs/ganesha
ln --symbolic --force /proc/self/mounts /etc/mtab
exec ganesha.nfsd -F -f <(echo "$CONFIGURATION") -L STDOUT
"""


def serve(project: Project, claim: str) -> str:
    """Serve a claim of a project; the server's address, once it listens.

    Raises:
        HostError: ProgramFailed of the image; ProgramTimedOut.
    """
    project.apply(_pod(_image(project.cluster), claim))
    project.kubectl("wait", "--for=condition=Ready", f"pod/{_NAME}", "--timeout=120s", deadline=130)
    return str((project.get("pod", _NAME) or {})["status"]["podIP"])


def stop(project: Project) -> None:
    """Remove the server. Whoever has mounted its export must have unmounted it.

    Raises:
        HostError: ProgramFailed.
    """
    project.kubectl("delete", "pod", _NAME)


def _image(cluster: Cluster) -> str:
    (reference,) = images.nfs().references
    if not cluster.has_image(reference):
        cluster.load_image(ensure_packed(images.nfs()), reference)
    return reference


def _pod(image: str, claim: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _NAME},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["bash", "-euc", _SCRIPT],
                    "env": [{"name": "CONFIGURATION", "value": _CONFIGURATION}],
                    # Files are opened by handle (open_by_handle_at(2)).
                    "securityContext": {"capabilities": {"add": ["DAC_READ_SEARCH"]}},
                    "readinessProbe": {"tcpSocket": {"port": 2049}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "volume", "mountPath": "/volume", "readOnly": True}],
                }
            ],
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
