"""The `h2k` command."""

from hyper2kvm.cli.app import main

__all__ = ["main"]
