"""Overlays: qcow2 files that take writes in place of what lies under them."""

from pathlib import Path

from hyper2kvm.run import run

_DEADLINE = 60.0


def create_overlay(path: Path, capacity: int) -> None:
    """Make an empty overlay of `capacity` bytes.

    Its header names no backing file: what lies under it is given when it is opened (nodes.overlay_options).

    Raises:
        HostError: qemu-img is missing or failed.
    """
    path.unlink(missing_ok=True)
    options = "compat=1.1,lazy_refcounts=off"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(path), str(capacity)], deadline=_DEADLINE)
