"""A small HTTPS server for finished images: read-only, with Range (RFC 9110, section 14), for one client that logs in.

CDI's importer asks with HEAD for the length and with GET and one byte range for the content.
"""

import base64
import hmac
import os
import re
import socket
import ssl
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

USER_FILE = "accessKeyId"
PASSWORD_FILE = "secretKey"  # noqa: S105 -- the name of a file
CERTIFICATE_FILE = "tls.crt"
PRIVATE_KEY_FILE = "tls.key"

_CHUNK = 1024 * 1024
_CONNECTIONS = 32
"""At the same time; CDI's importer has a few."""
_STRANGER_SECONDS = 10.0
"""Until a client must have said who it is."""
_IDLE_SECONDS = 120.0


@dataclass(frozen=True)
class ByteRange:
    """Bytes of a file: the first, and how many."""

    first: int
    length: int


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The bytes that a Range header asks for; None when it cannot be satisfied.

    No header, or one of another form (several ranges, other units), asks for everything, as RFC 9110 allows.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if match is None or match[1] == match[2] == "":
        return ByteRange(0, size)
    if match[1] == "":
        length = min(int(match[2]), size)
        return ByteRange(size - length, length) if length else None
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    return ByteRange(first, last - first + 1) if first <= last else None


class ImageServer:
    """Serves the files below a folder. Links are not followed, folders are not listed."""

    def __init__(self, folder: Path, secrets: Path, address: tuple[str, int]) -> None:
        """Listen at an address.

        Args:
            folder: what is served.
            secrets: folder with tls.crt, tls.key, accessKeyId and secretKey.
            address: host (empty: every address) and port (0: any).

        Raises:
            HostError: ServerNotStarted, when a secret cannot be read, or the address cannot be listened at.
        """
        try:
            authorization = _authorization(secrets)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(secrets / CERTIFICATE_FILE, secrets / PRIVATE_KEY_FILE)
        except (OSError, UnicodeDecodeError) as error:
            message = f"{secrets}: {getattr(error, 'strerror', None) or error}"
            raise HostError(Reason.SERVER_NOT_STARTED, message, hint=_SECRETS_HINT) from None
        try:
            self._server = _Server(address, folder.resolve(), authorization)
        except OSError as error:
            where = f"{address[0] or 'every address'}, port {address[1]}"
            raise HostError(Reason.SERVER_NOT_STARTED, f"{where}: {error.strerror or error}") from None
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Serve until `close` is called from another thread, or the process is interrupted."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


_SECRETS_HINT = f"Give --secrets a folder with the files {CERTIFICATE_FILE} and {PRIVATE_KEY_FILE} (PEM), {USER_FILE} and {PASSWORD_FILE}."


def _authorization(secrets: Path) -> str:
    user, password = ((secrets / name).read_text().strip() for name in (USER_FILE, PASSWORD_FILE))
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    timeout = _STRANGER_SECONDS

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self.server.authorization.encode()):
            self.close_connection = True
            self._plain(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="images"'})
            return
        self.connection.settimeout(_IDLE_SECONDS)
        descriptor = _opened(self.server.folder, self.path)
        if descriptor is None:
            self._plain(HTTPStatus.NOT_FOUND, {})
            return
        try:
            self._send(descriptor, with_body=with_body)
        finally:
            os.close(descriptor)

    def _send(self, descriptor: int, *, with_body: bool) -> None:
        size = os.fstat(descriptor).st_size
        asked = self.headers.get("Range")
        wanted = parse_range(asked, size)
        if wanted is None:
            self._plain(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"})
            return
        partial = asked is not None and wanted != ByteRange(0, size)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        if partial:
            self.send_header("Content-Range", f"bytes {wanted.first}-{wanted.first + wanted.length - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(wanted.length))
        self.end_headers()
        if with_body:
            self._body(descriptor, wanted)

    def _body(self, descriptor: int, wanted: ByteRange) -> None:
        position, end = wanted.first, wanted.first + wanted.length
        while position < end:
            data = os.pread(descriptor, min(_CHUNK, end - position), position)
            if not data:
                self.close_connection = True
                return
            self.wfile.write(data)
            position += len(data)

    def _plain(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
        """Requests are not logged: their headers hold the credentials."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path, authorization: str) -> None:
        super().__init__(address, _Handler)
        self.folder = folder
        self.authorization = authorization
        self._places = threading.BoundedSemaphore(_CONNECTIONS)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int]
    ) -> None:
        """Serve a client in a thread of its own, or turn it away when there are enough."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int]
    ) -> None:
        """As the base class does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away or does not trust us is no event."""


def _opened(folder: Path, path: str) -> int | None:
    """A descriptor of the file that a path names, every component opened without following links."""
    parts = path.split("?", 1)[0].strip("/").split("/")
    if any(not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", part) for part in parts):
        return None
    current = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = inner
        found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=current)
    except OSError:
        return None
    finally:
        os.close(current)
    if stat.S_ISREG(os.fstat(found).st_mode):
        return found
    os.close(found)
    return None
