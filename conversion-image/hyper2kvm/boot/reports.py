"""The probe's reports, as they come over the serial port: text of a guest, which is not to be trusted.

Every line is `h2k TOKEN KEY TEXT`; a report ends with `h2k TOKEN end NUMBER` and is only then looked at.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hyper2kvm.boot.proc import addresses4, addresses6, block_devices, clean, mounts, root_device, with_names
from hyper2kvm.stages.documents import Probe, ProbedInterface, ProbedMount

MAX_BYTES = 4 * 2**20
"""Bytes of the serial port that are looked at; fourteen reports of a large guest are less."""

NOWHERE = "unknown"
"""Name under which addresses are listed whose interface the guest's routes do not tell."""

_MAX_LINES = 4096
_MAX_LINE = 2048
_MAX_LISTED = 256
_TARGETS = frozenset({"multi-user", "rescue", "emergency"})
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_UNIT = re.compile(r"[\w@:.\\-]+\.[a-z]{4,9}(?=\s|$)")

Texts = Mapping[str, Sequence[str]]
"""The texts of one report by their key."""


def parse_reports(text: str, token: str) -> tuple[Probe, ...]:
    """The whole reports in a text, in order. What is no report of this start, or not whole, is left out.

    Args:
        text: what came over the serial port.
        token: the token of this start.
    """
    found = []
    lines: defaultdict[str, list[str]] = defaultdict(list)
    count = 0
    prefix = f"h2k {token} "
    for line in text[:MAX_BYTES].splitlines():
        if not line.startswith(prefix) or len(line) > _MAX_LINE:
            continue
        key, _, rest = line[len(prefix) :].partition(" ")
        if key == "end":
            report = _probe(lines)
            found += [report] if report else []
            lines, count = defaultdict(list), 0
        elif count < _MAX_LINES:
            lines[key].append(rest)
            count += 1
    return tuple(found)


def _probe(texts: Texts) -> Probe | None:
    target = _only(texts, "target")
    uptime = re.match(r"\d{1,10}(\.\d{1,3})?", _only(texts, "uptime"))
    if target not in _TARGETS or uptime is None:
        return None
    blocks = block_devices(texts.get("block", ()))
    mounted = with_names(mounts(texts.get("mount", ())), blocks)
    root, below = root_device(mounted, blocks)
    return Probe(
        target=target,
        kernel=clean(_only(texts, "kernel")),
        root_device=root,
        root_below=below[:_MAX_LISTED],
        uptime=float(uptime[0]),
        interfaces=_interfaces(texts)[:_MAX_LISTED],
        mounts=tuple(ProbedMount(device=m.device, path=m.path, type=m.type) for m in mounted[:_MAX_LISTED]),
        failed_units=_failed(texts.get("failed", ()))[:_MAX_LISTED],
        complaints=tuple(dict.fromkeys(map(clean, texts.get("log", ()))))[:_MAX_LISTED],
    )


def _only(texts: Texts, key: str) -> str:
    return next(iter(texts.get(key, ())), "")


def _interfaces(texts: Texts) -> tuple[ProbedInterface, ...]:
    inet4 = addresses4(texts.get("inet4", ()), texts.get("route", ()))
    inet6 = addresses6(texts.get("inet6", ()))
    made = []
    for line in texts.get("net", ()):
        name, mac, state = [*line.split(), "", "", ""][:3]
        if name in {"", "lo"}:
            continue
        made.append(
            ProbedInterface(
                name=clean(name),
                mac=mac if _MAC.fullmatch(mac) else None,
                state=clean(state) or None,
                addresses=(*inet4.get(name, ()), *inet6.get(name, ())),
            )
        )
    if inet4.get(""):
        made.append(ProbedInterface(name=NOWHERE, addresses=tuple(inet4[""])))
    return tuple(made)


def _failed(lines: Iterable[str]) -> tuple[str, ...]:
    """Units of `systemctl --failed`; newer ones put a dot before each."""
    found = (_UNIT.search(line) for line in lines)
    return tuple(dict.fromkeys(clean(unit[0]) for unit in found if unit))
