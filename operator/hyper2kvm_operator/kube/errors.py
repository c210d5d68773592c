"""What the API server answers when it does not do what it was asked."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass
class RefusedError(Exception):
    """The API server's refusal.

    Attributes:
        status: HTTP status.
        reason: Kubernetes' reason, such as `Conflict`, `Forbidden`, `Invalid`, `AlreadyExists`.
        message: the server's words.
        request: method and path.
    """

    status: int
    reason: str
    message: str
    request: str

    def __str__(self) -> str:
        return f"{self.request}: {self.status} {self.reason}: {self.message}"

    @property
    def stale(self) -> bool:
        """Whether a fresh look and another try is the remedy: what was known of the object is no longer so."""
        return self.reason in {"Conflict", "AlreadyExists"} or self.status in {404, 429, 500, 502, 503, 504}


class UnreachableError(Exception):
    """No answer from the API server."""


def refused(status: int, body: bytes | str | None, request: str) -> RefusedError:
    """The refusal that an HTTP answer holds."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = {}
    return RefusedError(status, str(answer.get("reason") or status), _words(answer) or text, request)


def _words(answer: dict[str, Any]) -> str:
    """A Status' message; where it lists causes, these in order: the server's order changes from answer to answer."""
    message = str(answer.get("message") or "")
    causes = (answer.get("details") or {}).get("causes") or []
    subject, listed, _ = message.partition(": [")
    if len(causes) < 2 or not listed:
        return message
    return f"{subject}: " + "; ".join(sorted(f"{one.get('field')}: {one.get('message')}" for one in causes))
