"""Names that are made from other names, in one place so that both planes agree."""

import re


def rfc1123(text: str, *, limit: int = 63) -> str:
    """A valid Kubernetes name that resembles the text: lower case, dashes for what is not allowed.

    Text without any allowed character becomes `vm`.
    """
    cleaned = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    return cleaned[:limit].strip("-") or "vm"


def disk_suffix(index: int) -> str:
    """What is added to a migration's name for a target disk: `disk0`, as in `web01-disk0`."""
    return f"disk{index}"


def disk_serial(index: int) -> str:
    """The serial number that a target disk presents (at most 20 characters, virtio-blk's limit)."""
    return f"h2k-disk{index}"
