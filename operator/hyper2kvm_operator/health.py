"""The HTTP endpoint for Prometheus and the kubelet: /metrics, /healthz, /readyz."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

MAX_AGE = 120.0
"""Seconds without a worker's heartbeat after which the operator is not healthy."""


class HealthServer:
    """Serves metrics and health in a thread of its own."""

    def __init__(
        self, port: int, registry: CollectorRegistry, age: Callable[[], float], ready: Callable[[], bool]
    ) -> None:
        """`age` gives the seconds since the workers' last heartbeat, `ready` whether the watches have started."""
        pages: dict[str, Callable[[], tuple[int, str, bytes]]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: _page(age() < MAX_AGE, f"last heartbeat {age():.0f} s ago\n"),
            "/readyz": lambda: _page(ready(), "watching\n" if ready() else "starting\n"),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, kind, body = pages.get(self.path, lambda: (404, "text/plain", b"not found\n"))()
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
                pass

        self._server = ThreadingHTTPServer(("", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _page(well: bool, text: str) -> tuple[int, str, bytes]:  # noqa: FBT001 -- private, called with one meaning
    return (200 if well else 503), "text/plain; charset=utf-8", text.encode()
