import pytest

from hyper2kvm.sources.ovf import parse_ovf
from hyper2kvm.sources.place import Place
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.machine import Cpu, DiskBus, Firmware
from hyper2kvm_api.reasons import Reason
from unit.sources.exports import SIZE, ovf_text

ONE = {"web01-disk1.vmdk": 1000}

# As VirtualBox 7 writes it: OVF 1.0 with its own section; units in its own spelling; an IDE disk, an AHCI one.
VIRTUALBOX = """\
<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References><File ovf:id="file1" ovf:href="db01-disk001.vmdk"/></References>
  <DiskSection><Disk ovf:capacity="4194304" ovf:diskId="vmdisk1" ovf:fileRef="file1" vbox:uuid="5c8b"/></DiskSection>
  <VirtualSystem ovf:id="db01">
    <OperatingSystemSection ovf:id="96"><Description>Debian_64</Description>
      <vbox:OSType ovf:required="false">Debian_64</vbox:OSType></OperatingSystemSection>
    <VirtualHardwareSection>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>7</rasd:InstanceID><rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>NAT</rasd:Connection>
        <rasd:InstanceID>8</rasd:InstanceID><rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
    <vbox:Machine ovf:required="false"><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>
  </VirtualSystem>
</Envelope>
"""


def parsed(text=None, **options):
    return parse_ovf((text or ovf_text(ONE, **options)).encode(), "web01.ovf")


def refusal(text):
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(SourceError) as caught:
        parse_ovf(data, "web01.ovf")
    assert "web01.ovf" in caught.value.message
    assert caught.value.hint
    return caught.value


def test_vmwares_descriptor_is_read():
    machine = parsed()
    assert (machine.name, machine.cpu, machine.memory) == ("web01", Cpu(sockets=1, cores=2), 1 << 30)
    assert (machine.firmware, machine.secure_boot, machine.tpm) == (Firmware.UEFI, False, False)
    assert machine.guest_os == "debian11_64Guest"
    (disk,) = machine.disks
    assert (disk.place, disk.capacity) == (Place(DiskBus.SCSI, 0, 0), SIZE)
    (nic,) = machine.nics
    assert (nic.mac, nic.model, nic.network, nic.slot) == ("00:50:56:9a:10:01", "vmxnet3", "VM Network", 192)


CONFIGURED = '<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>'


@pytest.mark.parametrize(
    ("text", "firmware"),
    [
        (ovf_text(ONE), Firmware.UEFI),
        (ovf_text(ONE).replace(CONFIGURED, CONFIGURED.replace("efi", "bios")), Firmware.BIOS),
        (ovf_text(ONE).replace(CONFIGURED, ""), None),
        (VIRTUALBOX, Firmware.UEFI),
        (VIRTUALBOX.replace('<Firmware type="EFI"/>', ""), Firmware.BIOS),
    ],
)
def test_firmware_that_no_descriptor_states_is_left_to_the_disks(text, firmware):
    assert parsed(text).firmware is firmware


def test_virtualboxes_descriptor_is_read():
    machine = parsed(VIRTUALBOX)
    assert (machine.name, machine.memory, machine.firmware) == ("db01", 512 << 20, Firmware.UEFI)
    assert machine.guest_os == "Debian_64"
    assert [(disk.place, disk.file.name) for disk in machine.disks] == [
        (Place(DiskBus.SATA, 0, 1), "db01-disk001.vmdk")
    ]
    assert [(nic.mac, nic.model) for nic in machine.nics] == [(None, "e1000")]


@pytest.mark.parametrize(("bus", "kind"), [("ide", DiskBus.IDE), ("sata", DiskBus.SATA), ("nvme", DiskBus.NVME)])
def test_the_controller_tells_the_bus(bus, kind):
    assert [disk.place.bus for disk in parsed(places=(f"{bus}0:0",)).disks] == [kind]


@pytest.mark.parametrize(
    ("memory", "units", "size"),
    [
        (2, "byte * 2^30", 2 << 30),
        (2048, "MegaBytes", 2 << 30),
        (2147483648, "byte", 2 << 30),
        (2, "byte*1073741824", 2 << 30),
        (2, "byte * 10^9", 2 * 10**9),
        (2, "GigaBytes", 2 << 30),
    ],
)
def test_memory_is_stated_in_any_of_the_units(memory, units, size):
    assert parsed(memory=memory, units=units).memory == size


@pytest.mark.parametrize("units", ["byte * 3^20", "furlongs", "byte * 2^", "hertz * 10^6"])
def test_a_unit_that_is_not_known_is_refused(units):
    error = refusal(ovf_text(ONE, units=units))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert units in error.message


@pytest.mark.parametrize("memory", ["0", "-1", "1e9", "", "\N{SUPERSCRIPT TWO}", "9" * 5000])
def test_an_amount_that_is_no_number_is_refused(memory):
    assert refusal(ovf_text(ONE, memory=memory)).reason is Reason.MACHINE_DESCRIPTION_INVALID


def test_numbers_that_only_look_like_digits_are_no_numbers():
    text = ovf_text({"web01-disk1.vmdk": "\N{SUPERSCRIPT TWO}"}).replace('vmw:value="192"', f'vmw:value="{"9" * 5000}"')
    machine = parsed(text)
    assert machine.files[0].size is None
    assert machine.nics[0].slot is None


@pytest.mark.parametrize(
    "href",
    [
        "../web01.vmdk",
        "/etc/passwd",
        "sub/web01.vmdk",
        "..",
        "",
        "%2e%2e%2fweb01.vmdk",
        "http://host/web01.vmdk",
        "a\\b",
    ],
)
def test_a_file_outside_of_the_package_is_refused(href):
    error = refusal(ovf_text({href: 1}))
    assert error.reason is Reason.ARCHIVE_UNSAFE
    assert "no plain name" in error.message
    assert "Do not use this archive" in error.hint


def test_a_percent_encoded_name_is_the_name_that_it_stands_for():
    assert parsed(ovf_text({"web%2001.vmdk": 1})).files[0].name == "web 01.vmdk"


_ENTITY = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
_EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
_DTD = '<!DOCTYPE x SYSTEM "http://host/x.dtd">'


@pytest.mark.parametrize("doctype", [_ENTITY, _EXTERNAL, _DTD], ids=["bomb", "external", "dtd"])
def test_entities_are_refused_whatever_they_say(doctype):
    text = ovf_text(ONE).replace("<Envelope", doctype + "<Envelope", 1).replace("<Name>web01", "<Name>&a;")
    error = refusal(text)
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "without entities" in error.message
    assert "Export the virtual machine again" in error.hint


@pytest.mark.parametrize("encoding", ["klingon", "gb18030", "shift_jis", "hex", "idna"])
def test_an_encoding_that_the_parser_does_not_know_is_refused(encoding):
    error = refusal(ovf_text(ONE).replace("UTF-8", encoding, 1))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID


def test_other_encodings_are_read():
    text = ovf_text(ONE).replace("<Name>web01", "<Name>M\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen")
    name = "M\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen"
    assert parse_ovf(text.replace("UTF-8", "ISO-8859-1", 1).encode("latin-1"), "web01.ovf").name == name
    assert parse_ovf(text.replace("UTF-8", "UTF-16", 1).encode("utf-16"), "web01.ovf").name == name


@pytest.mark.parametrize("data", [b"", b"\0" * 512, b"no XML", ovf_text(ONE).encode()[:700]], ids=len)
def test_what_is_no_xml_is_refused(data):
    assert refusal(data).reason is Reason.MACHINE_DESCRIPTION_INVALID


def test_elements_in_elements_in_elements_end_in_an_answer():
    assert refusal("<a>" * 100_000 + "</a>" * 100_000).reason is Reason.MACHINE_DESCRIPTION_INVALID


def test_several_machines_are_refused():
    system = ovf_text(ONE)
    start, end = system.index("<VirtualSystem"), system.index("</VirtualSystem>") + len("</VirtualSystem>")
    error = refusal(system[:end] + system[start:end] + system[end:])
    assert error.reason is Reason.SOURCE_AMBIGUOUS
    assert "2 virtual machines" in error.message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ovf:/disk/vmdisk1", "ovf:/disk/vmdisk9", "not declared"),
        ('ovf:fileRef="file1"', "", "has no file"),
        ('ovf:fileRef="file1"', 'ovf:fileRef="file1" ovf:parentRef="vmdisk0"', "has a parent"),
        (f'ovf:capacity="{SIZE}"', 'ovf:capacity="${size}"', "a size of ${size}"),
        ("<rasd:ResourceType>17</rasd:ResourceType>", "<rasd:ResourceType>15</rasd:ResourceType>", "no disk"),
        ("<rasd:ResourceType>4</rasd:ResourceType>", "<rasd:ResourceType>1</rasd:ResourceType>", "no memory"),
        ("VirtualHardwareSection", "ProductSection", "no hardware section"),
    ],
)
def test_a_machine_that_is_not_whole_is_refused(old, new, told):
    text = ovf_text(ONE)
    assert old in text
    error = refusal(text.replace(old, new))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert told in error.message


def test_two_disks_in_one_place_are_refused():
    error = refusal(ovf_text({"a.vmdk": 1, "b.vmdk": 1}, ("scsi0:0", "scsi0:0")))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "same place" in error.message


def sized(text, *sizes):
    """The descriptor with a memory item for each deployment option: attributes, and MiB."""
    start, end = (
        text.index("<Item><rasd:AllocationUnits>"),
        text.index("</Item>", text.index("<Item><rasd:AllocationUnits>")) + 7,
    )
    item = text[start:end]
    made = [
        item.replace("<Item>", f"<Item {attributes}>").replace(">1024<", f">{mebibytes}<")
        for attributes, mebibytes in sizes
    ]
    return text[:start] + "".join(made) + text[end:]


def with_options(text, *options):
    section = "".join(f"<Configuration {option}><Label>x</Label></Configuration>" for option in options)
    return text.replace(
        "<DiskSection>", f"<DeploymentOptionSection><Info/>{section}</DeploymentOptionSection><DiskSection>"
    )


SIZES = ('ovf:configuration="small"', 512), ('ovf:configuration="medium large"', 2048)


@pytest.mark.parametrize(
    ("options", "mebibytes"),
    [
        (['ovf:id="small"', 'ovf:id="medium" ovf:default="true"'], 2048),
        (['ovf:id="small" ovf:default="true"', 'ovf:id="medium"'], 512),
        (['ovf:id="small"', 'ovf:id="medium"'], 512),
        (['ovf:id="large"', 'ovf:id="small"'], 2048),
    ],
)
def test_of_several_deployment_options_the_default_counts_else_the_first(options, mebibytes):
    text = with_options(sized(ovf_text(ONE), *SIZES), *options)
    assert parsed(text).memory == mebibytes << 20


def test_items_of_no_deployment_option_count_in_each():
    text = with_options(sized(ovf_text(ONE), ("", 768)), 'ovf:id="small"', 'ovf:id="medium"')
    assert parsed(text).memory == 768 << 20


def test_bounds_of_a_range_are_no_items():
    text = sized(ovf_text(ONE), ('ovf:bound="min"', 256), ("", 1024), ('ovf:bound="max"', 4096))
    assert parsed(text).memory == 1 << 30


def booting(text, *instances):
    sections = "".join(
        f'<vmw:BootOrderSection ovf:required="false" vmw:instanceId="{instance}" vmw:type="{kind}"><Info/></vmw:BootOrderSection>'
        for instance, kind in instances
    )
    return text.replace("</VirtualSystem>", f"{sections}</VirtualSystem>")


def test_the_order_in_which_the_firmware_tries_disks_is_read():
    """`exports.py` numbers disks from 21."""
    text = ovf_text(ONE | {"web01-disk2.vmdk": 1000}, ("scsi0:0", "scsi0:1"))
    assert parsed(booting(text, (8, "net"), (22, "disk"), (21, "disk"), (22, "disk"))).boot_order == (
        "scsi0:1",
        "scsi0:0",
    )
    assert parsed(booting(text, (99, "disk"))).boot_order == ()
    assert parsed(text).boot_order == ()
