import base64
import contextlib
import http.client
import ssl
import threading
from dataclasses import dataclass

import pytest

from hyper2kvm.imageserver import ByteRange, ImageServer, parse_range
from hyper2kvm_api.errors import HostError
from hyper2kvm_operator.build import imageserver as built
from hyper2kvm_operator.kube.certificate import issue

CONTENT = bytes(range(256)) * 5000


@dataclass
class Client:
    port: int
    context: ssl.SSLContext
    authorization: str

    def request(self, method, path, **headers):
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Authorization": self.authorization, **headers})
            response = connection.getresponse()
            return response, response.read()


@pytest.fixture
def client(tmp_path):
    images, secrets = tmp_path / "images", tmp_path / "secrets"
    (images / "web01-disk0-artifact").mkdir(parents=True)
    secrets.mkdir()
    (images / "web01-disk0-artifact" / "disk.qcow2").write_bytes(CONTENT)
    (tmp_path / "outside").write_bytes(b"secret")
    (images / "link").symlink_to(tmp_path / "outside")
    (images / "folder").symlink_to(tmp_path)
    made = issue("localhost")
    for name, value in (
        (built.CERTIFICATE_KEY, made.certificate),
        (built.PRIVATE_KEY, made.private_key),
        (built.USER_KEY, made.user),
        (built.PASSWORD_KEY, made.password),
    ):
        (secrets / name).write_text(value)
    server = ImageServer(images, secrets, ("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve)
    thread.start()
    context = ssl.create_default_context(cadata=made.certificate)
    token = base64.b64encode(f"{made.user}:{made.password}".encode()).decode()
    yield Client(server.port, context, f"Basic {token}")
    server.close()
    thread.join()


IMAGE = "/web01-disk0-artifact/disk.qcow2"


def test_the_length_is_told_by_head(client):
    response, body = client.request("HEAD", IMAGE)
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["Accept-Ranges"] == "bytes"


def test_a_range_is_served(client):
    response, body = client.request("GET", IMAGE, Range="bytes=1000-1999")
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes 1000-1999/{len(CONTENT)}"
    assert body == CONTENT[1000:2000]


def test_everything_is_served_without_a_range(client):
    response, body = client.request("GET", IMAGE)
    assert (response.status, body) == (200, CONTENT)


def test_a_range_behind_the_end_is_refused(client):
    response, _ = client.request("GET", IMAGE, Range=f"bytes={len(CONTENT)}-")
    assert response.status == 416


@pytest.mark.parametrize(
    "path", ["/", "/link", "/folder/outside", "/../outside", "/web01-disk0-artifact/", "/%2e%2e/outside", "/nothing"]
)
def test_nothing_else_is_served(client, path):
    response, body = client.request("GET", path)
    assert (response.status, body) == (404, b"")


@pytest.mark.parametrize("authorization", ["", "Basic eDp5", "Bearer x"])
def test_a_stranger_gets_nothing(client, authorization):
    client.authorization = authorization
    response, body = client.request("GET", IMAGE)
    assert (response.status, body) == (401, b"")


def test_a_client_that_does_not_trust_the_certificate_does_not_connect(client):
    client.context = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        client.request("HEAD", IMAGE)


def test_missing_secrets_are_an_error(tmp_path):
    with pytest.raises(HostError) as caught:
        ImageServer(tmp_path, tmp_path, ("127.0.0.1", 0))
    assert "No such file" in caught.value.message


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ByteRange(0, 100)),
        ("bytes=0-", ByteRange(0, 100)),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=90-500", ByteRange(90, 10)),
        ("bytes=-30", ByteRange(70, 30)),
        ("bytes=-300", ByteRange(0, 100)),
        ("bytes=0-1,5-6", ByteRange(0, 100)),
        ("items=0-1", ByteRange(0, 100)),
        ("bytes=100-", None),
        ("bytes=5-4", None),
        ("bytes=-0", None),
    ],
)
def test_ranges(header, expected):
    assert parse_range(header, 100) == expected
