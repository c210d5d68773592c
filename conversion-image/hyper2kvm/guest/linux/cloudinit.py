"""cloud-init pinned to the data source of the old hypervisor: it is switched off, and the guest stays what it is.

It would wait for that source for minutes at each boot, and afterwards take the machine for a new instance: make new SSH
host keys, lock the default user's password, write the network's and apt's configuration anew. Lists of data sources in
its configuration do not prevent that: any other source, `None` included, is another instance. Where cloud-init may choose
among all sources it finds none on the new machine and stays off by itself (ds-identify), so nothing is changed there.
Source: cloud-init's documentation, "First boot determination" and "How to disable cloud-init".
"""

from collections.abc import Iterator, Sequence

import yaml

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import services

PROGRAM = "/usr/bin/cloud-init"
DISABLED = "/etc/cloud/cloud-init.disabled"
IDENTIFY = "/etc/cloud/ds-identify.cfg"

ELSEWHERE = frozenset(
    {
        *("VMware", "OVF", "Azure", "Ec2", "GCE", "OpenStack", "DigitalOcean", "Hetzner", "Oracle", "Vultr", "AliYun"),
        *("Akamai", "AltCloud", "Bigstep", "CloudSigma", "Exoscale", "IBMCloud", "RbxCloud", "Scaleway", "SmartOS"),
        *("UpCloud", "WSL"),
    }
)
"""Data sources that only another hypervisor or cloud offers."""

_SCRIPTS = frozenset({"cloud-init", "cloud-init-local", "cloud-config", "cloud-final"})
"""Init scripts of guests without systemd, where nothing looks for the file that switches cloud-init off."""

_CONTENT = """\
# cloud-init was made for {named}, which this machine does not have: it would take it for a new instance, and
# write its configuration anew. Remove this file to let cloud-init run again.
"""
_MAX_BYTES = 1 << 20


def pinned(sources: Sequence[str]) -> bool:
    """Whether a list of data sources leaves cloud-init nothing but the old hypervisor's."""
    named = [source for source in sources if source != "None"]
    return bool(named) and all(source in ELSEWHERE for source in named)


def _plan(draft: Draft, situation: Situation) -> None:
    if not draft.exists(PROGRAM) or draft.exists(DISABLED):
        return
    sources = next((each for each in (_identified(draft), _listed(draft)) if pinned(each)), None)
    if sources is None:
        return
    named = ", ".join(source for source in sources if source != "None")
    reason = (
        f"cloud-init looks for {named} only, which the new machine does not have: it would delay each boot, and then "
        "configure the guest as a new one"
    )
    draft.write(DISABLED, _CONTENT.format(named=named), reason)
    if situation.guest.os is not None and situation.guest.os.init != "systemd":
        services.unlink_scripts(draft, _SCRIPTS, reason)


def _listed(draft: Draft) -> list[str]:
    """The list in force: the last file that has one wins."""
    found: list[str] = []
    for path in ("/etc/cloud/cloud.cfg", *draft.glob("/etc/cloud/cloud.cfg.d/*.cfg")):
        if draft.is_file(path):
            found = list(_list_in(draft.text(path))) or found
    return found


def _list_in(text: str) -> Iterator[str]:
    try:
        root = yaml.compose(text[:_MAX_BYTES], Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return  # cloud-init passes over a file that it cannot read
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == "datasource_list" and isinstance(value, yaml.SequenceNode):
            yield from (str(item.value) for item in value.value if isinstance(item, yaml.ScalarNode))


def _identified(draft: Draft) -> list[str]:
    """The data source that ds-identify is told to take for found."""
    lines = draft.text(IDENTIFY).split("\n") if draft.is_file(IDENTIFY) else []
    return [line.partition(":")[2].strip() for line in lines if line.startswith("datasource:")]


FIXER = Fixer("cloud-init", lambda _: True, _plan)
