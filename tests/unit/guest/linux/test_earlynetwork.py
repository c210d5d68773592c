import pytest

from hyper2kvm.guest.linux import earlynetwork

from .situations import memory

GRUB = "/boot/grub/grub.cfg"


def names(files: dict[str, str]) -> list[str | None]:
    return [each.name for each in earlynetwork.find(memory(files))]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("ip=192.0.2.5::192.0.2.1:255.255.255.0:web01:ens192:none", ["ens192"]),
        ("ip=:::::ens192:dhcp", ["ens192"]),
        ("ip=[2001:db8::5]::[2001:db8::1]:64:web01:ens192:none", ["ens192"]),
        ("ip=ens192:dhcp", ["ens192"]),
        ("ip=ens192:dhcp:1500:00:50:56:aa:00:01", ["ens192"]),
        ("ip=ens192:dhcp ip=ens224:off ip=ens192:dhcp6", ["ens192", "ens224"]),
        ("ip=dhcp", []),
        ("ip=:::::all:dhcp", []),
        ("ip=192.0.2.5::192.0.2.1:255.255.255.0", []),
        ("skip=ens192:dhcp nfsroot=192.0.2.9:/srv", []),
    ],
)
def test_command_lines_name_the_interfaces_of_the_initramfs(argument, expected):
    assert names({GRUB: f"menuentry x {{\n linux /vmlinuz root=UUID=a {argument} quiet\n}}\n"}) == expected


def test_dracuts_name_for_an_address_is_known_with_it():
    (found,) = earlynetwork.find(memory({GRUB: "linux /v ifname=lan:00:50:56:AA:00:01\n"}))
    assert (found.name, found.mac, found.binds) == ("lan", "00:50:56:aa:00:01", False)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("/etc/initramfs-tools/initramfs.conf", "MODULES=dep\nDEVICE=\n", []),
        ("/etc/initramfs-tools/initramfs.conf", "DEVICE=ens192\n", ["ens192"]),
        ("/etc/initramfs-tools/initramfs.conf", "# DEVICE=ens192\nNFSROOT=auto\n", []),
        ("/etc/initramfs-tools/conf.d/ip", 'IP="192.0.2.5::192.0.2.1:255.255.255.0::ens192:off"\n', ["ens192"]),
        ("/etc/default/grub", 'GRUB_CMDLINE_LINUX="ip=:::::ens192:dhcp"\n', ["ens192"]),
        ("/etc/kernel/cmdline", "ip=ens192:dhcp\n", ["ens192"]),
        ("/boot/loader/entries/d.conf", "options ip=ens192:dhcp\n", ["ens192"]),
        (GRUB, "# ip=ens192:dhcp\nset a=ip=ens224:dhcp\n", []),
    ],
)
def test_settings_name_them_too(path, text, expected):
    assert names({path: text}) == expected


def test_neither_an_address_nor_dhcp_is_expected_after_the_start():
    (found,) = earlynetwork.find(memory({GRUB: "linux /v ip=192.0.2.5::192.0.2.1:255.255.255.0::bond0:dhcp\n"}))
    assert (found.addresses, found.dhcp, found.virtual) == ((), False, True)
