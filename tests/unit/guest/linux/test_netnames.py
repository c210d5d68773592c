import pytest

from hyper2kvm.guest.linux.netnames import FIXER, RULES, link_file
from hyper2kvm_api.machine import Nic
from hyper2kvm_api.options import GuestOptions
from lab.memoryguest import MemoryGuest

from .situations import NICS, memory, plan, situation

LIBRARY = "/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so"
INTERFACES = (
    b"auto lo\niface lo inet loopback\nallow-hotplug ens192\niface ens192 inet static\n address 192.0.2.10/24\n"
)
OLD_GUEST = "/lib/systemd/libsystemd-shared-241.so"


def guest(files: dict[str, bytes | str], library: str = LIBRARY, **given: object) -> MemoryGuest:
    texts = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return memory({library: b"", **texts}, **given)


def test_a_configured_name_is_bound_to_the_adapters_address():
    draft = plan(FIXER, guest({"/etc/network/interfaces": INTERFACES}))
    (edit,) = draft.edits()
    assert edit.path == link_file("ens192") == "/etc/systemd/network/10-hyper2kvm-ens192.link"
    assert b"[Match]\nMACAddress=00:50:56:aa:00:01\nType=!vlan bond bridge\n\n[Link]\nName=ens192\n" in edit.content
    assert edit.reasons == (
        "ens192 stays the name of the adapter 00:50:56:aa:00:01 (ethernet0); on the new hardware it would change",
    )


@pytest.mark.parametrize("library", [OLD_GUEST, "/sbin/udevd"])
def test_an_older_guest_gets_udev_rules(library):
    files = {"/etc/network/interfaces": INTERFACES + b"iface ens224 inet dhcp\n"}
    draft = plan(FIXER, guest(files, library), situation(nics=NICS))
    (edit,) = draft.edits()
    assert edit.path == RULES
    assert edit.content.decode().splitlines() == [
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:50:56:aa:00:01", NAME="ens192"',
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:50:56:aa:00:02", NAME="ens224"',
    ]


def test_bonds_and_vlans_keep_working_because_their_members_keep_their_names():
    text = "network: {ethernets: {ens192: {}, ens224: {}}, bonds: {bond0: {interfaces: [ens192, ens224], dhcp4: true}}}"
    draft = plan(FIXER, guest({"/etc/netplan/a.yaml": text}), situation(nics=NICS))
    assert {edit.path for edit in draft.edits()} == {link_file("ens192"), link_file("ens224")}


@pytest.mark.parametrize(
    "files",
    [
        {
            "/etc/netplan/a.yaml": "network: {ethernets: {x: {match: {macaddress: 00:50:56:aa:00:01}, set-name: ens192}}}"
        },
        {"/etc/netplan/a.yaml": "network: {ethernets: {x: {match: {macaddress: 00:50:56:aa:00:01}, dhcp4: true}}}"},
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
    assert [edit.path for edit in draft.edits()] == [link_file("eth0")]


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
            "/etc/netplan/a.yaml",
            "network:\n  ethernets:\n    x:\n      match:\n        driver: vmxnet3\n      dhcp4: true\n",
            'network:\n  ethernets:\n    x:\n      match:\n        macaddress: "00:50:56:aa:00:01"\n      dhcp4: true\n',
        ),
        (
            "/etc/netplan/a.yaml",
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
    draft = plan(FIXER, guest({"/etc/netplan/a.yaml": text}), situation(nics=NICS))
    assert draft.text("/etc/netplan/a.yaml") == text.replace("vmxnet3", "virtio_net")


def test_the_option_switches_it_off():
    assert not FIXER.wanted(situation(options=GuestOptions(keep_network_names=False)))
