import pytest

from hyper2kvm.guest.linux import modprobe
from hyper2kvm.guest.linux.modprobe import FIXER

from .situations import memory, plan


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("blacklist virtio_blk", "virtio_blk"),
        ("  blacklist virtio-pci # no", "virtio_pci"),
        ("install virtio_net /bin/true", "virtio_net"),
        ("install virtio_net /usr/bin/false", "virtio_net"),
        ("alias virtio_scsi off", "virtio_scsi"),
        ("blacklist floppy", "floppy"),
        ("# blacklist virtio_blk", None),
        ("options virtio_blk queue_depth=64", None),
        ("install virtio_net /sbin/modprobe --ignore-install virtio_net", None),
        ("alias virtio0 virtio_net", None),
    ],
)
def test_lines_that_disable_a_module_are_known(line, name):
    assert modprobe.disabled_module(line) == name


def test_only_lines_against_the_new_hardware_go():
    text = b"# cis benchmark\nblacklist usb-storage\r\nblacklist virtio_blk\ninstall virtio_pci /bin/true\nblacklist floppy"
    draft = plan(FIXER, memory({"/etc/modprobe.d/cis.conf": text}))
    assert draft.read("/etc/modprobe.d/cis.conf") == b"# cis benchmark\nblacklist usb-storage\r\nblacklist floppy"
    assert draft.edits()[0].reasons == ("it keeps virtio_blk, virtio_pci from loading, which the new hardware needs",)


def test_a_guest_that_disables_nothing_needed_is_left_alone():
    assert plan(FIXER, memory({"/etc/modprobe.d/a.conf": b"blacklist pcspkr\n"})).edits() == ()
