from hyper2kvm.guest.linux import udevrules
from hyper2kvm.guest.linux.interface import Chosen

from .situations import memory

PATH = "/etc/udev/rules.d/70-persistent-net.rules"
PERSISTENT = """\
# PCI device 0x15ad:0x07b0 (vmxnet3)
SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:50:56:aa:00:01", ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:0b:00.0", \\
  NAME:="lan"
SUBSYSTEM=="net", DRIVERS=="vmxnet3", NAME="$env{X}"
SUBSYSTEM=="block", NAME="sda"
"""


def test_rules_that_name_interfaces_are_found():
    eth0, lan = udevrules.find(memory({PATH: PERSISTENT.encode()}))
    assert (eth0.name, eth0.mac, eth0.driver, eth0.binds) == ("eth0", "00:50:56:aa:00:01", None, True)
    assert (lan.name, lan.path) == ("lan", "0000:0b:00.0")


def test_our_own_rule_is_understood():
    (found,) = udevrules.find(memory({PATH: udevrules.rule("00:50:56:aa:00:01", "ens192").encode()}))
    assert (found.name, found.mac) == ("ens192", "00:50:56:aa:00:01")


def test_an_empty_file_masks():
    assert list(udevrules.find(memory({PATH: b""}))) == []


def test_an_address_is_replaced_in_rules_and_not_in_comments():
    text = f"# 00:50:56:aa:00:01\n{PERSISTENT}"
    after = udevrules.rewritten(text, lambda *_: Chosen(("52:54:00:aa:00:01",), "virtio_net"))
    assert after == text.replace('=="00:50:56:aa:00:01"', '=="52:54:00:aa:00:01"')
