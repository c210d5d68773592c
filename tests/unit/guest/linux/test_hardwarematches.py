"""Configurations that know an adapter by an address that the source did not state, and that is another one now."""

from dataclasses import replace

import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux.netnames import FIXER, RULES
from hyper2kvm_api.machine import Nic
from hyper2kvm_api.options import NicModel

from .situations import memory, plan, situation

OLD, OTHER, NEW = "00:50:56:9a:00:07", "00:50:56:9a:00:08", "52:54:00:11:22:33"
MADE_UP = (Nic(id="nic0", mac=NEW, model="vmxnet3"),)
FILES = {
    "/etc/netplan/a.yaml": (
        f"network: {{ethernets: {{lan: {{match: {{macaddress: '{OLD}'}}, set-name: lan0, addresses: [192.0.2.7/24]}}}}}}\n"
    ),
    "/etc/systemd/network/a.network": f"[Match]\nMACAddress={OLD}\n[Network]\nAddress=192.0.2.7/24\n",
    "/etc/systemd/network/a.link": f"[Match]\nPermanentMACAddress={OLD.upper()}\n[Link]\nName=lan0\n",
    "/etc/NetworkManager/system-connections/a": f"[connection]\ntype=ethernet\n[ethernet]\nmac-address={OLD.upper()}\n",
    "/etc/udev/rules.d/70-persistent-net.rules": f'SUBSYSTEM=="net", ATTR{{address}}=="{OLD}", NAME="lan0"\n',
}


def adopted(files: dict[str, str], nics: tuple[Nic, ...] = MADE_UP) -> Draft:
    made_up = [nic.mac for nic in nics if nic.mac and nic.mac.startswith("52:54:00")]
    return plan(FIXER, memory(files), situation(nics=nics, made_up=made_up))


@pytest.mark.parametrize("path", FILES)
def test_the_only_unknown_address_becomes_that_of_the_only_adapter(path):
    draft = adopted({path: FILES[path]})
    assert NEW in draft.text(path).lower()
    assert OLD not in draft.text(path).lower()
    (edit,) = draft.edits()
    assert edit.reasons == (
        f"the source does not state the address {OLD} by which it knows the adapter nic0, which has {NEW} now",
    )
    assert draft.findings == []


def test_all_files_follow_together():
    draft = adopted(FILES)
    assert {edit.path for edit in draft.edits()} == FILES.keys()
    assert draft.findings == []


def test_a_name_that_states_the_adapters_place_decides_among_several():
    nics = tuple(
        Nic(id=f"nic{number}", mac=f"52:54:00:11:22:3{number}", slot=slot) for number, slot in enumerate((192, 224))
    )
    text = "".join(
        f"    {name}: {{match: {{macaddress: '{mac}'}}, set-name: {name}}}\n"
        for name, mac in (("ens224", OLD), ("ens192", OTHER))
    )
    draft = adopted({"/etc/netplan/a.yaml": f"network:\n  ethernets:\n{text}"}, nics)
    lines = draft.text("/etc/netplan/a.yaml").splitlines()
    assert 'ens224: {match: {macaddress: "52:54:00:11:22:31"}' in lines[2]
    assert 'ens192: {match: {macaddress: "52:54:00:11:22:30"}' in lines[3]
    assert draft.findings == []


@pytest.mark.parametrize(
    "nics",
    [
        (Nic(id="ethernet0", mac="00:50:56:aa:00:01"),),
        (*MADE_UP, Nic(id="nic1", mac="52:54:00:11:22:44")),
    ],
    ids=["stated", "several"],
)
def test_what_is_not_certain_is_a_warning_that_names_the_file(nics):
    path = "/etc/systemd/network/a.network"
    draft = adopted({path: FILES[path]}, nics)
    assert draft.edits() == ()
    (finding,) = draft.findings
    assert finding.reason == "AdapterNotMatched"
    assert f"{path} looks for the adapter with the address {OLD}, which none has" in finding.message
    assert "Write the address" in finding.hint


def test_two_unknown_addresses_are_two_warnings():
    path = "/etc/systemd/network/{}.network"
    files = {path.format(mac[-1]): f"[Match]\nMACAddress={mac}\n" for mac in (OLD, OTHER)}
    draft = adopted(files)
    assert draft.edits() == ()
    assert [finding.reason for finding in draft.findings] == ["AdapterNotMatched"] * 2


def test_one_of_several_addresses_is_enough_and_a_file_is_told_of_once():
    path = "/etc/systemd/network/a.network"
    known = Nic(id="ethernet0", mac="00:50:56:aa:00:01")
    assert adopted({path: f"[Match]\nMACAddress={OLD} {known.mac}\n"}, (known,)).findings == []
    twice = adopted({path: f"[Match]\nName=ens192 ens224\nMACAddress={OLD}\n"}, (known,))
    assert [finding.reason for finding in twice.findings if finding.reason == "AdapterNotMatched"] == [
        "AdapterNotMatched"
    ]


def test_stale_rules_of_udev_are_no_warning_and_decide_nothing():
    rules = "".join(
        f'SUBSYSTEM=="net", ATTR{{address}}=="00:50:56:9a:00:0{number}", NAME="eth{number}"\n' for number in range(3)
    )
    path = "/etc/systemd/network/a.network"
    draft = adopted({"/etc/udev/rules.d/70-persistent-net.rules": rules, path: FILES[path]})
    assert NEW in draft.text(path)
    assert draft.findings == []


def test_a_place_of_the_old_machine_that_cannot_be_told_is_a_warning():
    path = "/etc/NetworkManager/system-connections/a"
    text = "[connection]\ntype=ethernet\n[match]\npath=pci-0000:0b:00.0;\n"
    nics = (Nic(id="a", mac="00:50:56:aa:00:01"), Nic(id="b", mac="00:50:56:aa:00:02"))
    draft = adopted({path: text}, nics)
    assert draft.edits() == ()
    (finding,) = draft.findings
    assert f"{path} looks for the adapter at pci-0000:0b:00.0" in finding.message
    slots = tuple(nic.replaced(slot=slot) for nic, slot in zip(nics, (192, 224), strict=True))
    assert "mac-address=00:50:56:AA:00:01" in adopted({path: text}, slots).text(path)


def test_the_name_that_an_unknown_address_had_is_kept_without_a_rule_of_ours():
    draft = adopted(
        {"/etc/netplan/a.yaml": FILES["/etc/netplan/a.yaml"], "/etc/network/interfaces": "iface lan0 inet dhcp\n"}
    )
    assert not draft.exists(RULES)


@pytest.mark.parametrize(("old", "new"), [("vmxnet3", "e1000e"), ("e1000e", "e1000e")])
def test_a_match_by_driver_names_that_of_the_adapters_that_are_asked_for(old, new):
    nics = tuple(Nic(id=f"nic{number}", mac=f"00:50:56:9a:00:0{number}", model=old) for number in range(2))
    text = "network: {{ethernets: {{lan: {{match: {{driver: {}}}, dhcp4: true}}}}}}\n"
    files = {"/etc/netplan/a.yaml": text.format(old)}
    given = replace(situation(nics=nics), network_model=NicModel.E1000E)
    assert plan(FIXER, memory(files), given).text("/etc/netplan/a.yaml") == text.format(new)
