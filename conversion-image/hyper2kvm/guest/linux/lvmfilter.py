"""LVM's filters (lvm.conf(5), devices/filter and devices/global_filter) that let in the old controller's names only.

A filter takes the first pattern that matches. Patterns are the guest's own regular expressions: they are not evaluated,
but compared as texts as far as they are texts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux.renaming import DeviceRenaming
from hyper2kvm_api.options import TargetBus

PATHS = ("/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf")

NAMES: Mapping[TargetBus, str] = {TargetBus.VIRTIO: "/dev/vd", TargetBus.SCSI: "/dev/sd", TargetBus.SATA: "/dev/sd"}
"""What the kernel's names of disks begin with, by bus."""

_FILTER = re.compile(r"^[ \t]*(?:global_)?filter[ \t]*=[ \t]*", re.MULTILINE)
_STRING = r'"(?:[^"\\]|\\.)*"'
_LIST = re.compile(rf"\[(?P<elements>(?:\s|,|#[^\n]*(?:\n|$)|{_STRING})*)\]|(?P<only>{_STRING})")
_ELEMENT = re.compile(rf"#[^\n]*|(?P<string>{_STRING})")
_RULE = re.compile(r"(?P<action>[ar])(?P<open>.)(?P<pattern>.*)(?P<close>.)", re.DOTALL)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
"""What ends a pattern that such a character begins; any other one ends its own (LVM2, lib/filters/filter-regex.c)."""

_LITERAL = re.compile(r"[\w/:-]*")


@dataclass(frozen=True)
class Filter:
    """A filter in a configuration.

    Attributes:
        start: where its value begins in the text.
        end: where it ends.
        rules: action (`a` or `r`) and pattern of each element; None where the value is not understood.
    """

    start: int
    end: int
    rules: tuple[tuple[str, str], ...] | None


def find(text: str) -> Iterator[Filter]:
    """The live filters of a configuration."""
    for match in _FILTER.finditer(text):
        value = _LIST.match(text, match.end())
        if value is None:
            yield Filter(match.end(), match.end(), None)
            continue
        strings = (each["string"] for each in _ELEMENT.finditer(value["elements"] or value["only"] or ""))
        rules = [_rule(string) for string in strings if string]
        known = tuple(rule for rule in rules if rule is not None)
        yield Filter(value.start(), value.end(), known if len(known) == len(rules) else None)


def with_accepted(text: str, prefix: str, names: Sequence[str]) -> str:
    """The text with filters that accept devices whose names begin so.

    A filter that keeps one of the names out, or may do so, gets the prefix as its first element.

    Args:
        text: a configuration.
        prefix: such as `/dev/vd`.
        names: the devices that must be let in.
    """
    for each in reversed(list(find(text))):
        if each.rules is not None and any(_kept_out(name, each.rules) for name in names):
            value = text[each.start : each.end]
            elements = value[1:-1] if value.startswith("[") else f" {value} "
            text = f'{text[: each.start]}[ "a|^{prefix}|",{elements}]{text[each.end :]}'
    return text


def _rule(string: str) -> tuple[str, str] | None:
    match = _RULE.fullmatch(re.sub(r"\\(.)", r"\1", string[1:-1]))
    if match is None or match["close"] != _CLOSING.get(match["open"], match["open"]):
        return None
    return match["action"], match["pattern"]


def _kept_out(name: str, rules: Sequence[tuple[str, str]]) -> bool:
    """Whether the first rule that matches a name rejects it; a rule that may match counts when it rejects."""
    for action, pattern in rules:
        matches = _matches(pattern, name)
        if matches is not False and (action == "r" or matches):
            return action == "r"
    return False


def _matches(pattern: str, name: str) -> bool | None:
    """Whether a pattern matches somewhere in a name; None where that cannot be told without evaluating it."""
    begins, ends = pattern.startswith("^"), pattern.endswith("$")
    text = pattern.removeprefix("^").removesuffix("$")
    if text.startswith(".*"):
        text, begins = text.removeprefix(".*"), False
    if text.endswith((".*", ".*/")):
        text, ends = text.removesuffix("/").removesuffix(".*"), False
    literal = _LITERAL.match(text)
    lead = literal[0] if literal else ""
    if lead == text:
        at_its_place = name.startswith(text) if begins else name.endswith(text) if ends else text in name
        return at_its_place and (name == text or not (begins and ends))
    if text[len(lead)] in "*?+":
        lead = lead[:-1]
    possible = name.startswith(lead) if begins else lead in name
    return None if possible or "|" in text else False


def _plan(draft: Draft, situation: Situation) -> None:
    renaming = DeviceRenaming(situation)
    volumes = [device for device in situation.guest.devices if device.type == "LVM2_member"]
    names: dict[str, list[str]] = {}
    for disk in situation.disks:
        mine = (device for device in volumes if device.disk == disk.id and renaming.moves(device.device))
        names.setdefault(NAMES[disk.bus], []).extend(name for each in mine if (name := renaming.new_name(each)))
    for path in PATHS:
        for prefix, devices in names.items():
            if draft.is_file(path):
                reason = f"LVM's filter lets in disks by their old names only; the new ones begin with {prefix}"
                draft.write(path, with_accepted(draft.text(path), prefix, devices), reason)
        if any(names.values()) and draft.is_file(path) and any(each.rules is None for each in find(draft.text(path))):
            draft.warn(
                "LvmFilterUnclear",
                f"{path} has a filter that is not understood: LVM may not look at the new disks",
                f"See that the filters in {path} of the guest let in names that begin with {' or '.join(names)}.",
            )


FIXER = Fixer("LVM filter", lambda situation: situation.options.stable_device_names, _plan)
