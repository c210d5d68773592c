"""Guest tools of other hypervisors and clouds: by what they are known and what belongs to them. Facts only."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Vendor:
    """The guest tools of one hypervisor.

    Attributes:
        name: what people call them.
        packages: Debian packages; one that ends in `*` stands for all that begin so.
        evidence: paths that show an installation without a package.
        paths: what such an installation consists of, as shell patterns.
        leftovers: what is made at run time beside either, as shell patterns.
        units: names of services and mounts, without suffix.
        words: parts of the names of folders that are theirs alone.
    """

    name: str
    packages: Sequence[str] = ()
    evidence: Sequence[str] = ()
    paths: Sequence[str] = ()
    leftovers: Sequence[str] = ()
    units: Sequence[str] = ()
    words: Sequence[str] = ()


VENDORS: Sequence[Vendor] = (
    Vendor(
        "VMware Tools",
        packages=("open-vm-tools", "open-vm-tools-*", "vmware-tools-*", "vmware-open-vm-tools-*"),
        evidence=("/usr/bin/vmware-uninstall-tools.pl", "/usr/lib/vmware-tools/bin64", "/etc/init.d/vmware-tools"),
        paths=(
            "/etc/init.d/vmware-tools*",
            "/etc/init/vmware-tools*.conf",
            "/etc/pam.d/vmtoolsd",
            "/etc/systemd/system/vmware-tools*.service",
            "/etc/tpvmlp.conf",
            "/etc/udev/rules.d/99-vmware-scsi-udev.rules",
            "/etc/xdg/autostart/vmware-user.desktop",
            "/lib/systemd/system/vmware-tools*.service",
            "/usr/lib/systemd/system/vmware-tools*.service",
            "/sbin/mount.vmhgfs",
            "/usr/sbin/mount.vmhgfs",
            "/usr/bin/vm-support",
            "/usr/bin/vmhgfs-fuse",
            "/usr/bin/vmware-*",
            "/usr/sbin/vmware-*",
            "/usr/sbin/vmtoolsd",
            "/usr/lib/vmware-tools",
            "/usr/lib/vmware-vgauth",
            "/usr/share/doc/vmware-tools",
            "/var/lib/vmware-tools",
        ),
        leftovers=("/etc/vmware-tools", "/var/lib/vmware", "/var/log/vmware*", "/etc/vmware-caf"),
        units=(
            "open-vm-tools",
            "vmtoolsd",
            "vmware-tools",
            "vmware-tools-thinprint",
            "vgauth",
            "vgauthd",
            "vmware-vmblock-fuse",
            "run-vmblock\\x2dfuse",
        ),
        words=("open-vm-tools", "vmware"),
    ),
    Vendor(
        "VirtualBox Guest Additions",
        packages=("virtualbox-guest-utils", "virtualbox-guest-x11", "virtualbox-guest-dkms"),
        evidence=("/usr/sbin/VBoxService", "/etc/init.d/vboxadd"),
        paths=(
            "/etc/init.d/vboxadd*",
            "/etc/xdg/autostart/vboxclient.desktop",
            "/lib/systemd/system/vboxadd*.service",
            "/usr/lib/systemd/system/vboxadd*.service",
            "/opt/VBoxGuestAdditions-*",
            "/sbin/mount.vboxsf",
            "/usr/sbin/mount.vboxsf",
            "/usr/bin/VBox*",
            "/usr/sbin/VBox*",
            "/sbin/rcvboxadd*",
            "/usr/sbin/rcvboxadd*",
        ),
        leftovers=("/var/lib/VBoxGuestAdditions", "/var/log/vboxadd-*"),
        units=("virtualbox-guest-utils", "vboxadd", "vboxadd-service", "vboxadd-x11"),
        words=("virtualbox-guest", "VBoxGuestAdditions"),
    ),
    Vendor("Hyper-V daemons", packages=("hyperv-daemons",), words=("hyperv-daemons",)),
    Vendor(
        "Azure Linux agent",
        packages=("walinuxagent", "waagent"),
        leftovers=("/var/lib/waagent", "/var/log/waagent.log*"),
        units=("walinuxagent", "waagent"),
        words=("waagent", "walinuxagent"),
    ),
    Vendor(
        "XenServer guest utilities",
        packages=("xe-guest-utilities", "xen-guest-agent"),
        units=("xe-linux-distribution", "xe-daemon", "xen-guest-agent"),
        words=("xe-guest-utilities", "xen-guest-agent"),
    ),
    Vendor(
        "Parallels Tools",
        evidence=("/usr/lib/parallels-tools",),
        paths=(
            "/etc/init.d/prltoolsd",
            "/etc/systemd/system/prltoolsd.service",
            "/usr/bin/prl*",
            "/usr/lib/parallels-tools",
            "/usr/lib/systemd/system/prltoolsd.service",
            "/lib/systemd/system/prltoolsd.service",
        ),
        leftovers=("/var/lib/parallels-tools", "/var/log/parallels*"),
        units=("prltoolsd",),
        words=("parallels-tools",),
    ),
)
"""Everything that is looked for. qemu-guest-agent and spice-vdagent are KVM's own and stay."""

DEAD_MOUNTS = frozenset({"vmhgfs", "fuse.vmhgfs-fuse", "vmhgfs-fuse", "vboxsf", "prl_fs"})
"""File system types in fstab that only the old hypervisor serves."""

DEAD_MODULES = (
    "vmhgfs",
    "vmblock",
    "vmmemctl",
    "vmsync",
    "vmci",
    "vmxnet",
    "vmxnet3",
    "vmw_*",
    "hv_*",
    "hyperv_*",
    "hid_hyperv",
    "xen_*",
    "vboxguest",
    "vboxsf",
    "vboxvideo",
    "prl_*",
)
"""Kernel modules, as patterns, that find no hardware elsewhere: some fail to load and leave a failed unit behind."""

MODULE_LISTS = ("/etc/modules", "/etc/modules-load.d/*.conf")
"""Files that name modules to load at boot (modules-load.d(5))."""
