"""The image server of the handoff Import: a pod and a Service that serve finished images to CDI, once, over TLS."""

from collections.abc import Sequence

from hyper2kvm_api.migration import VirtualMachineMigrationSpec
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
from hyper2kvm_operator.build.pod import container_spec, pod_metadata, pod_spec
from hyper2kvm_operator.build.volumes import Volume
from hyper2kvm_operator.kube.resources import ROLE_LABEL, Resources
from hyper2kvm_operator.settings import Settings

PORT = 8443
ROLE = "serve"
IMAGES_FOLDER = "/images"
SECRETS_FOLDER = "/secrets/serve"

USER_KEY = "accessKeyId"
PASSWORD_KEY = "secretKey"  # noqa: S105 -- the name of a key
"""Keys of the Secret: CDI sends them as HTTP basic authentication (doc/datavolumes.md, HTTP source)."""

CERTIFICATE_KEY = "tls.crt"
PRIVATE_KEY = "tls.key"

_RESOURCES: Json = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
_LABEL = 63
_UID = 8


def server_name(key: MigrationKey) -> str:
    """Name of the pod, Service, Secret and ConfigMap: `serve-web01-0f3a5c7e`, a label of DNS (RFC 1035).

    It has a part of the migration's uid in it: the Secret cannot be read to see whose it is, so that its name has to
    tell. Services' names begin with a letter, which migrations' need not.
    """
    start, end = f"{ROLE}-{key.name}".replace(".", "-"), key.uid[:_UID]
    return f"{start[: _LABEL - len(end) - 1].rstrip('-')}-{end}"


def server_host(key: MigrationKey, settings: Settings) -> str:
    """DNS name of the Service."""
    return f"{server_name(key)}.{key.namespace}.svc.{settings.cluster_domain}"


def image_url(key: MigrationKey, settings: Settings, claim: str, file: str) -> str:
    """Where the image on a claim is served."""
    return f"https://{server_host(key, settings)}:{PORT}/{claim}/{file}"


def credentials(
    key: MigrationKey, *, user: str, password: str, certificate: str, private_key: str
) -> tuple[Json, Json]:
    """The Secret with everything that the server needs, and the ConfigMap with what its client trusts."""
    secret = new_object(Resources.SECRET.value, key, server_name(key))
    secret |= {
        "type": "Opaque",
        "stringData": {
            USER_KEY: user,
            PASSWORD_KEY: password,
            CERTIFICATE_KEY: certificate,
            PRIVATE_KEY: private_key,
        },
    }
    trusted = new_object(Resources.CONFIG_MAP.value, key, server_name(key)) | {"data": {"ca.pem": certificate}}
    return secret, trusted


def service(key: MigrationKey) -> Json:
    """The Service in front of the pod."""
    made = new_object(Resources.SERVICE.value, key, server_name(key))
    made["spec"] = {
        "selector": {**key.labels, ROLE_LABEL: ROLE},
        "ports": [{"name": "https", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
    }
    return made


def pod(key: MigrationKey, spec: VirtualMachineMigrationSpec, settings: Settings, claims: Sequence[str]) -> Json:
    """The pod that serves the images on the claims, read-only, until it is deleted."""
    volumes = [
        Volume("credentials", {"secret": {"secretName": server_name(key), "defaultMode": 0o440}}, SECRETS_FOLDER),
        *(
            Volume(
                f"image{number}",
                {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}},
                f"{IMAGES_FOLDER}/{claim}",
            )
            for number, claim in enumerate(claims)
        ),
    ]
    command = ["h2k", "serve", IMAGES_FOLDER, "--secrets", SECRETS_FOLDER, "--port", str(PORT)]
    serving = container_spec(settings, command, _RESOURCES, volumes) | {
        "ports": [{"containerPort": PORT, "name": "https"}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 2},
    }
    made = new_object(Resources.POD.value, key, server_name(key))
    made["metadata"] |= pod_metadata(key, spec.job, ROLE)
    made["spec"] = pod_spec(settings, spec.job, serving, volumes, restart="Always")
    return made
