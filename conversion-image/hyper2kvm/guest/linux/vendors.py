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
        repositories: parts of the addresses of package repositories that have nothing else.
        modules: kernel modules of an installation without a package, which distributions' kernels do not have.
        marks: what begins and ends the lines that its installer adds to files of others.
        commands: words of its programs and services, by which lines of start scripts are known.
        hooks: folder for users' own scripts.
        shipped: the tools' own files there, as shell patterns whose `*` crosses slashes.
    """

    name: str
    packages: Sequence[str] = ()
    evidence: Sequence[str] = ()
    paths: Sequence[str] = ()
    leftovers: Sequence[str] = ()
    units: Sequence[str] = ()
    words: Sequence[str] = ()
    repositories: Sequence[str] = ()
    modules: Sequence[str] = ()
    marks: tuple[str, str] | None = None
    commands: Sequence[str] = ()
    hooks: str | None = None
    shipped: Sequence[str] = ()


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
            "/etc/modprobe.d/vmware-tools*",
            "/usr/bin/vm-support",
            "/usr/bin/vmhgfs-fuse",
            # By name: Workstation and the Horizon client, which may run inside of a guest, have others.
            "/usr/bin/vmware-alias-import",
            "/usr/bin/vmware-checkvm",
            "/usr/bin/vmware-config-tools.pl",
            "/usr/bin/vmware-guestproxycerttool",
            "/usr/bin/vmware-hgfsclient",
            "/usr/bin/vmware-namespace-cmd",
            "/usr/bin/vmware-rpctool",
            "/usr/bin/vmware-toolbox",
            "/usr/bin/vmware-toolbox-cmd",
            "/usr/bin/vmware-uninstall-tools.pl",
            "/usr/bin/vmware-user",
            "/usr/bin/vmware-user-*",
            "/usr/bin/vmware-vgauth-*",
            "/usr/bin/vmware-vmblock-fuse",
            "/usr/bin/vmware-xdg-detect-de",
            "/usr/bin/vmware-xferlogs",
            "/usr/sbin/vmware-guestd",
            "/usr/sbin/vmware-hgfsmounter",
            "/usr/sbin/vmware-rpctool",
            "/usr/sbin/vmware-tools-upgrader*",
            "/usr/sbin/vmware-vmblock*",
            "/usr/sbin/vmtoolsd",
            "/usr/lib/vmware-tools",
            "/usr/lib/vmware-vgauth",
            "/usr/share/doc/vmware-tools",
            "/var/lib/vmware-tools",
        ),
        leftovers=(
            "/etc/vmware-caf",
            "/etc/vmware-tools",
            "/usr/lib/*-linux-gnu*/open-vm-tools",
            "/usr/lib/open-vm-tools",
            "/var/lib/vmware/VGAuth",
            "/var/log/vmware-imc*",
            "/var/log/vmware-network*",
            "/var/log/vmware-tools*",
            "/var/log/vmware-vgauth*",
            "/var/log/vmware-vmsvc*",
            "/var/log/vmware-vmtoolsd*",
            "/var/log/vmware-vmusr*",
        ),
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
        repositories=(
            "packages.vmware.com/tools",
            "packages.broadcom.com/tools",
            "packages-prod.broadcom.com/tools",
        ),
        modules=("vmblock", "vmci", "vmhgfs", "vmmemctl", "vmsync", "vmxnet"),
        marks=(
            "# Beginning of the block added by the VMware software",
            "# End of the block added by the VMware software",
        ),
        commands=(
            "open-vm-tools",
            "vmhgfs",
            "vmhgfs-fuse",
            "vmtoolsd",
            "vmware-hgfsclient",
            "vmware-toolbox-cmd",
            "vmware-tools",
            "vmware-user",
        ),
        hooks="/etc/vmware-tools",
        shipped=(
            *("config", "icu/*", "init/*", "installer.*", "locations*", "manifest*", "messages/*", "not_configured"),
            *("poweroff-vm-default", "poweron-vm-default", "resume-vm-default", "suspend-vm-default", "pam.d/*"),
            *("plugins/*", "scripts/vmware/*", "services.sh", "state/*", "statechange.subr", "tools.conf*", "vgauth*"),
            *("vm-support", "vmware-*"),
        ),
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
            # By name: VirtualBox itself, which may run inside of a guest, has others.
            "/usr/bin/VBoxClient",
            "/usr/bin/VBoxClient-all",
            "/usr/bin/VBoxControl",
            "/usr/bin/VBoxDRMClient",
            "/usr/sbin/VBoxService",
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
            # By name: prlimit is util-linux's.
            "/usr/bin/prl_fsd",
            "/usr/bin/prl_showvmcfg",
            "/usr/bin/prl_wmouse_d",
            "/usr/bin/prlcc",
            "/usr/bin/prlcp",
            "/usr/bin/prldnd",
            "/usr/bin/prlfsmountd",
            "/usr/bin/prlhosttime",
            "/usr/bin/prlsga",
            "/usr/bin/prlshprint",
            "/usr/bin/prlshprof",
            "/usr/bin/prltimesync",
            "/usr/bin/prltoolsd",
            "/usr/bin/prlusmd",
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

DEAD_MOUNTS = frozenset({"vmhgfs", "vmhgfs-fuse", "vboxsf", "prl_fs", "prl_fsd"})
"""File system types and programs of FUSE in fstab that only the old hypervisor serves."""

DEAD_MODULES = (
    "vmhgfs",
    "vmblock",
    "vmmemctl",
    "vmsync",
    "vmci",
    "vmxnet",
    "vmxnet3",
    # By name: vmw_vsock_virtio_transport is KVM's own.
    "vmw_balloon",
    "vmw_pvrdma",
    "vmw_pvscsi",
    "vmw_vmci",
    "vmw_vsock_vmci_transport",
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

MARKED = (
    "/etc/fstab",
    "/etc/initramfs-tools/modules",
    "/etc/modprobe.conf*",
    "/etc/modprobe.d/*",
    "/etc/modules",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
)
"""Files that installers add marked lines to."""

START_SCRIPTS = ("/etc/rc.local", "/etc/rc.d/rc.local")
"""Scripts that administrators write and that run at each boot."""
