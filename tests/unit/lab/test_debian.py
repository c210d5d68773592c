import pytest

from lab.guests.debian import check_initramfs

VMWARE = "usr/lib/modules/6.1.0-9-amd64/kernel/drivers/scsi/vmw_pvscsi.ko\n"


def test_an_initramfs_with_vmwares_driver_alone_is_accepted():
    check_initramfs(VMWARE)


@pytest.mark.parametrize("listing", ["", f"{VMWARE}usr/lib/modules/6.1.0-9-amd64/kernel/drivers/block/virtio_blk.ko\n"])
def test_an_initramfs_that_would_prove_nothing_is_refused(listing):
    with pytest.raises(RuntimeError, match="must hold vmw_pvscsi and nothing of virtio"):
        check_initramfs(listing)
