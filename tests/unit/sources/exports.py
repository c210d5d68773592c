"""Virtual machines as VMware and VirtualBox export them, around real disks of a few megabytes."""

import hashlib
import tarfile
from pathlib import Path

from unit.disk.images import convert, make_raw

SIZE = 4 << 20

_VMX = """\
.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "19"
numvcpus = "4"
cpuid.coresPerSocket = "2"
memSize = "1024"
firmware = "efi"
uefi.secureBoot.enabled = "TRUE"
displayName = "web01 |22old|22"
guestOS = "debian11-64"
uuid.bios = "56 4d 8f 3e 52 41 9c 07-2b 6a 51 de 90 33 7f 1c"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0:0.present = "TRUE"
scsi0:0.deviceType = "scsi-hardDisk"
scsi0:0.fileName = "web01.vmdk"
sata0.present = "TRUE"
sata0:0.present = "TRUE"
sata0:0.deviceType = "cdrom-image"
sata0:0.fileName = "/vmimages/tools-isoimages/linux.iso"
ethernet0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
ethernet0.networkName = "VM Network"
ethernet0.addressType = "vpx"
ethernet0.generatedAddress = "00:50:56:9A:10:01"
ethernet0.pciSlotNumber = "192"
ethernet1.present = "TRUE"
ethernet1.addressType = "static"
ethernet1.address = "00:50:56:00:10:02"
ethernet1.startConnected = "FALSE"
ethernet2.present = "FALSE"
"""

_CONTROLLERS = {
    "ide": "<rasd:ResourceType>5</rasd:ResourceType>",
    "scsi": "<rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType>",
    "sata": "<rasd:ResourceSubType>vmware.sata.ahci</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType>",
    "nvme": "<rasd:ResourceSubType>vmware.nvme.controller</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType>",
}
_OVF = """\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>{files}</References>
  <DiskSection><Info>Virtual disk information</Info>{declared}</DiskSection>
  <VirtualSystem ovf:id="web01">
    <Info>A virtual machine</Info>
    <Name>web01</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest"><Info>The kind</Info></OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements</Info>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{cpus}</rasd:VirtualQuantity>
        <vmw:CoresPerSocket ovf:required="false">2</vmw:CoresPerSocket></Item>
      <Item><rasd:AllocationUnits>{units}</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>{memory}</rasd:VirtualQuantity></Item>
      {controllers}{disks}
      <Item><rasd:Address>00:50:56:9a:10:01</rasd:Address><rasd:AddressOnParent>7</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>VM Network</rasd:Connection>
        <rasd:InstanceID>8</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
        <vmw:Config ovf:required="false" vmw:key="slotInfo.pciSlotNumber" vmw:value="192"/></Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""


def vmx_folder(folder, text=_VMX, name="web01.vmx", **changes):
    """A VMX and the disk web01.vmdk. A change replaces a key's value (`_` for `.`); None removes the line."""
    folder.mkdir(exist_ok=True)
    if not (folder / "web01.vmdk").exists():
        convert(_raw(folder), folder / "web01.vmdk", "vmdk")
    for key, value in changes.items():
        text = _changed(text, key.replace("__", ":").replace("_", "."), value)
    (folder / name).write_text(text)
    return folder


def more_vmx(*lines):
    return _VMX + "".join(f"{line}\n" for line in lines)


def ovf_text(files, places=("scsi0:0",), *, capacity=SIZE, cpus=2, memory=1024, units="byte * 2^20", attributes=""):
    """A descriptor of a machine whose disks lie in `files` (name → size, in the order of `places`)."""
    numbered = list(enumerate(files.items(), 1))
    names = sorted({place.split(":")[0] for place in places})
    instances = {name: 10 + number for number, name in enumerate(names)}
    return _OVF.format(
        files="".join(
            f'<File ovf:href="{name}" ovf:id="file{n}" ovf:size="{size}"{attributes}/>' for n, (name, size) in numbered
        ),
        declared="".join(
            f'<Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk{n}" '
            f'ovf:fileRef="file{n}"/>'
            for n, _ in numbered
        ),
        controllers="".join(_controller(name, instance) for name, instance in instances.items()),
        disks="".join(_disk(place, n, instances) for n, place in enumerate(places, 1)),
        cpus=cpus,
        memory=memory,
        units=units,
    )


def disk_image(folder, name="web01-disk1.vmdk", seed=1):
    return convert(_raw(folder, seed), folder / name, "vmdk", subformat="streamOptimized")


def manifest(paths, algorithm="SHA256", digests=None):
    """The text of a manifest; `digests` says what it should say instead of the truth."""
    told = {path.name: hashlib.new(algorithm.lower(), path.read_bytes()).hexdigest() for path in paths}
    return "".join(f"{algorithm}({name})= {digest}\n" for name, digest in (told | (digests or {})).items())


def pack(target, paths, **options):
    """An archive as ovftool writes it: plain names, in the order of OVF, manifest, disks."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT, **options) as archive:
        for path in paths:
            archive.add(path, arcname=path.name)
    return Path(target)


def ova(folder, *, ovf=None, digests=None, places=("scsi0:0",), leave_out=()):
    """An OVA with its manifest."""
    parts = folder / "parts"
    parts.mkdir(parents=True)
    disks = [disk_image(parts, f"web01-disk{n}.vmdk", n) for n in range(1, len(places) + 1)]
    descriptor = parts / "web01.ovf"
    descriptor.write_text(ovf or ovf_text({disk.name: disk.stat().st_size for disk in disks}, places))
    listing = parts / "web01.mf"
    listing.write_text(manifest([descriptor, *disks], digests=digests))
    return pack(folder / "web01.ova", [each for each in (descriptor, listing, *disks) if each.name not in leave_out])


def _raw(folder, seed=1):
    return make_raw(folder.parent / f"{folder.name}-{seed}.raw", seed=seed, size=SIZE)


def _changed(text, key, value):
    lines = text.splitlines()
    kept = [line for line in lines if line.split(" = ")[0].lower() != key.lower()]
    assert value is not None or len(kept) < len(lines)
    return "\n".join([*kept, *([] if value is None else [f'{key} = "{value}"'])]) + "\n"


def _controller(name, instance):
    return (
        f"<Item><rasd:Address>{name[-1]}</rasd:Address><rasd:InstanceID>{instance}</rasd:InstanceID>"
        f"{_CONTROLLERS[name[:-1]]}</Item>"
    )


def _disk(place, number, instances):
    controller, unit = place.split(":")
    return (
        f"<Item><rasd:AddressOnParent>{unit}</rasd:AddressOnParent>"
        f"<rasd:HostResource>ovf:/disk/vmdisk{number}</rasd:HostResource><rasd:InstanceID>{20 + number}</rasd:InstanceID>"
        f"<rasd:Parent>{instances[controller]}</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
    )
