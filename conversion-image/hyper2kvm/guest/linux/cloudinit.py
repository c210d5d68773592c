"""cloud-init pinned to the data source of the old hypervisor: it would wait for it for minutes at each boot.

Without any data source cloud-init counts as a new instance: it would make new SSH host keys and write a network
configuration of its own. Both are switched off, so the guest stays what it is.
Source: cloud-init's documentation, "Datasources", "Network configuration" and the module `cc_ssh`.
"""

from collections.abc import Iterator

import yaml

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation

PROGRAM = "/usr/bin/cloud-init"
OVERRIDE = "/etc/cloud/cloud.cfg.d/99_hyper2kvm.cfg"
IDENTIFY = "/etc/cloud/ds-identify.cfg"

ELSEWHERE = frozenset(
    {
        "VMware",
        "OVF",
        "Ec2",
        "Azure",
        "GCE",
        "OpenStack",
        "DigitalOcean",
        "Hetzner",
        "Oracle",
        "Vultr",
        "AliYun",
        "IBMCloud",
    }
)
"""Data sources that only another hypervisor or cloud offers."""

_CONTENT = """\
# The hypervisor that cloud-init was configured for is gone.
datasource_list: [NoCloud, ConfigDrive, None]
network: {config: disabled}
ssh_deletekeys: false
preserve_hostname: true
"""
_MAX_BYTES = 1 << 20


def pinned(sources: list[str]) -> bool:
    """Whether a list of data sources leaves cloud-init nothing but the old hypervisor's."""
    named = [source for source in sources if source != "None"]
    return bool(named) and all(source in ELSEWHERE for source in named)


def _plan(draft: Draft, _: Situation) -> None:
    if not draft.exists(PROGRAM):
        return
    sources = _sources(draft)
    if pinned(sources):
        named = ", ".join(sources)
        reason = f"cloud-init looks for {named} only, which the new machine does not have, and would delay each boot"
        draft.write(OVERRIDE, _CONTENT, reason)
    if draft.is_file(IDENTIFY):
        _identify(draft)


def _sources(draft: Draft) -> list[str]:
    """The list in force: the last file that has one wins."""
    found: list[str] = []
    for path in ("/etc/cloud/cloud.cfg", *draft.glob("/etc/cloud/cloud.cfg.d/*.cfg")):
        if draft.is_file(path):
            found = list(_listed(draft.text(path))) or found
    return found


def _listed(text: str) -> Iterator[str]:
    try:
        root = yaml.compose(text[:_MAX_BYTES], Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return  # cloud-init passes over a file that it cannot read
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == "datasource_list" and isinstance(value, yaml.SequenceNode):
            yield from (str(item.value) for item in value.value if isinstance(item, yaml.ScalarNode))


def _identify(draft: Draft) -> None:
    lines = draft.text(IDENTIFY).split("\n")
    kept = [line for line in lines if not (line.startswith("datasource:") and pinned([line.partition(":")[2].strip()]))]
    reason = "it fixes cloud-init's data source to one that the new machine does not have"
    draft.write(IDENTIFY, "\n".join(kept), reason)


FIXER = Fixer("cloud-init", lambda situation: situation.options.keep_network_names, _plan)
