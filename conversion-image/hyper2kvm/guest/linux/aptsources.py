"""apt's lists of repositories (sources.list(5)), in both of their forms."""

import re
from collections.abc import Sequence

from hyper2kvm.guest.linux import deb822

PATTERNS = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")

_LIVE = re.compile(rb"[ \t]*deb(-src)?[ \t]")


def without(path: str, content: bytes, repositories: Sequence[str]) -> bytes:
    """The content with the repositories switched off whose addresses hold one of the texts.

    Args:
        path: its path, whose end tells the form: `.sources` is that of stanzas.
        content: a list.
        repositories: parts of addresses.
    """
    texts = [text.encode() for text in repositories]
    if path.endswith(".sources"):
        return deb822.mapped(content, lambda stanza: _stanza(stanza, texts))
    lines = content.split(b"\n")
    return b"\n".join(
        b"# " + line if _LIVE.match(line) and any(text in line for text in texts) else line for line in lines
    )


def _stanza(stanza: bytes, texts: Sequence[bytes]) -> bytes:
    addresses = (deb822.field(stanza, "URIs") or "").encode("utf-8", "surrogateescape")
    enabled = deb822.field(stanza, "Enabled")
    if not any(text in addresses for text in texts) or (enabled or "yes").lower() == "no":
        return stanza
    return b"Enabled: no\n" + stanza if enabled is None else deb822.with_field(stanza, "Enabled", "no")
