"""modprobe's configuration (modprobe.d(5)): lines that keep virtio drivers from loading go."""

import re

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux.modules import module_name

PATTERNS = (
    "/etc/modprobe.d/*.conf",
    "/etc/modprobe.conf",
    "/etc/modprobe.d/blacklist",
    "/etc/initramfs-tools/modprobe.d/*",
)

# `install` with a program that does nothing and `alias` to `off` disable a module just as `blacklist` does.
_DISABLING = re.compile(
    r"\s*(?:blacklist\s+(?P<blacklisted>\S+)"
    r"|install\s+(?P<installed>\S+)\s+(?:/usr)?/bin/(?:true|false)"
    r"|alias\s+(?P<aliased>\S+)\s+off)\s*(?:#.*)?$"
)
_NEEDED = re.compile(r"virtio(_.+)?|failover|net_failover|ahci|libahci|sd_mod")


def disabled_module(line: str) -> str | None:
    """The module that a line keeps from loading, or None when it does nothing of the kind."""
    match = _DISABLING.match(line)
    name = match and (match["blacklisted"] or match["installed"] or match["aliased"])
    return module_name(name) if name else None


def enabled(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without the lines that disable needed drivers, and the names of those drivers."""
    kept, dropped = [], []
    for line in text.split("\n"):
        name = disabled_module(line)
        if name is not None and _NEEDED.fullmatch(name):
            dropped.append(name)
        else:
            kept.append(line)
    return "\n".join(kept), tuple(dropped)


def _plan(draft: Draft, _: Situation) -> None:
    for path in dict.fromkeys(path for pattern in PATTERNS for path in draft.glob(pattern)):
        if not draft.is_file(path):
            continue
        text, dropped = enabled(draft.text(path))
        if dropped:
            names = ", ".join(dict.fromkeys(dropped))
            reason = f"it keeps {names} from loading, which the new hardware needs"
            draft.write(path, text, reason)


FIXER = Fixer("modprobe", lambda _: True, _plan)
