import base64
import json
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.cluster import pki
from lab.cluster.layout import Layout


@dataclass(frozen=True)
class Elsewhere(Layout):
    place: Path = Path()

    @property
    def folder(self) -> Path:
        return self.place


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Elsewhere(place=tmp_path_factory.mktemp("cluster"))
    pki.make(made)
    return made


def openssl(*arguments: object) -> str:
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("identity", pki.IDENTITIES, ids=lambda identity: identity.file)
def test_every_certificate_is_the_authoritys_and_names_its_user(layout, identity):
    certificate = layout.pki / f"{identity.file}.crt"
    assert openssl("verify", "-CAfile", layout.pki / "ca.crt", certificate).endswith("OK\n")
    subject = openssl("x509", "-in", certificate, "-noout", "-subject")
    assert f"CN = {identity.user}" in subject
    assert ("O = " in subject) == bool(identity.group)


def test_the_api_servers_certificate_names_its_addresses(layout):
    told = openssl("x509", "-in", layout.pki / "apiserver.crt", "-noout", "-ext", "subjectAltName")
    for name in ("DNS:kubernetes.default.svc", f"IP Address:{layout.node_address}", f"IP Address:{layout.services[1]}"):
        assert name in told


def test_no_certificate_but_the_authoritys_may_sign_another(layout):
    assert "CA:FALSE" in openssl("x509", "-in", layout.pki / "admin.crt", "-noout", "-ext", "basicConstraints")


def test_keys_and_kubeconfigs_are_their_owners_only(layout):
    assert stat.S_IMODE(layout.pki.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.kubeconfig.stat().st_mode) == 0o600


def test_a_kubeconfig_stands_alone(layout):
    document = json.loads(layout.kubeconfig.read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://198.18.0.2:6443"
    key = base64.b64decode(document["users"][0]["user"]["client-key-data"])
    assert key == (layout.pki / "admin.key").read_bytes()
