"""DataVolumes: how CDI and KubeVirt take over a finished disk.

Source: CDI, doc/datavolumes.md and doc/claim-adoption (annotations), v1.65.
"""

from hyper2kvm_api.options import DiskOptions, VolumeMode
from hyper2kvm_operator.build.claims import Overheads, required_size
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
from hyper2kvm_operator.kube.resources import Resources

POPULATED_FOR = "cdi.kubevirt.io/storage.populatedFor"
"""Annotation of a claim: the DataVolume whose content it already holds."""

ALLOW_ADOPTION = "cdi.kubevirt.io/allowClaimAdoption"
"""Annotation of a DataVolume: take over the claim of the same name."""

IMMEDIATE = "cdi.kubevirt.io/storage.bind.immediate.requested"
"""Annotation of a DataVolume: import at once, without waiting for a first consumer."""


def adopting(key: MigrationKey, claim: Json) -> Json:
    """The DataVolume that adopts a finished claim of the same name. Made only when the claim is whole."""
    made = new_object(
        Resources.DATA_VOLUME.value,
        key,
        claim["metadata"]["name"],
        owned=False,
        annotations={ALLOW_ADOPTION: "true"},
    )
    spec = claim["spec"]
    made["spec"] = {
        "source": {"blank": {}},
        "pvc": {
            name: spec[name] for name in ("accessModes", "volumeMode", "resources", "storageClassName") if name in spec
        },
    }
    return made


def importing(
    key: MigrationKey,
    name: str,
    capacity: int,
    options: DiskOptions,
    overheads: Overheads,
    *,
    url: str,
    server: str,
    default_class: str | None = None,
) -> Json:
    """The DataVolume that fetches a finished qcow2 over HTTPS.

    Args:
        key: the migration.
        name: name of the DataVolume and its claim.
        capacity: virtual size in bytes.
        options: the target's disks.
        overheads: CDI's filesystem overheads.
        url: where the image is served.
        server: name of the ConfigMap with the certificate to trust, and of the Secret with the one-time user and password.
        default_class: the cluster's default storage class, which a claim gets that names none.
    """
    mode = options.volume_mode or VolumeMode.FILESYSTEM
    size = required_size(capacity, mode, overheads.of(options.storage_class_name or default_class))
    made = new_object(Resources.DATA_VOLUME.value, key, name, annotations={IMMEDIATE: "true"})
    made["spec"] = {
        "source": {"http": {"url": url, "certConfigMap": server, "secretRef": server}},
        "pvc": {
            "accessModes": options.access_modes or ["ReadWriteOnce"],
            "volumeMode": mode.value,
            "resources": {"requests": {"storage": str(size)}},
        }
        | ({"storageClassName": options.storage_class_name} if options.storage_class_name else {}),
    }
    return made
