"""netplan's YAML (netplan-yaml(5))."""

from collections.abc import Iterator, Mapping

import yaml

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import reading
from hyper2kvm.guest.linux.interface import Choose, Interface, Trait, mac_address, with_prefix
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

PATTERN = "/etc/netplan/*.yaml"

_BACK_END = "netplan"
_MAX_BYTES = 1 << 20
_VIRTUAL = ("bonds", "bridges", "vlans", "tunnels", "vrfs", "dummy-devices")
_TRAITS = {"driver": Trait.DRIVER, "macaddress": Trait.MAC}
_YES = frozenset({"true", "yes", "on", "y"})


class _Loader(yaml.SafeLoader):
    """Takes tabs between tokens where libyaml, netplan's own reader, does: not where a key of a block may begin."""

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()


def find(files: GuestFiles) -> Iterator[Interface]:
    """The interfaces of every file. Raises GuestError (GuestFileInvalid) for a file that is no YAML."""
    for path, text in reading.texts(files, PATTERN):
        network = _mapping(_network(path, text))
        for identity, node in _mapping(network.get("ethernets")).items():
            yield _ethernet(path, identity, _mapping(node))
        for kind in _VIRTUAL:
            for identity, node in _mapping(network.get(kind)).items():
                yield _interface(path, identity, _mapping(node), virtual=True)


def rewritten(path: str, text: str, choose: Choose) -> str:
    """The text with other traits in the matches of physical interfaces. `path` is the file's, for messages."""
    for node in reversed(_mapping(_mapping(_network(path, text)).get("ethernets")).values()):
        match = _mapping(node).get("match")
        if isinstance(match, yaml.MappingNode):
            text = _matched(text, match, choose)
    return text


def _matched(text: str, match: yaml.MappingNode, choose: Choose) -> str:
    has_mac = "macaddress" in _mapping(match)
    for key, value in reversed(match.value):
        trait = _TRAITS.get(_scalar(key) or "")
        stated = mac_address(_scalar(value)) if trait is Trait.MAC else _driver(value)
        new = choose(trait, stated) if trait and stated else None
        if trait is None or new is None:
            continue
        # netplan takes one address only; a match that served several adapters stays one by driver.
        stays = trait is Trait.DRIVER and (has_mac or len(new.macs) > 1)
        written = f"driver: {new.driver}" if stays else f'macaddress: "{new.macs[0]}"'
        text = text[: key.start_mark.index] + written + text[_end(value) :]
    return text


def _end(node: yaml.Node) -> int:
    """The index behind a value. PyYAML's own of a sequence of lines is where the next token begins."""
    lines = isinstance(node, yaml.SequenceNode) and not node.flow_style
    return _end(node.value[-1]) if lines else node.end_mark.index


def _network(path: str, text: str) -> yaml.Node | None:
    """The key of this name in the first document; netplan reads no other."""
    try:
        root = next(yaml.compose_all(text[:_MAX_BYTES], Loader=_Loader), None)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise GuestError(Reason.GUEST_FILE_INVALID, f"{path}{line} is no YAML that netplan reads", file=path) from error
    return _mapping(root).get("network")


def _ethernet(path: str, identity: str, node: Mapping[str, yaml.Node]) -> Interface:
    match = _mapping(node.get("match"))
    set_name = _scalar(node.get("set-name"))
    name = set_name or _scalar(match.get("name")) if match else identity
    found = _interface(path, name, node, virtual=False)
    return Interface(
        _BACK_END,
        path,
        found.name,
        mac=mac_address(_scalar(match.get("macaddress"))),
        driver=_driver(match.get("driver")),
        addresses=found.addresses,
        dhcp=found.dhcp,
        binds=set_name is not None,
    )


def _interface(path: str, name: str | None, node: Mapping[str, yaml.Node], *, virtual: bool) -> Interface:
    dhcp = any((_scalar(node.get(key)) or "").lower() in _YES for key in ("dhcp4", "dhcp6"))
    return Interface(_BACK_END, path, name, addresses=tuple(_addresses(node)), dhcp=dhcp, virtual=virtual)


def _addresses(node: Mapping[str, yaml.Node]) -> Iterator[str]:
    listed = node.get("addresses")
    for item in listed.value if isinstance(listed, yaml.SequenceNode) else ():
        # An address with options is a mapping with the address as its only key.
        text = _scalar(item) or next(iter(_mapping(item)), "")
        address = with_prefix(text)
        if address:
            yield address


def _driver(node: yaml.Node | None) -> str | None:
    if isinstance(node, yaml.SequenceNode):
        return " ".join(filter(None, map(_scalar, node.value)))
    return _scalar(node)


def _mapping(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {name: value for key, value in node.value if (name := _scalar(key)) is not None}


def _scalar(node: yaml.Node | None) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None
