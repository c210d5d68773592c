"""Stanzas of fields, as dpkg's status file and debconf's database hold them (deb822(5)): bytes, edited by stanza."""

import re
from collections.abc import Callable

_FIELD = r"(?im)^{}:[ \t]*(?P<value>[^\n]*(?:\n[ \t][^\n]*)*)"
_STANZA = re.compile(rb"(?:[ \t]*[^\s][^\n]*(?:\n|\Z))+")


def stanzas(content: bytes) -> tuple[bytes, ...]:
    """The stanzas, without the empty lines between them."""
    return tuple(match[0] for match in _STANZA.finditer(content))


def field(stanza: bytes, name: str) -> str | None:
    """A field's value with its continuation lines; None when it is absent."""
    match = re.search(_FIELD.format(re.escape(name)).encode(), stanza)
    return match["value"].decode("utf-8", "surrogateescape").strip() if match else None


def with_field(stanza: bytes, name: str, value: str) -> bytes:
    """The stanza with another value of a field that it has."""
    pattern = _FIELD.format(re.escape(name)).encode()
    replacement = f"{name}: {value}".encode("utf-8", "surrogateescape")
    return re.sub(pattern, lambda _: replacement, stanza, count=1)


def mapped(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The file with every stanza replaced by what `change` makes of it; one that becomes empty goes with its gap."""
    parts, at = list[bytes](), 0
    for match in _STANZA.finditer(content):
        stanza = change(match[0])
        if stanza:
            gap = content[at : match.start()] if parts or at == 0 else b""
            parts.append(gap + stanza)
        at = match.end()
    return b"".join(parts) + content[at:]
