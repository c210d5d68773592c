import dataclasses

import pytest

from hyper2kvm.guest.description import Kernel
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.edits import EditKind
from hyper2kvm.guest.linux import initramfs, kernels, netnames
from hyper2kvm.guest.linux.bytesource import FileBytes
from hyper2kvm.guest.linux.drivers import FIXER
from hyper2kvm.guest.linux.rebuild import DRACUT, INITRAMFS_TOOLS, with_modules
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.options import GuestOptions, InitramfsPolicy, NicModel, TargetBus
from hyper2kvm_api.reasons import Reason

from .conftest import VERSION, module_files
from .situations import DATA, ROOT, SWAP, apply, memory, plan, situation
from .test_kernels import VIRTIO_PATHS, unified_image

IMAGE, INITRD = f"/boot/vmlinuz-{VERSION}", f"/boot/initrd.img-{VERSION}"
OLDER = "6.1.0-10-amd64", "5.10.0-30-amd64"
CONFIG = {f"/boot/config-{VERSION}": b"CONFIG_A=y\nCONFIG_RD_GZIP=y\n"}


def guest(image: bytes | None, version: str = VERSION, **files: bytes) -> dict[str, bytes]:
    found = {
        f"/boot/vmlinuz-{version}": b"kernel",
        **module_files(version),
        "/etc/initramfs-tools/modules": b"# none\n",
    }
    return {**found, **({f"/boot/initrd.img-{version}": image} if image is not None else {}), **files}


def planned(files: dict[str, bytes], **given: object) -> Draft:
    """The plan; every kernel of it then finds its drivers."""
    held = memory(files)
    made = plan(FIXER, held, situation(kernels=kernels.find(held), **given))
    for kernel in kernels.find(apply(made, held)):
        assert kernel.boots_from_virtio or made.findings or not made.edits()
    return made


def grafts(draft: Draft) -> list[str]:
    return [edit.path for edit in draft.edits() if edit.kind is EditKind.APPEND]


def inside(draft: Draft, path: str = INITRD) -> initramfs.Initramfs:
    return initramfs.read(FileBytes(draft, path), path)


def refused(files: dict[str, bytes], **given: object) -> GuestError:
    held = memory(files)
    with pytest.raises(GuestError) as caught:
        FIXER.plan(Draft(held), situation(kernels=kernels.find(held), **given))
    return caught.value


def test_a_vmware_guests_initramfs_gets_virtio(images):
    draft = planned({**guest(images.initramfs_tools()), **CONFIG})
    (edit,) = [edit for edit in draft.edits() if edit.kind is EditKind.APPEND]
    assert edit.path == INITRD
    assert "lacks virtio, virtio_ring, virtio_pci, virtio_blk" in edit.reasons[0]
    assert f"{len(edit.content)} bytes appended: drivers failover, net_failover, virtio, virtio_blk" in edit.summary
    assert edit.content.lstrip(b"\0").startswith(b"\x1f\x8b")


def test_the_names_that_initramfs_tools_loads_are_kept_and_added(images):
    draft = planned(guest(images.initramfs_tools()))
    assert inside(draft).files["conf/modules"].decode().splitlines() == ["vmw_pvscsi", *kernels.DRIVERS]


def test_the_next_rebuild_keeps_the_drivers(images):
    draft = planned(guest(images.initramfs_tools(), **{"/etc/dracut.conf.d/10-debian.conf": b""}))
    assert draft.text(INITRAMFS_TOOLS) == "# none\n" + "".join(f"{name}\n" for name in kernels.DRIVERS)
    assert draft.text(DRACUT) == f'add_drivers+=" {" ".join(kernels.DRIVERS)} "\n'


def test_a_kernel_that_does_not_say_gzip_gets_a_plain_archive(images):
    draft = planned(guest(images.initramfs_tools()))
    (edit,) = [edit for edit in draft.edits() if edit.kind is EditKind.APPEND]
    assert edit.content.lstrip(b"\0").startswith(b"070701")


def test_every_kernel_is_grafted(images):
    files = {**guest(images.initramfs_tools(OLDER[1]), OLDER[1]), **guest(images.initramfs_tools())}
    assert grafts(planned(files)) == [f"/boot/initrd.img-{OLDER[1]}", INITRD]


def test_a_kernel_with_everything_is_left_alone_with_a_note(images):
    draft = planned(guest(images.initramfs_tools(modules=VIRTIO_PATHS)))
    assert draft.edits() == ()
    assert draft.notes == [f"kernel {VERSION}: its initramfs has every driver that the new disks need"]


def test_drivers_that_are_built_in_are_enough(images):
    files = {**guest(images.initramfs_tools()), **module_files(built_in=tuple(kernels.DRIVERS))}
    files[f"/lib/modules/{VERSION}/modules.builtin"] = "".join(
        f"kernel/{name}.ko\n" for name in kernels.DRIVERS
    ).encode()
    assert planned(files).edits() == ()


@pytest.mark.parametrize(("bus", "name"), [(TargetBus.SCSI, "sd_mod"), (TargetBus.SATA, "sd_mod")])
def test_other_buses_get_their_drivers(images, bus, name):
    files = guest(images.initramfs_tools())
    files[f"/lib/modules/{VERSION}/modules.dep"] += b"kernel/drivers/ata/ahci.ko:\n"
    files[f"/lib/modules/{VERSION}/kernel/drivers/ata/ahci.ko"] = b"ELF"
    held = inside(planned(files, bus=bus)).modules(VERSION)
    assert {name, "scsi_mod", "virtio_scsi"} <= held.keys()
    assert ("ahci" in held) is (bus is TargetBus.SATA)


def test_modules_that_are_packed_come_unpacked(images):
    files = {**guest(images.initramfs_tools()), **module_files(suffix=".xz")}
    files = {path: content for path, content in files.items() if not path.endswith(".ko")}
    held = inside(planned(files)).modules(VERSION)
    assert held["virtio_blk"] == "kernel/drivers/block/virtio_blk.ko"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("conf/conf.d/zz-resume-auto", b"RESUME=/dev/sda5\n", f"RESUME=UUID={SWAP}\n"),
        ("cryptroot/crypttab", b"data /dev/sdb1 none luks\n", f"data UUID={DATA} none luks\n"),
        ("etc/crypttab", b"data /dev/sdb1 none\n", f"data UUID={DATA} none\n"),
        ("etc/fstab", b"/dev/sda1 /usr ext4 ro\n", f"UUID={ROOT} /usr ext4 ro\n"),
        ("etc/cmdline.d/95root-dev.conf", b" root=/dev/sda1 rootfstype=ext4", f" root=UUID={ROOT} rootfstype=ext4"),
    ],
)
def test_names_inside_the_initramfs_become_stable_even_when_no_driver_is_missing(images, path, before, after):
    image = images.initramfs_tools(modules=VIRTIO_PATHS, extra={path: before})
    draft = planned(guest(image))
    assert inside(draft).files[path].decode() == after
    assert "settings that change with the controller" in draft.edits()[0].reasons[0]
    assert grafts(planned(guest(image), options=GuestOptions(stable_device_names=False))) == []


@pytest.mark.parametrize("path", ["etc/mdadm/mdadm.conf", "etc/mdadm.conf", "etc/mdadm.conf.d/disks.conf"])
def test_arrays_are_found_by_the_initramfs_too(images, path):
    image = images.initramfs_tools(modules=VIRTIO_PATHS, extra={path: b"DEVICE /dev/sda1\n#CREATE owner=root\n"})
    held = memory(guest(image))
    given = situation(kernels=kernels.find(held))
    member = given.guest.devices[0].replaced(type="linux_raid_member")
    raided = dataclasses.replace(given, guest=given.guest.replaced(devices=(member, *given.guest.devices[1:])))
    draft = plan(FIXER, held, raided)
    assert inside(draft).files[path] == b"DEVICE partitions containers\n#CREATE owner=root\n"


@pytest.mark.parametrize("local", [b"", b"devices {\n\tuse_devicesfile=1\n}\n"])
def test_a_list_of_old_disks_in_the_initramfs_is_switched_off(images, local):
    """What is appended to an initramfs can take no file out of it."""
    listed = {
        "etc/lvm/devices/system.devices": b"IDTYPE=sys_wwid IDNAME=naa.6000c29abc DEVNAME=/dev/sda2 PVID=a PART=2\n"
    }
    extra = listed | ({"etc/lvm/lvmlocal.conf": local} if local else {})
    draft = planned(guest(images.initramfs_tools(modules=VIRTIO_PATHS, extra=extra)))
    assert b"use_devicesfile" in inside(draft).files["etc/lvm/lvmlocal.conf"]
    assert b"use_devicesfile=1" not in inside(draft).files["etc/lvm/lvmlocal.conf"]


def test_what_other_fixers_changed_goes_along(images):
    path = "etc/modprobe.d/cis.conf"
    held = memory(
        {
            **guest(images.initramfs_tools(extra={path: b"blacklist virtio_blk\n"})),
            f"/{path}": b"blacklist virtio_blk\n",
            "/etc/network/interfaces": b"iface ens192 inet dhcp\n",
        }
    )
    given = situation(kernels=kernels.find(held))
    draft = Draft(held)
    draft.write(f"/{path}", b"# empty\n", "needed")
    netnames.FIXER.plan(draft, given)
    FIXER.plan(draft, given)
    image = inside(draft)
    assert image.files[path] == b"# empty\n"
    assert b'NAME="ens192"' in image.files["etc/udev/rules.d/70-hyper2kvm-net.rules"]


def with_network(image: bytes, **given: object) -> Draft:
    """The plan for a guest whose network configuration names ens192."""
    held = memory({**guest(image), "/etc/network/interfaces": b"iface ens192 inet dhcp\n"})
    found = situation(kernels=kernels.find(held))
    draft = Draft(held)
    netnames.FIXER.plan(draft, found)
    FIXER.plan(draft, dataclasses.replace(found, **given))
    return draft


def test_an_initramfs_that_has_the_adapters_driver_gets_their_names(images):
    """What it starts the network for, such as dropbear, knows the adapter by its old name."""
    draft = with_network(images.initramfs_tools(modules=VIRTIO_PATHS))
    assert b'NAME="ens192"' in inside(draft).files["etc/udev/rules.d/70-hyper2kvm-net.rules"]
    (edit,) = [edit for edit in draft.edits() if edit.kind is EditKind.APPEND]
    assert "has the adapters' driver, and would give them other names" in edit.reasons[0]


def test_an_initramfs_without_the_adapters_driver_gets_no_names(images):
    assert grafts(with_network(images.initramfs_tools(modules=VIRTIO_PATHS[:4]))) == []
    draft = with_network(images.initramfs_tools(modules=VIRTIO_PATHS), network_model=NicModel.E1000E)
    assert grafts(draft) == []


def test_the_newest_kernels_defect_is_an_error_and_an_older_ones_a_warning(images):
    """6.1.0-10 is newer than 6.1.0-9, whatever letters say."""
    good, bad = guest(images.initramfs_tools(OLDER[0]), OLDER[0]), guest(b"#!/bin/sh\n")
    draft = planned({**bad, **good})
    (finding,) = draft.findings
    assert finding.reason == "InitramfsUnsupported"
    assert f"{INITRD} cannot be read" in finding.message
    assert f"The newest kernel, {OLDER[0]}, is fit" in finding.hint
    error = refused({**guest(images.initramfs_tools(OLDER[1]), OLDER[1]), **bad})
    assert (error.reason, error.file) == (Reason.INITRAMFS_UNSUPPORTED, INITRD)


def test_a_kernel_without_virtio_is_an_error(images):
    files = guest(images.initramfs_tools())
    files[f"/lib/modules/{VERSION}/modules.dep"] = b"kernel/drivers/scsi/vmw_pvscsi.ko:\n"
    error = refused(files)
    assert error.reason is Reason.DRIVERS_MISSING
    assert f"kernel {VERSION} has no virtio, virtio_ring, virtio_pci, virtio_blk" in error.message
    assert "bus: sata" in error.hint


def test_a_kernel_whose_modules_are_gone_is_an_error(images):
    files = {path: content for path, content in guest(images.initramfs_tools()).items() if not path.startswith("/lib")}
    assert refused(files).reason is Reason.DRIVERS_MISSING


def test_a_damaged_module_is_an_error(images):
    files = {**guest(images.initramfs_tools()), **module_files(suffix=".xz")}
    files[f"/lib/modules/{VERSION}/kernel/drivers/block/virtio_blk.ko.xz"] = b"\xfd7zXZ\0damaged"
    error = refused(files)
    assert error.reason is Reason.DRIVERS_MISSING
    assert "Reinstall the kernel's package" in error.hint


def test_a_guest_without_kernels_is_an_error():
    error = refused({"/etc/fstab": b""})
    assert error.reason is Reason.DRIVERS_MISSING
    assert "/boot" in error.hint


def test_a_kernel_without_an_initramfs_must_have_its_drivers_built_in():
    assert refused(guest(None)).reason is Reason.INITRAMFS_UNSUPPORTED
    files = guest(None)
    files[f"/lib/modules/{VERSION}/modules.builtin"] = "".join(f"k/{name}.ko\n" for name in kernels.DRIVERS).encode()
    assert planned(files).edits() == ()


def test_a_unified_image_is_checked_and_never_changed(images):
    path = "/boot/efi/EFI/Linux/debian.efi"
    bare, full = (
        unified_image({".linux": b"k", ".uname": VERSION.encode(), ".initrd": images.initramfs_tools(modules=modules)})
        for modules in ((), VIRTIO_PATHS)
    )
    error = refused({path: bare, **module_files()})
    assert error.reason is Reason.INITRAMFS_UNSUPPORTED
    assert "is a unified image" in error.message
    assert planned({path: full, **module_files()}).edits() == ()


def test_a_missing_network_driver_is_a_warning(images):
    files = guest(images.initramfs_tools())
    index = f"/lib/modules/{VERSION}/modules.dep"
    files[index] = b"\n".join(line for line in files[index].split(b"\n") if b"net/virtio_net" not in line)
    draft = planned(files)
    assert [finding.reason for finding in draft.findings] == ["NetworkDriverMissing"]
    assert "e1000e" in draft.findings[0].hint


def test_the_driver_of_other_adapters_is_looked_for_where_they_are_the_targets(images):
    files = guest(images.initramfs_tools(modules=VIRTIO_PATHS))
    held = memory(files)
    draft = Draft(held)
    FIXER.plan(draft, dataclasses.replace(situation(kernels=kernels.find(held)), network_model=NicModel.E1000E))
    assert [finding.message for finding in draft.findings] == [
        f"kernel {VERSION} has no e1000e: it will have no network on the new machine's adapters"
    ]


def test_the_network_driver_alone_is_no_reason_for_a_graft(images):
    assert planned(guest(images.initramfs_tools(modules=VIRTIO_PATHS[:4]))).edits() == ()


def test_an_initramfs_that_two_entries_share_is_grafted_once(images):
    held = memory(guest(images.initramfs_tools()))
    (kernel,) = kernels.find(held)
    both = [kernel, Kernel.model_validate({**dict(kernel), "image": "/boot/efi/linux"})]
    draft = Draft(held)
    FIXER.plan(draft, situation(kernels=both))
    assert grafts(draft) == [INITRD]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", "a\nb_c\n"),
        ("a\n", "a\nb_c\n"),
        ("# a\nb-c option=1", "# a\nb-c option=1\na\n"),
        ("a\nb_c\n", "a\nb_c\n"),
    ],
)
def test_lists_of_modules_get_what_they_lack(text, after):
    assert with_modules(text, ["a", "b_c"]) == after


@pytest.mark.parametrize(
    "stray", [f"vmlinuz-{VERSION}.dpkg-bak", f"vmlinuz-{VERSION}.efi.signed", "vmlinuz-7.0.backup"]
)
def test_a_stray_file_beside_a_kernel_does_not_refuse_the_guest(images, stray):
    draft = planned({**guest(images.initramfs_tools()), f"/boot/{stray}": b"kernel"})
    assert grafts(draft) == [INITRD]


def test_the_kernel_that_another_replaced_is_served_by_the_same_initramfs(images):
    draft = planned({**guest(images.initramfs_tools()), f"/boot/vmlinuz-{VERSION}.old": b"kernel"})
    assert grafts(draft) == [INITRD]
    assert draft.findings == []


def test_an_older_copys_damaged_initramfs_is_a_warning(images):
    strays = {f"/boot/vmlinuz-{VERSION}.old": b"kernel", f"/boot/initrd.img-{VERSION}.old": b"#!/bin/sh\n"}
    draft = planned({**guest(images.initramfs_tools()), **strays})
    assert grafts(draft) == [INITRD]
    assert [finding.reason for finding in draft.findings] == ["InitramfsUnsupported"]


def test_the_option_keeps_them_as_they_are():
    assert not FIXER.wanted(situation(options=GuestOptions(initramfs=InitramfsPolicy.KEEP)))
