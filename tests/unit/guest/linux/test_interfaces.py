from hyper2kvm.guest.linux import interfaces

from .situations import memory


def test_every_back_end_is_asked_and_the_loopback_left_out():
    guest = memory(
        {
            "/etc/network/interfaces": b"iface lo inet loopback\niface ens192 inet dhcp\n",
            "/etc/netplan/a.yaml": b"network: {ethernets: {ens224: {addresses: [192.0.2.1/24]}}}",
            "/etc/systemd/network/a.network": b"[Match]\nName=ens256\n",
            "/etc/NetworkManager/system-connections/w": b"[connection]\ninterface-name=ens161\n",
            "/etc/udev/rules.d/70-n.rules": b'SUBSYSTEM=="net", ATTR{address}=="00:50:56:aa:00:01", NAME="lan"\n',
            "/etc/initramfs-tools/initramfs.conf": b"DEVICE=ens160\n",
        }
    )
    found = interfaces.find(guest)
    assert [(each.back_end, each.name) for each in found] == [
        ("ifupdown", "ens192"),
        ("netplan", "ens224"),
        ("networkd", "ens256"),
        ("networkmanager", "ens161"),
        ("udev", "lan"),
        ("initramfs", "ens160"),
    ]
    assert found[0].dhcp
    assert found[1].addresses == ("192.0.2.1/24",)
    assert found[4].mac == "00:50:56:aa:00:01"


def test_a_guest_without_network_configuration_has_no_interface():
    assert interfaces.find(memory({})) == ()
