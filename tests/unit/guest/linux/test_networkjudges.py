"""Rewritten configurations, judged by the programs that read them: netplan, NetworkManager's library, udev."""

import json
import subprocess
from pathlib import Path

import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import netplan
from hyper2kvm.guest.linux.netnames import FIXER
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.machine import Nic

from .situations import NICS, memory, plan, situation

_READ_KEYFILE = """
import gi, json, sys
gi.require_version("NM", "1.0")
from gi.repository import GLib, NM
text, file = sys.stdin.read(), GLib.KeyFile.new()
file.load_from_data(text, len(text.encode()), GLib.KeyFileFlags.NONE)
read = NM.keyfile_read(file, "/", NM.KeyfileHandlerFlags.NONE, None, None)
read.normalize()
assert read.verify()
wired, match = read.get_setting_wired(), read.get_setting_by_name("match")
found = {"mac": wired.get_mac_address(), "mtu": wired.get_mtu()}
print(json.dumps(found | {"paths": match.get_paths() if match else [], "drivers": match.get_drivers() if match else []}))
"""
"""What NetworkManager understands of a keyfile; an error where it does not take it."""

OLD, NEW = "00:50:56:9a:00:07", "52:54:00:11:22:33"
MADE_UP = (Nic(id="nic0", mac=NEW, model="vmxnet3"),)
NETPLAN = "/etc/netplan/a.yaml"
KEYFILE = "/etc/NetworkManager/system-connections/lan.nmconnection"
LINK = "/etc/systemd/network/50-lan.link"
GENERATE = "/usr/libexec/netplan/generate"


def repaired(files: dict[str, str], nics: tuple[Nic, ...] = MADE_UP) -> Draft:
    return plan(FIXER, memory(files), situation(nics=nics, made_up=[NEW]))


def generated(text: str, root: Path) -> dict[str, str]:
    """What netplan makes of a file: networkd's files by name."""
    file = root / NETPLAN.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    subprocess.run([GENERATE, "--root-dir", str(root)], check=True, capture_output=True)
    return {path.name: path.read_text() for path in (root / "run/systemd/network").iterdir()}


@pytest.mark.parametrize(
    "match",
    [
        f"{{macaddress: '{OLD}'}}",
        f"{{macaddress: '{OLD}', driver: vmxnet3}}",
        "{driver: vmxnet3}",
        "\n        driver:\n        - vmxnet3\n        - e1000",
    ],
)
def test_netplan_matches_the_new_adapter(tmp_path, match):
    text = f"network:\n  version: 2\n  ethernets:\n    lan:\n      match: {match}\n      addresses: [192.0.2.7/24]\n"
    (network,) = generated(repaired({NETPLAN: text}).text(NETPLAN), tmp_path).values()
    assert f"PermanentMACAddress={NEW}" in network
    assert "vmxnet3" not in network
    assert "Address=192.0.2.7/24" in network


def test_netplan_gives_the_name_to_the_new_adapter(tmp_path):
    text = (
        f"network: {{ethernets: {{lan: {{match: {{macaddress: '{OLD}'}}, set-name: lan0, mtu: 9000, dhcp4: true}}}}}}"
    )
    made = generated(repaired({NETPLAN: text}).text(NETPLAN), tmp_path)
    assert all(part in made["10-netplan-lan.link"] for part in (f"MACAddress={NEW}", "Name=lan0", "MTUBytes=9000"))


def test_netplan_matches_several_adapters_by_their_driver(tmp_path):
    text = "network: {ethernets: {lan: {match: {driver: vmxnet3}, dhcp4: true}}}"
    (network,) = generated(repaired({NETPLAN: text}, NICS).text(NETPLAN), tmp_path).values()
    assert "Driver=virtio_net" in network


@pytest.mark.parametrize(
    "text",
    [
        "network:\n  ethernets:\n    ens192:\t# first\n      addresses: [192.0.2.1/24]\t# static\n      dhcp4:\ttrue\t\n",
        "network: {ethernets: {ens192: {dhcp4: true}}}\n---\nnetwork: {ethernets: {ens224: {dhcp4: true}}}\n",
    ],
    ids=["tabs", "documents"],
)
def test_netplan_knows_the_same_interfaces(tmp_path, text):
    assert list(generated(text, tmp_path)) == ["10-netplan-ens192.network"]
    assert [each.name for each in netplan.find(memory({NETPLAN: text}))] == ["ens192"]


@pytest.mark.parametrize("indent", ["\t", "  \t"])
def test_netplan_takes_no_tab_as_indentation(tmp_path, indent):
    text = f"network:\n{indent}ethernets: {{ens192: {{dhcp4: true}}}}\n"
    with pytest.raises(subprocess.CalledProcessError):
        generated(text, tmp_path)
    with pytest.raises(GuestError):
        list(netplan.find(memory({NETPLAN: text})))


def understood(text: str) -> dict[str, object]:
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _READ_KEYFILE], input=text, capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


HEAD = "[connection]\nid=lan\nuuid=6f1b7a1e-1111-4222-8333-000000000001\ntype=ethernet\n\n"


@pytest.mark.parametrize(
    ("sections", "mtu", "drivers"),
    [
        (f"[ethernet]\nmac-address={OLD.upper()}\n", 0, []),
        (f"[ethernet]\nmtu=9000\nmac-address={OLD.upper()}\n\n[match]\ndriver=vmxnet3;\n", 9000, ["virtio_net"]),
        ("[match]\npath=pci-0000:0b:00.0;\n", 0, []),
        ("[ethernet]\nmtu=9000\n\n[match]\npath=pci-0000:0b:00.0;\ndriver=vmxnet3;\n", 9000, ["virtio_net"]),
    ],
)
def test_networkmanager_matches_the_new_adapter(sections, mtu, drivers):
    text = repaired({KEYFILE: f"{HEAD}{sections}\n[ipv4]\nmethod=auto\n"}).text(KEYFILE)
    assert understood(text) == {"mac": NEW.upper(), "mtu": mtu, "paths": [], "drivers": drivers}


def test_udev_applies_the_link_file_to_the_new_adapter(tmp_path):
    """In namespaces of its own: an interface with the adapter's address, and the guest's folder in place of ours."""
    text = f"[Match]\nMACAddress={OLD}\n\n[Link]\nName=lan0\nMTUBytes=9000\n"
    (tmp_path / Path(LINK).name).write_text(repaired({LINK: text}).text(LINK))
    script = (
        f"mount -t sysfs sysfs /sys && mount --bind {tmp_path} /etc/systemd/network && "
        f"ip link add h2k0 address {NEW} type veth && udevadm test-builtin net_setup_link /sys/class/net/h2k0"
    )
    alone = ["unshare", "--net", "--mount", "sh", "-c", script]
    said = subprocess.run(alone, check=True, capture_output=True, text=True).stdout.splitlines()
    assert f"ID_NET_LINK_FILE={LINK}" in said
    assert "ID_NET_NAME=lan0" in said
