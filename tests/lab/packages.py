"""Debian's packages that the commands of this repository need, beside those of the cluster (lab.cluster.packages)."""

TESTS = {
    "python3-venv": "the environment of the Python packages",
    "python3-guestfs": "opens guests; Debian's binding, there is none on PyPI that fits its libguestfs",
    "python3-libnbd": "reads and writes disks; as python3-guestfs",
    "supermin": "builds the appliance in which guests are opened",
    "linux-image-amd64": "the appliance's kernel, and that of guests in tests",
    "initramfs-tools": "makes initramfs images as Debian guests have them",
    "qemu-system-x86": "starts guests",
    "qemu-utils": "qemu-img, qemu-nbd, qemu-io",
    "ovmf": "UEFI firmware",
    "tesseract-ocr": "reads screens of guests",
    "mmdebstrap": "makes Debian guests",
    "e2fsprogs": "ext4 file systems of guests, filled without mounting",
    "btrfs-progs": "btrfs of guests, filled without mounting",
    "cryptsetup-bin": "encrypted disks of guests",
    "mdadm": "software RAIDs of guests, in the appliance",
    "dosfstools": "EFI system partitions",
    "mtools": "files in EFI system partitions",
    "fdisk": "sfdisk: partition tables",
    "mount": "losetup: block devices as targets",
    "lvm2": "logical volumes of guests; it judges their configuration",
    "iproute2": "network interfaces in a namespace of their own, by which udev's files are judged",
    "netplan.io": "judges the configurations that a repair writes for it",
    "gir1.2-nm-1.0": "NetworkManager's library, without the daemon: judges keyfiles",
    "python3-gi": "its Python binding, which PyPI has in source form only",
    "dracut-core": "makes initramfs images as other guests have them",
    "kmod": "modprobe judges the module indexes that grafts carry",
    "cpio": "judges the archives that are appended to an initramfs",
    "bzip2": "compressions of initramfs images",
    "lz4": "as bzip2",
    "lzop": "as bzip2",
    "xz-utils": "as bzip2",
    "zstd": "as bzip2",
    "libcap2-bin": "getcap judges the layers of the lab's images",
    "libvirt-clients": "virsh judges the domains that are written",
    "libvirt-daemon-driver-qemu": "what virsh asks, inside of its own process",
    "swtpm-tools": "the TPM that libvirt wants to find before it takes a domain with one",
    "openssl": "judges the certificates of the lab",
    "prometheus": "promtool judges the chart's alerts and tries them (a download of 19 MB)",
}
"""Package → what it is for: all that tests and demonstrations need."""

BENCHMARKS = {
    "virt-v2v": "converts the same guest, for comparison",
    "libnbd-bin": "nbdcopy copies the same disk, for comparison",
}
"""Package → what it is for: the programs that `make bench` compares with."""
