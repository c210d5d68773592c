"""Passphrases in what a started guest has shown: no prompt echoes them, and if one does no evidence keeps them."""

from collections.abc import Sequence
from pathlib import Path

from hyper2kvm.boot.signs import fold

_MASK = "*"


def hide(text: str, secrets: Sequence[str]) -> str:
    """The text without the secrets."""
    for secret in filter(None, secrets):
        text = text.replace(secret, _MASK * len(secret))
    return text


def hide_in_file(path: Path, secrets: Sequence[str]) -> None:
    """Overwrite the secrets in a file, in place."""
    if not path.exists():
        return
    before = path.read_bytes()
    after = before
    for secret in filter(None, secrets):
        after = after.replace(secret.encode(), _MASK.encode() * len(secret.encode()))
    if after != before:
        path.write_bytes(after)


def shows(text: str, secrets: Sequence[str]) -> bool:
    """Whether text that was read from a picture holds a secret, for all that reading mixes up."""
    folded = fold(text)
    return any(folded_secret in folded for secret in secrets if (folded_secret := fold(secret)))
