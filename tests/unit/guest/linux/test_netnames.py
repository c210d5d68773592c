import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import udevrules
from hyper2kvm.guest.linux.netnames import FIXER, RULES
from hyper2kvm_api.machine import Nic
from hyper2kvm_api.options import GuestOptions
from lab.memoryguest import MemoryGuest

from .situations import NICS, memory, plan, situation

INTERFACES = (
    b"auto lo\niface lo inet loopback\nallow-hotplug ens192\niface ens192 inet static\n address 192.0.2.10/24\n"
)
NETPLAN = "/etc/netplan/a.yaml"


def guest(files: dict[str, bytes | str], **given: object) -> MemoryGuest:
    return memory(files, **given)


def rules(draft: Draft) -> dict[str, str]:
    """The names that the rules give, by MAC address."""
    text = draft.text(RULES) if draft.is_file(RULES) else ""
    return {each.mac: each.name for each in udevrules.find(MemoryGuest({RULES: text})) if each.mac and each.name}


def test_configured_names_are_bound_to_the_adapters_addresses():
    files = {"/etc/network/interfaces": INTERFACES + b"iface ens224 inet dhcp\n"}
    draft = plan(FIXER, guest(files), situation(nics=NICS))
    (edit,) = draft.edits()
    assert edit.path == RULES
    assert edit.content.decode().splitlines() == [
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:50:56:aa:00:01", NAME="ens192"',
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:50:56:aa:00:02", NAME="ens224"',
    ]
    assert edit.reasons[0] == (
        "ens192 stays the name of the adapter 00:50:56:aa:00:01 (ethernet0); on the new hardware it would change"
    )
    assert draft.findings == []


def test_the_name_that_the_initramfs_uses_is_kept():
    """As for dropbear or clevis; the system's own configuration goes by the address."""
    files = {
        "/etc/systemd/network/a.network": "[Match]\nMACAddress=00:50:56:aa:00:01\n[Network]\nDHCP=yes\n",
        "/boot/grub/grub.cfg": "linux /vmlinuz ip=:::::ens192:dhcp\n",
    }
    assert rules(plan(FIXER, guest(files))) == {"00:50:56:aa:00:01": "ens192"}


BY_ADDRESS = {NETPLAN: "network: {ethernets: {x: {match: {macaddress: 00:50:56:aa:00:01}, dhcp4: true}}}"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/nftables.conf", 'table inet filter { chain input { iifname "ens192" accept } }\n'),
        ("/etc/iptables/rules.v4", "*filter\n-A INPUT -i ens192 -j ACCEPT\nCOMMIT\n"),
        ("/etc/ufw/user.rules", "-A ufw-user-input -i ens192.10 -j ACCEPT\n"),
        ("/etc/keepalived/keepalived.conf", "vrrp_instance a {\n  interface ens192\n}\n"),
        ("/etc/default/isc-dhcp-server", 'INTERFACESv4="ens192 ens256"\n'),
        ("/etc/frr/frr.conf", "interface ens192\n ip ospf area 0\n"),
    ],
)
def test_a_name_that_a_firewall_or_a_daemon_alone_has_is_kept(path, text):
    draft = plan(FIXER, guest({**BY_ADDRESS, path: text}))
    assert rules(draft) == {"00:50:56:aa:00:01": "ens192"}
    assert draft.findings == []


CLOUD = {
    "netplan": {
        NETPLAN: (
            "network:\n  version: 2\n  ethernets:\n"
            "    all-en:\n      match:\n        name: en*\n      dhcp4: true\n      dhcp6: true\n"
            "    all-eth:\n      match:\n        name: eth*\n      dhcp4: true\n      dhcp6: true\n"
        )
    },
    "networkd": {"/etc/systemd/network/lan.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"},
}


@pytest.mark.parametrize("files", CLOUD.values(), ids=CLOUD)
def test_a_cloud_images_patterns_rename_no_adapter(files):
    assert rules(plan(FIXER, guest(files))) == {}
    firewall = {"/etc/nftables.conf": 'iifname "ens192" accept\n'}
    assert rules(plan(FIXER, guest({**files, **firewall}))) == {"00:50:56:aa:00:01": "ens192"}


@pytest.mark.parametrize(
    "files",
    [
        {"/etc/nftables.conf": "# ens192\niifname { ens224, xens192, ens1920, ens192-a } accept\n"},
        {**BY_ADDRESS, "/etc/nftables.conf": "accept\n"},
        {
            NETPLAN: "network: {ethernets: {x: {match: {macaddress: 00:50:56:aa:00:01}, set-name: lan}}}",
            "/etc/nftables.conf": "iifname ens192 accept\n",
        },
        {"/etc/nftables.conf": "iifname ens192 accept\n", "/boot/grub/grub.cfg": "linux /v net.ifnames=0 ro\n"},
    ],
    ids=["other words", "no name", "another name given", "the kernel's names"],
)
def test_a_name_that_the_adapter_did_not_have_is_not_given(files):
    draft = plan(FIXER, guest(files))
    assert rules(draft) == {}
    assert draft.findings == []


def test_the_networks_own_name_goes_before_a_firewalls():
    files = {"/etc/network/interfaces": INTERFACES, "/etc/nftables.conf": "iifname { enp11s0, ens224 } accept\n"}
    draft = plan(FIXER, guest(files), situation(nics=NICS))
    assert rules(draft) == {"00:50:56:aa:00:01": "ens192", "00:50:56:aa:00:02": "ens224"}


def test_bonds_and_vlans_keep_working_because_their_members_keep_their_names():
    text = "network: {ethernets: {ens192: {}, ens224: {}}, bonds: {bond0: {interfaces: [ens192, ens224], dhcp4: true}}}"
    draft = plan(FIXER, guest({NETPLAN: text}), situation(nics=NICS))
    assert rules(draft) == {"00:50:56:aa:00:01": "ens192", "00:50:56:aa:00:02": "ens224"}


def test_what_the_guests_own_link_files_say_stays_in_force():
    """Of .link files the first that matches has the only say: one of ours would take the MTU away."""
    link = "[Match]\nMACAddress=00:50:56:aa:00:01\n[Link]\nMTUBytes=9000\n"
    draft = plan(FIXER, guest({"/etc/network/interfaces": INTERFACES, "/etc/systemd/network/50-mtu.link": link}))
    assert [edit.path for edit in draft.edits()] == [RULES]
    assert rules(draft) == {"00:50:56:aa:00:01": "ens192"}


@pytest.mark.parametrize(
    "files",
    [
        {NETPLAN: "network: {ethernets: {x: {match: {macaddress: 00:50:56:aa:00:01}, set-name: ens192}}}"},
        {NETPLAN: "network: {ethernets: {x: {match: {macaddress: 00:50:56:aa:00:01}, dhcp4: true}}}"},
        {"/etc/systemd/network/a.network": "[Match]\nMACAddress=00:50:56:aa:00:01\n[Network]\nDHCP=yes\n"},
        {
            "/etc/network/interfaces": "iface eth0 inet dhcp\n",
            "/etc/udev/rules.d/70-persistent-net.rules": (
                'SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="00:50:56:aa:00:01", KERNEL=="eth*", NAME="eth0"\n'
            ),
        },
        {"/etc/network/interfaces": "auto lo\niface lo inet loopback\n"},
    ],
    ids=["set-name", "netplan", "networkd", "udev", "nothing"],
)
def test_configurations_that_go_by_the_address_need_nothing(files):
    draft = plan(FIXER, guest(files))
    assert draft.edits() == ()
    assert draft.findings == []


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({"/boot/grub/grub.cfg": "linux /v net.ifnames=0 ro\n"}, {}),
        ({}, {"/etc/systemd/network/99-default.link": "/dev/null"}),
        ({"/etc/udev/rules.d/80-net-setup-link.rules": ""}, {}),
    ],
)
def test_the_kernels_own_names_need_nothing_where_they_are_used(files, links):
    draft = plan(FIXER, guest({"/etc/network/interfaces": "iface eth0 inet dhcp\n", **files}, links=links))
    assert draft.edits() == ()
    assert "the kernel's own names" in draft.notes[0]


def test_eth0_of_a_hypervisor_without_pci_is_kept():
    """Hyper-V's adapters stand on no PCI bus and keep eth0; on virtio udev would rename them."""
    nics = (Nic(id="0", mac="00:15:5d:00:00:01", model="netvsc"),)
    draft = plan(FIXER, guest({"/etc/network/interfaces": "iface eth0 inet dhcp\n"}), situation(nics=nics))
    assert rules(draft) == {"00:15:5d:00:00:01": "eth0"}


def test_a_name_without_an_adapter_is_a_warning_that_names_both():
    draft = plan(FIXER, guest({"/etc/network/interfaces": "iface lan inet dhcp\n"}), situation(nics=NICS))
    (finding,) = draft.findings
    assert finding.reason == "InterfaceNotPaired"
    assert "lan is configured" in finding.message
    assert "ethernet1 (00:50:56:aa:00:02)" in finding.message
    assert "MAC address" in finding.hint
    assert draft.edits() == ()


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (
            "/etc/systemd/network/a.network",
            "[Match]\nDriver=vmxnet3\n[Network]\nDHCP=yes\n",
            "[Match]\nMACAddress=00:50:56:aa:00:01\n[Network]\nDHCP=yes\n",
        ),
        (
            "/etc/systemd/network/lan.link",
            "[Match]\nPath=pci-0000:0b:00.0\n[Link]\nName=lan\n",
            "[Match]\nMACAddress=00:50:56:aa:00:01\n[Link]\nName=lan\n",
        ),
        (
            NETPLAN,
            "network:\n  ethernets:\n    x:\n      match:\n        driver: vmxnet3\n      dhcp4: true\n",
            'network:\n  ethernets:\n    x:\n      match:\n        macaddress: "00:50:56:aa:00:01"\n      dhcp4: true\n',
        ),
        (
            NETPLAN,
            "network: {ethernets: {x: {match: {driver: vmxnet3, macaddress: 00:50:56:aa:00:01}}}}",
            "network: {ethernets: {x: {match: {driver: virtio_net, macaddress: 00:50:56:aa:00:01}}}}",
        ),
        (
            "/etc/NetworkManager/system-connections/a.nmconnection",
            "[connection]\ntype=ethernet\n[match]\ndriver=vmxnet3;\n",
            "[connection]\ntype=ethernet\n[match]\ndriver=virtio_net;\n",
        ),
        ("/etc/systemd/network/a.network", "[Match]\nDriver=ixgbe\n", "[Match]\nDriver=ixgbe\n"),
    ],
)
def test_matches_by_the_old_hardware_become_matches_by_address(path, before, after):
    assert plan(FIXER, guest({path: before})).text(path) == after


def test_a_match_of_several_adapters_stays_one_by_driver_in_netplan():
    text = "network: {ethernets: {x: {match: {driver: vmxnet3}, dhcp4: true}}}"
    draft = plan(FIXER, guest({NETPLAN: text}), situation(nics=NICS))
    assert draft.text(NETPLAN) == text.replace("vmxnet3", "virtio_net")


def test_order_alone_is_told():
    nics = (Nic(id="a", mac="00:50:56:aa:00:03"), Nic(id="b", mac="00:50:56:aa:00:04"))
    draft = plan(
        FIXER,
        guest({"/etc/network/interfaces": "iface ens224 inet dhcp\niface ens192 inet dhcp\n"}),
        situation(nics=nics),
    )
    (finding,) = draft.findings
    assert finding.reason == "InterfacesPairedByOrder"
    assert "ens192 is a (00:50:56:aa:00:03), ens224 is b (00:50:56:aa:00:04)" in finding.message
    assert RULES in finding.hint


def test_a_stale_name_is_a_note():
    draft = plan(FIXER, guest({"/etc/network/interfaces": INTERFACES + b"iface eth0 inet dhcp\n"}))
    assert rules(draft) == {"00:50:56:aa:00:01": "ens192"}
    assert draft.findings == []
    assert any(note.startswith("eth0 is configured") for note in draft.notes)


FIVE = tuple(
    Nic(id=f"ethernet{number}", mac=f"00:50:56:aa:00:1{number}", slot=slot)
    for number, slot in enumerate((192, 224, 256, 1184, 1216))
)
UNNAMED = {"/boot/grub/grub.cfg": "linux /v net.ifnames=0 ro\n"}


def test_the_kernels_own_names_that_change_hands_are_told():
    """VMware's fourth adapter is on bus 4, before the first one's 11: it was eth0."""
    config = "".join(f"iface eth{number} inet dhcp\n" for number in range(5))
    draft = plan(FIXER, guest({"/etc/network/interfaces": config, **UNNAMED}), situation(nics=FIVE))
    assert draft.edits() == ()
    assert {finding.reason for finding in draft.findings} == {"InterfaceOrderChanges"}
    assert len(draft.findings) == 5
    assert "eth0 was the adapter ethernet3 (00:50:56:aa:00:13)" in draft.findings[0].message
    assert "is ethernet0 (00:50:56:aa:00:10)" in draft.findings[0].message


@pytest.mark.parametrize(
    ("files", "nics"),
    [
        ({"/etc/network/interfaces": "iface eth1 inet dhcp\n"}, NICS),
        ({NETPLAN: "network: {ethernets: {x: {match: {macaddress: 00:50:56:aa:00:10}, set-name: eth0}}}"}, FIVE),
    ],
    ids=["same order", "by address"],
)
def test_the_kernels_own_names_that_mean_the_same_adapters_are_no_warning(files, nics):
    draft = plan(FIXER, guest({**files, **UNNAMED}), situation(nics=nics))
    assert draft.edits() == ()
    assert draft.findings == []


def test_the_option_switches_it_off():
    assert not FIXER.wanted(situation(options=GuestOptions(keep_network_names=False)))
