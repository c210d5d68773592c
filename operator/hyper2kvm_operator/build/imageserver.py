"""The image server of the handoff Import: a pod and a Service that serve finished images to CDI, once, over TLS."""

from collections.abc import Sequence

from hyper2kvm_operator.build.job import CONTAINER, pod_security
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
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


def server_name(key: MigrationKey) -> str:
    """Name of the pod, Service, Secret and ConfigMap."""
    return key.child(ROLE)


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


def pod(key: MigrationKey, settings: Settings, claims: Sequence[str]) -> Json:
    """The pod that serves the images on the claims, read-only."""
    made = new_object(Resources.POD.value, key, server_name(key), labels={ROLE_LABEL: ROLE})
    made["spec"] = {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "containers": [_container(settings, claims)],
        "volumes": [
            {"name": "credentials", "secret": {"secretName": server_name(key), "defaultMode": 0o440}},
            *(
                {"name": f"image{n}", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
                for n, claim in enumerate(claims)
            ),
        ],
    }
    if settings.image_pull_secrets:
        made["spec"]["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return made


def _container(settings: Settings, claims: Sequence[str]) -> Json:
    return {
        "name": CONTAINER,
        "image": settings.conversion_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["h2k", "serve", IMAGES_FOLDER, "--secrets", SECRETS_FOLDER, "--port", str(PORT)],
        "ports": [{"containerPort": PORT, "name": "https"}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "credentials", "mountPath": SECRETS_FOLDER, "readOnly": True},
            *(
                {"name": f"image{n}", "mountPath": f"{IMAGES_FOLDER}/{claim}", "readOnly": True}
                for n, claim in enumerate(claims)
            ),
        ],
    }
