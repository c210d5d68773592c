"""Python modules that a plain installation of h2k lacks, and what installs them."""

from collections.abc import Mapping

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

BINDINGS: Mapping[str, str] = {"guestfs": "python3-guestfs", "nbd": "python3-libnbd"}
"""Modules that come with the distribution alone, for its own Python, and Debian's packages of them."""

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "conversion": ("defusedxml", "jinja2", "lz4", "zstandard"),
    "operator": ("cryptography", "kopf", "kubernetes", "prometheus_client", "urllib3"),
}
"""Modules of this project's extras."""


def remedy(module: str) -> str | None:
    """What installs a module; None when it is no part of an installation."""
    if module in BINDINGS:
        return (
            f"Install the package {BINDINGS[module]} (Debian's name), and run h2k with the distribution's own Python; "
            "a virtual environment needs --system-site-packages."
        )
    extra = next((name for name, modules in EXTRAS.items() if module in modules), None)
    return None if extra is None else f"Install the extra `{extra}`: pip install 'hyper2kvm-operator[{extra}]'."


def lacking(error: ModuleNotFoundError) -> HostError | None:
    """The error for a user, when a module is missing that something must install; None for a defect."""
    module = (error.name or "").partition(".")[0]
    hint = remedy(module)
    if hint is None:
        return None
    return HostError(Reason.MODULE_MISSING, f"the Python module {module} is not installed", hint=hint)
