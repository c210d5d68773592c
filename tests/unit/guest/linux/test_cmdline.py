import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.description import DriverPlace, Kernel
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import arguments
from hyper2kvm.guest.linux.cmdline import FIXER
from hyper2kvm.guest.linux.kernels import UNIFIED
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.options import TargetBus
from hyper2kvm_api.reasons import Reason
from lab.memoryguest import MemoryGuest

from .situations import BY_PATH, DATA, ROOT, SWAP, memory, plan, situation
from .test_kernels import unified_image

BY_PARTUUID = "/dev/disk/by-partuuid"
GRUB_CFG = """\
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Debian GNU/Linux' --class debian {
\tinsmod ext2
\tset root='hd0,msdos1'
\tif [ x$feature_platform_search_hint = xy ]; then
\t  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 --hint='hd0,msdos1'  OTHER
\tfi
\techo\t'Loading Linux 6.1.0-9-amd64 on root=/dev/sda1 ...'
\tlinux\t/boot/vmlinuz-6.1.0-9-amd64 root=/dev/sda1 ro  quiet resume=/dev/sda5
\tinitrd\t/boot/initrd.img-6.1.0-9-amd64
}
menuentry 'UEFI' { linuxefi /vmlinuz root=/dev/sda1 ro }
menuentry 'old' {
\tlinux16 /vmlinuz root=UUID=1 ro
}
"""


def fixed(path: str, text: str, **given: object) -> str:
    return plan(FIXER, memory({path: text.encode("utf-8", "surrogateescape")}), situation(**given)).text(path)


def test_only_grubs_linux_lines_change():
    before, after = GRUB_CFG.split("\n"), fixed("/boot/grub/grub.cfg", GRUB_CFG).split("\n")
    changed = [pair[1] for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [f"\tlinux\t/boot/vmlinuz-6.1.0-9-amd64 root=UUID={ROOT} ro  quiet resume=UUID={SWAP}"]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("/boot/grub/grub.cfg", " linuxefi /vmlinuz root=/dev/sda1", f" linuxefi /vmlinuz root=UUID={ROOT}"),
        ("/boot/grub/grub.cfg", "set root='/dev/sda1'", "set root='/dev/sda1'"),
        (
            "/etc/default/grub",
            'GRUB_CMDLINE_LINUX_DEFAULT="quiet root=/dev/sda1"',
            f'GRUB_CMDLINE_LINUX_DEFAULT="quiet root=UUID={ROOT}"',
        ),
        ("/etc/default/grub", "GRUB_CMDLINE_LINUX='resume=/dev/sda5'", f"GRUB_CMDLINE_LINUX='resume=UUID={SWAP}'"),
        ("/etc/default/grub", "GRUB_CMDLINE_LINUX=root=/dev/sda1\r", f"GRUB_CMDLINE_LINUX=root=UUID={ROOT}\r"),
        ("/etc/default/grub", '#GRUB_CMDLINE_LINUX="root=/dev/sda1"', '#GRUB_CMDLINE_LINUX="root=/dev/sda1"'),
        ("/etc/default/grub", 'GRUB_DEVICE="/dev/sda1"', 'GRUB_DEVICE="/dev/sda1"'),
        (
            "/etc/default/grub.d/50-cloud.cfg",
            'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX root=/dev/sda1"',
            f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX root=UUID={ROOT}"',
        ),
        ("/etc/grub.d/40_custom", "  linux /v root=/dev/sda1", f"  linux /v root=UUID={ROOT}"),
        ("/boot/extlinux/extlinux.conf", "\tAPPEND root=/dev/sda1 ro", f"\tAPPEND root=UUID={ROOT} ro"),
        ("/boot/extlinux/extlinux.conf", "label root=/dev/sda1", "label root=/dev/sda1"),
        ("/boot/loader/entries/a.conf", "options root=/dev/sda1 ro", f"options root=UUID={ROOT} ro"),
        ("/boot/efi/loader/entries/a.conf", "options root=/dev/sda1", f"options root=UUID={ROOT}"),
        ("/etc/kernel/cmdline", "root=/dev/sda1 ro quiet", f"root=UUID={ROOT} ro quiet"),
        ("/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sda5", f"RESUME=UUID={SWAP}"),
        ("/etc/initramfs-tools/conf.d/resume", "RESUME=none", "RESUME=none"),
        ("/etc/default/extlinux", 'EXTLINUX_ROOT="root=/dev/sda1"', f'EXTLINUX_ROOT="root=UUID={ROOT}"'),
        ("/etc/kernel/cmdline", f"root={BY_PATH.format(0, 1)} ro", f"root=UUID={ROOT} ro"),
        ("/etc/kernel/cmdline", "cryptdevice=/dev/sda6:c:discard", "cryptdevice=PARTUUID=0000aaaa-06:c:discard"),
        (
            "/etc/kernel/cmdline",
            f"cryptdevice={BY_PATH.format(0, 6)}:c root=/dev/mapper/c",
            "cryptdevice=PARTUUID=0000aaaa-06:c root=/dev/mapper/c",
        ),
        (
            "/etc/kernel/cmdline",
            "cryptopts=target=c,source=/dev/sda6,key=none",
            "cryptopts=target=c,source=PARTUUID=0000aaaa-06,key=none",
        ),
        (
            "/boot/grub/grub.cfg",
            "linux /v root=UUID=1 rootflags=subvol=@,device=/dev/sda1,device=/dev/sdb1",
            f"linux /v root=UUID=1 rootflags=subvol=@,device={BY_PARTUUID}/0000aaaa-01,device={BY_PARTUUID}/0000bbbb-01",
        ),
        ("/etc/kernel/cmdline", "rootflags=logdev=/dev/sdb1", f"rootflags=logdev=/dev/disk/by-uuid/{DATA}"),
        ("/etc/kernel/cmdline", "fips=1 boot=/dev/sda1", f"fips=1 boot=UUID={ROOT}"),
        ("/etc/kernel/cmdline", "resume=/dev/sda5 resume_offset=34816", f"resume=UUID={SWAP} resume_offset=34816"),
        ("/etc/kernel/cmdline", "mount.usr=/dev/sda1 xroot=/dev/sda1", f"mount.usr=UUID={ROOT} xroot=/dev/sda1"),
        ("/etc/kernel/cmdline", "root=/dev/sda1 \udce9", f"root=UUID={ROOT} \udce9"),
    ],
)
def test_devices_become_stable_where_a_kernel_is_told_them(path, before, after):
    assert fixed(path, before) == after


def test_every_device_of_a_line_has_its_reason():
    draft = plan(FIXER, memory({"/etc/kernel/cmdline": b"root=/dev/sda1 resume=/dev/sda5\n"}))
    (edit,) = draft.edits()
    assert [reason.split(" is called ")[0] for reason in edit.reasons] == ["/dev/sda1", "/dev/sda5"]


def test_a_kernel_without_an_initramfs_is_told_the_partition():
    """It knows PARTUUID= and no UUID=."""
    kernel = Kernel(
        version="6", image="/boot/vmlinuz-6", initramfs=None, modules=None, drivers={"virtio": DriverPlace.BUILT_IN}
    )
    assert fixed("/etc/kernel/cmdline", "root=/dev/sda1", kernels=[kernel]) == "root=PARTUUID=0000aaaa-01"


def test_a_root_on_an_unknown_name_is_the_root_that_was_found():
    assert fixed("/etc/kernel/cmdline", "root=/dev/sdc1") == f"root=UUID={ROOT}"


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("root=/dev/sdb1 ro", f"root=UUID={ROOT} ro"),
        ("root=/dev/sda5 ro", f"root=UUID={SWAP} ro"),
        ("root=UUID=1 resume=/dev/sdb1", f"root=UUID=1 resume=UUID={DATA}"),
    ],
)
def test_the_name_that_fstab_has_for_the_root_is_the_root_that_was_found(line, after):
    """Other systems' menu entries have other names for theirs."""
    assert fixed("/etc/kernel/cmdline", line, root_name="/dev/sdb1") == after


def test_the_name_that_fstab_has_for_the_root_is_its_partition_without_an_initramfs():
    kernel = Kernel(version="6", image="/boot/vmlinuz-6", initramfs=None, modules=None, drivers={})
    given = {"kernels": [kernel], "root_name": "/dev/sdb1"}
    assert fixed("/etc/kernel/cmdline", "root=/dev/sdb1", **given) == "root=PARTUUID=0000aaaa-01"


def test_a_root_that_nothing_is_known_of_is_an_error():
    with pytest.raises(GuestError, match=r"cmdline line 2: root=/dev/sdc1 cannot be replaced") as caught:
        fixed("/etc/kernel/cmdline", "#\nroot=/dev/sdc1", root=None)
    assert caught.value.reason is Reason.GUEST_FILE_INVALID
    assert "root=UUID=" in caught.value.hint


def test_a_resume_device_that_is_not_there_is_a_warning():
    draft = plan(FIXER, memory({"/etc/kernel/cmdline": b"resume=/dev/sdc5"}))
    (finding,) = draft.findings
    assert "resume=/dev/sdc5" in finding.message
    assert "remove the argument" in finding.hint


@pytest.mark.parametrize(
    "argument",
    ["md=0,/dev/sda1,/dev/sdb1", "rd.luks.key=/key:/dev/sdb1", "other=/dev/sdb1", f"x={BY_PATH.format(1, 1)}"],
)
def test_a_device_in_an_argument_that_is_not_known_is_a_warning(argument):
    draft = plan(FIXER, memory({"/etc/kernel/cmdline": f"root=UUID=1 {argument}\n".encode()}))
    assert draft.edits() == ()
    assert {finding.reason for finding in draft.findings} == {"DeviceNameStays"}
    assert "cmdline line 1: /dev/" in draft.findings[-1].message


def test_a_guest_that_needs_nothing_gets_a_note():
    draft = plan(FIXER, memory({"/etc/kernel/cmdline": b"root=UUID=1"}))
    assert draft.edits() == ()
    assert len(draft.notes) == 1


def test_a_file_that_two_patterns_or_a_link_lead_to_is_handled_once():
    guest = memory({"/boot/grub/grub.cfg": b"linux /v root=/dev/sda1"}, links={"/boot/grub2": "grub"})
    assert [edit.path for edit in plan(FIXER, guest).edits()] == ["/boot/grub/grub.cfg"]


@given(st.text(alphabet="rot=/dev/sda1 \"'\n#:,linux", max_size=120))
def test_looking_for_devices_never_fails(text):
    for lines in {**arguments.MENUS, **arguments.SETTINGS}.values():
        for argument in arguments.devices(text, lines):
            assert argument.device in arguments.replaced(text, argument, argument.device)


UKI = "/boot/efi/EFI/Linux/debian.efi"


def unified(line: str, version: str = "6.1") -> tuple[Kernel, MemoryGuest]:
    """A guest with a unified image of that command line."""
    held = memory({UKI: unified_image({".linux": b"kernel", ".cmdline": line.encode() + b"\0"})})
    return Kernel(version=version, image=UKI, generator=UNIFIED, drivers={}), held


@pytest.mark.parametrize(("line", "told"), [("root=UUID=1 resume=/dev/sda1 quiet", True), ("root=UUID=1 quiet", False)])
def test_a_name_inside_of_a_unified_image_is_told(line, told):
    kernel, held = unified(line)
    draft = plan(FIXER, held, situation(kernels=[kernel]))
    assert [(finding.reason, finding.message.partition(" has ")[0]) for finding in draft.findings] == (
        [("DeviceNameStays", f"{UKI}: /dev/sda1")] if told else []
    )
    assert bool(draft.notes) is not told


@pytest.mark.parametrize(
    ("device", "given"),
    [
        ("/dev/sda1", {}),
        (BY_PATH.format(0, 1), {}),
        (BY_PATH.format(0, 1), {"bus": TargetBus.SCSI}),
        ("/dev/sdc1", {}),
        ("/dev/sdc1", {"root": None, "bus": TargetBus.SCSI}),
        ("/dev/sdb1", {"root_name": "/dev/sdb1", "bus": TargetBus.SCSI}),
    ],
)
def test_a_root_inside_of_the_default_unified_image_that_moves_is_an_error(device, given):
    kernel, held = unified(f"root={device} ro")
    with pytest.raises(GuestError, match=rf"debian\.efi: root={device} has another name") as caught:
        FIXER.plan(Draft(held), situation(kernels=[kernel], **given))
    assert (caught.value.reason, caught.value.file) == (Reason.GUEST_FILE_INVALID, UKI)
    assert "/etc/kernel/cmdline" in caught.value.hint


@pytest.mark.parametrize("bus", [TargetBus.SCSI, TargetBus.SATA])
def test_a_root_inside_of_a_unified_image_that_has_the_same_name_on_the_target_is_a_warning(bus):
    kernel, held = unified("root=/dev/sda1 ro")
    (finding,) = plan(FIXER, held, situation(kernels=[kernel], bus=bus)).findings
    assert finding.reason == "DeviceNameStays"


def test_a_root_inside_of_an_older_unified_image_is_a_warning():
    kernel, held = unified("root=/dev/sda1 ro", "6.1.0-9")
    newer = Kernel(version="6.1.0-10", image="/boot/vmlinuz-6.1.0-10", initramfs="/boot/initrd.img", drivers={})
    (finding,) = plan(FIXER, held, situation(kernels=[kernel, newer])).findings
    assert finding.reason == "DeviceNameStays"
