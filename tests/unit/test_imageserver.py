import base64
import contextlib
import http.client
import socket
import ssl
import threading
from dataclasses import dataclass

import pytest

from hyper2kvm import imageserver
from hyper2kvm.imageserver import ByteRange, ImageServer, parse_range
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
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


@pytest.fixture(scope="module")
def made():
    return issue("localhost")


@pytest.fixture
def secrets(tmp_path, made):
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in (
        (built.CERTIFICATE_KEY, made.certificate),
        (built.PRIVATE_KEY, made.private_key),
        (built.USER_KEY, made.user),
        (built.PASSWORD_KEY, made.password),
    ):
        (folder / name).write_text(value)
    return folder


@pytest.fixture
def client(tmp_path, secrets, made, monkeypatch):
    monkeypatch.setattr(imageserver._Handler, "timeout", 2.0)
    images = tmp_path / "images"
    (images / "web01-disk0-artifact").mkdir(parents=True)
    (images / "web01-disk0-artifact" / "disk.qcow2").write_bytes(CONTENT)
    (tmp_path / "outside").write_bytes(b"secret")
    (images / "link").symlink_to(tmp_path / "outside")
    (images / "folder").symlink_to(tmp_path)
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


def test_missing_secrets_are_an_error_that_names_them(tmp_path):
    with pytest.raises(HostError) as caught:
        ImageServer(tmp_path, tmp_path, ("127.0.0.1", 0))
    assert caught.value.reason is Reason.SERVER_NOT_STARTED
    assert "No such file" in caught.value.message
    for name in ("tls.crt", "tls.key", "accessKeyId", "secretKey"):
        assert name in caught.value.hint


@pytest.mark.parametrize("broken", ["tls.crt", "tls.key"])
def test_secrets_that_are_none_are_an_error(secrets, tmp_path, broken):
    (secrets / broken).write_text("nothing of the kind")
    with pytest.raises(HostError) as caught:
        ImageServer(tmp_path, secrets, ("127.0.0.1", 0))
    assert caught.value.reason is Reason.SERVER_NOT_STARTED
    assert "--secrets" in caught.value.hint


def test_a_port_that_is_taken_is_an_error(client, secrets, tmp_path):
    with pytest.raises(HostError) as caught:
        ImageServer(tmp_path, secrets, ("127.0.0.1", client.port))
    assert caught.value.reason is Reason.SERVER_NOT_STARTED
    assert f"port {client.port}" in caught.value.message
    assert "in use" in caught.value.message
    assert "--port" in caught.value.hint


def test_strangers_who_only_connect_take_no_more_than_the_places_there_are(client, monkeypatch):
    """Those beyond are turned away at once; the others when they have not said in time who they are."""
    with contextlib.ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", client.port), timeout=30)) for _ in range(40)
        ]
        turned_away = [connection for connection in waiting[imageserver._CONNECTIONS :] if connection.recv(1) == b""]
        assert len(turned_away) == 40 - imageserver._CONNECTIONS
        assert [connection.recv(1) for connection in waiting[: imageserver._CONNECTIONS]] == [b""] * 32
    response, body = client.request("GET", IMAGE)
    assert (response.status, body) == (200, CONTENT)


def test_a_stranger_is_not_kept_connected(client):
    connection = http.client.HTTPSConnection("localhost", client.port, context=client.context, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", IMAGE)
        response = connection.getresponse()
        response.read()
        assert (response.status, response.will_close or connection.sock.recv(1) == b"") == (401, True)


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
