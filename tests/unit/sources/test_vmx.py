import pytest

from hyper2kvm.sources.vmx import parse_vmx
from hyper2kvm_api.errors import GuestError, ImageError, SourceError
from hyper2kvm_api.machine import Cpu, DiskBus, Firmware
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from unit.disk.images import convert, digests, make_raw, snapshot
from unit.sources.exports import SIZE, more_vmx, vmx_folder
from unit.sources.refusing import fetched, refusal


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "web01"


def test_the_machine_is_the_one_that_the_vmx_describes(folder):
    machine = fetched(vmx_folder(folder)).machine
    assert machine.name == 'web01 "old"'
    assert machine.cpu == Cpu(sockets=2, cores=2)
    assert machine.memory == 1 << 30
    assert (machine.firmware, machine.secure_boot, machine.tpm) == (Firmware.UEFI, True, False)
    assert machine.guest_os == "debian11-64"
    assert machine.uuid == "564d8f3e-5241-9c07-2b6a-51de90337f1c"


def test_adapters_have_the_address_that_their_type_says_and_the_slot_that_names_the_interface(folder):
    first, second = fetched(vmx_folder(folder)).machine.nics
    assert (first.id, first.mac, first.model, first.slot) == ("ethernet0", "00:50:56:9a:10:01", "vmxnet3", 192)
    assert (first.network, first.connected) == ("VM Network", True)
    assert (second.id, second.mac, second.connected) == ("ethernet1", "00:50:56:00:10:02", False)


def test_the_disk_is_there_and_the_cd_drive_is_not(folder):
    found = fetched(vmx_folder(folder))
    assert [disk.id for disk in found.machine.disks] == ["scsi0:0"]
    assert (found.machine.disks[0].capacity, found.disks[0].format) == (SIZE, ImageFormat.VMDK)


def test_disks_are_in_the_order_in_which_the_guests_kernel_numbers_them(folder):
    places = ("nvme0:0", "ide0:1", "sata0:1", "scsi1:0", "scsi0:10", "scsi0:2")
    folder.mkdir()
    for number, _ in enumerate(places):
        convert(
            make_raw(folder.parent / f"{number}.raw", seed=number, size=SIZE), folder / f"disk{number}.vmdk", "vmdk"
        )
    lines = [f'{place}.fileName = "disk{number}.vmdk"' for number, place in enumerate(places)]
    found = fetched(vmx_folder(folder, more_vmx(*lines)))
    order = ["scsi0:0", "scsi0:2", "scsi0:10", "scsi1:0", "sata0:1", "ide0:1", "nvme0:0"]
    assert [disk.id for disk in found.machine.disks] == order
    assert [disk.id for disk in found.disks] == order
    assert found.machine.disks[-1].bus is DiskBus.NVME


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ('bios.hddOrder = "scsi0:1,SCSI0:0"', ("scsi0:1", "scsi0:0")),
        ('bios.hddOrder = "scsi0:1"', ("scsi0:1",)),
        ('bios.hddOrder = "sata0:0, scsi0:1, scsi0:1,"', ("scsi0:1",)),
        ('bios.bootOrder = "cdrom,hdd"', ()),
    ],
)
def test_the_order_in_which_the_firmware_tries_disks_is_read(folder, line, order):
    text = more_vmx('scsi0:1.fileName = "web01.vmdk"', line)
    assert fetched(vmx_folder(folder, text)).machine.boot_order == order


@pytest.mark.parametrize("absent", ['scsi0:1.present = "FALSE"', 'scsi0:1.fileName = "installer.ISO"'])
def test_disks_that_are_not_present_are_left_out(folder, absent):
    text = more_vmx('scsi0:1.fileName = "gone.vmdk"', absent)
    assert [disk.id for disk in fetched(vmx_folder(folder, text)).machine.disks] == ["scsi0:0"]


def test_every_file_that_counts_is_remembered(folder):
    vmx_folder(folder)
    snapshot(folder / "web01.vmdk", folder / "web01-000001.vmdk", writes=[(0, 4096)])
    found = fetched(vmx_folder(folder, scsi0__0_fileName="web01-000001.vmdk"))
    names = {file.name.rsplit("/", 1)[-1] for file in found.parts}
    assert names == {"web01.vmx", "web01-000001.vmdk", "web01.vmdk"}
    assert found.machine.disks[0].file == "web01-000001.vmdk"


def test_without_a_display_name_the_files_name_counts(folder):
    assert fetched(vmx_folder(folder, displayName=None)).machine.name == "web01"


def test_comments_byte_order_marks_and_other_encodings_are_read():
    text = '\ufeff#!/usr/bin/vmware\n.encoding = "windows-1252"\n\n# comment\nmemSize="512"\n  NumVCPUs = "1"  \n'
    assert parse_vmx(text, "web01.vmx") == {".encoding": "windows-1252", "memsize": "512", "numvcpus": "1"}


def test_a_value_of_one_word_may_stand_without_quotes():
    """As people write them by hand."""
    assert parse_vmx('memSize = 512\nannotation = ""\n', "web01.vmx") == {"memsize": "512", "annotation": ""}


def test_a_name_that_is_not_utf8_is_taken_as_latin1(folder):
    vmx_folder(folder, displayName="web01 M\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen")
    (folder / "web01.vmx").write_bytes((folder / "web01.vmx").read_text().encode("latin-1"))
    assert fetched(folder).machine.name == "web01 M\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen"


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("GBK", "gbk", "\u6570\u636e\u5e93"),
        ("windows-1251", "cp1251", "\u0441\u043a\u043b\u0430\u0434"),
        ("UTF-8", "utf-8", "\u6570\u636e\u5e93"),
    ],
)
def test_names_are_read_in_the_encoding_that_the_files_state(folder, declared, codec, name):
    """Workstation on Windows writes its machine's code page; the files' own names have come over as UTF-8."""
    vmx_folder(folder, _encoding=declared, displayName=name, scsi0__0_fileName=f"{name}-000001.vmdk")
    base = (folder / "web01.vmdk").rename(folder / f"{name}.vmdk")
    newest = snapshot(base, folder / f"{name}-000001.vmdk")
    restate(newest, declared, codec)
    vmx = folder / "web01.vmx"
    vmx.write_bytes(vmx.read_text().encode(codec))
    found = fetched(folder)
    assert found.machine.name == name
    assert found.disks[0].files == (str(newest), str(base))


def restate(image, declared, codec):
    """Write the descriptor that is embedded in a sparse VMDK of qemu-img in another encoding."""
    place = slice(512, 21 * 512)
    content = bytearray(image.read_bytes())
    text = content[place].rstrip(b"\0").decode().replace("version=1\n", f'version=1\nencoding="{declared}"\n')
    content[place] = text.encode(codec).ljust(20 * 512, b"\0")
    image.write_bytes(content)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"memSize": None}, "memsize"),
        ({"memSize": "0"}, "memsize is '0'"),
        ({"memSize": "lots"}, "'lots'"),
        ({"numvcpus": "-1"}, "numvcpus"),
        ({"numvcpus": "999999"}, "sockets"),
        ({"displayName": "x" * 300}, "name: String should have at most"),
        ({"scsi0_present": "FALSE"}, "no disk"),
        ({"encryption_data": "AAAA"}, "is encrypted"),
    ],
)
def test_a_machine_that_cannot_be_is_refused_with_the_field(folder, changes, told):
    error = refusal(vmx_folder(folder, **changes))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "web01.vmx" in error.message
    assert told in error.message
    assert "at the source" in error.hint or "Export the virtual machine again" in error.hint


def test_a_suspended_machine_is_refused(folder):
    """VMware leaves the key empty when the machine goes on."""
    error = refusal(vmx_folder(folder, checkpoint_vmState="web01-5d1e.vmss"), GuestError)
    assert (error.reason, error.file) == (Reason.GUEST_HIBERNATED, "web01.vmx")
    assert "web01-5d1e.vmss" in error.message
    assert "shut it down" in error.hint


def test_one_that_was_resumed_is_not(folder):
    assert fetched(vmx_folder(folder, checkpoint_vmState="")).machine.memory == 1 << 30


def test_more_disks_than_a_machine_has_are_refused(folder):
    lines = [f'scsi{n // 30}:{n % 30 + 20}.fileName = "web01.vmdk"' for n in range(70)]
    error = refusal(vmx_folder(folder, more_vmx(*lines)))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "disks" in error.message


def test_one_place_on_a_controller_holds_one_disk(folder):
    text = more_vmx('scsi0:00.fileName = "web01.vmdk"', 'SCSI0:0.FILENAME = "web01.vmdk"')
    assert [disk.id for disk in fetched(vmx_folder(folder, text)).machine.disks] == ["scsi0:0"]


def test_a_line_that_is_not_understood_is_refused_with_its_number():
    with pytest.raises(SourceError, match="line 2 is not understood") as caught:
        parse_vmx('memSize = "512"\nmemSize 512\n', "web01.vmx")
    assert caught.value.reason is Reason.MACHINE_DESCRIPTION_INVALID


def test_a_vmx_of_megabytes_is_refused(folder):
    error = refusal(vmx_folder(folder, more_vmx("# " + "x" * (1 << 20))))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "more than" in error.message


@pytest.mark.parametrize("name", ["../other/web01.vmdk", "/etc/passwd", "..", "", "a\\b.vmdk", "json:{}", "-rf.vmdk"])
def test_a_disk_outside_of_the_folder_is_refused(folder, name):
    error = refusal(vmx_folder(folder, scsi0__0_fileName=name), ImageError)
    assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE
    assert "plain name" in error.message
    assert "Do not trust this image" in error.hint


def test_a_disk_that_is_not_there_is_refused_with_its_name(folder):
    error = refusal(vmx_folder(folder, scsi0__0_fileName="web02.vmdk"), ImageError)
    assert error.reason is Reason.EXTENT_MISSING
    assert "web02.vmdk" in error.message
    assert "Copy all files of the disk" in error.hint


def test_a_disk_that_is_a_link_is_refused(folder, tmp_path):
    vmx_folder(folder)
    (folder / "web01.vmdk").rename(tmp_path / "elsewhere.vmdk")
    (folder / "web01.vmdk").symlink_to(tmp_path / "elsewhere.vmdk")
    error = refusal(folder, ImageError)
    assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE
    assert "no plain file" in error.message


def test_an_error_of_a_disk_says_which(folder):
    vmx_folder(folder)
    (folder / "web01.vmdk").write_bytes((folder / "web01.vmdk").read_bytes()[:1000])
    error = refusal(folder, ImageError)
    assert error.reason is Reason.IMAGE_TRUNCATED
    assert error.disk == "scsi0:0"
    assert "copy it again" in error.hint


def test_nothing_is_written_beside_the_source(folder):
    before = digests(vmx_folder(folder))
    fetched(folder)
    assert digests(folder) == before


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("displayName", "name"),
        ("guestOS", "guest_os"),
        ("ethernet0.networkName", "network"),
        ("ethernet0.virtualDev", "model"),
    ],
)
def test_text_of_a_megabyte_is_the_fault_of_the_file_that_has_it(folder, key, field):
    error = refusal(vmx_folder(folder, more_vmx(f'{key} = "{"x" * 500_000}"')))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert (error.file, len(error.message) < 200) == ("web01.vmx", True)
    assert field in error.message.lower()
