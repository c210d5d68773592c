"""Names that are made from other names, in one place so that both planes agree."""

import re


def rfc1123(text: str, *, limit: int = 63) -> str:
    """A valid Kubernetes name that resembles the text: lower case, dashes for what is not allowed.

    Text without any allowed character becomes `vm`.
    """
    cleaned = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    return cleaned[:limit].strip("-") or "vm"


def disk_stem(migration: str, index: int) -> str:
    """The name of a target disk without its extension: `web01-disk0`."""
    return f"{migration}-disk{index}"
