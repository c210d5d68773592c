import subprocess

import pytest

from hyper2kvm.guest.linux import vendortools
from hyper2kvm.guest.linux.vendortools import FIXER
from hyper2kvm_api.options import GuestOptions
from lab.memoryguest import MemoryGuest

from .situations import memory, plan, situation

STATUS = "/var/lib/dpkg/status"
INFO = "/var/lib/dpkg/info"
STANZAS = {
    "base-files": "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\n",
    "open-vm-tools": (
        "Package: open-vm-tools\nStatus: install ok installed\nArchitecture: amd64\nDepends: libc6 (>= 2.34), pciutils\n"
        "Conffiles:\n /etc/pam.d/vmtoolsd 0123 \n /etc/vmware-tools/tools.conf 4567\nDescription: Open VMware Tools\n text\n"
    ),
    "open-vm-tools-desktop": (
        "Package: open-vm-tools-desktop\nStatus: install ok installed\nArchitecture: amd64\n"
        "Depends: open-vm-tools (= 2:12.2.0-1)\n"
    ),
    "fleet-agent": "Package: fleet-agent\nStatus: install ok installed\nArchitecture: all\nDepends: open-vm-tools | cloud-guest\n",
    "gone": "Package: virtualbox-guest-utils\nStatus: deinstall ok config-files\nArchitecture: amd64\n",
}
LIST = """/.
/etc
/etc/init.d
/etc/init.d/open-vm-tools
/etc/pam.d
/etc/pam.d/vmtoolsd
/etc/vmware-tools
/etc/vmware-tools/tools.conf
/lib
/lib/systemd
/lib/systemd/system
/lib/systemd/system/open-vm-tools.service
/lib/systemd/system/vgauth.service
/usr
/usr/bin
/usr/bin/vmtoolsd
/usr/share/doc/open-vm-tools
/usr/share/doc/open-vm-tools/copyright
/usr/share/lintian/overrides
/usr/share/lintian/overrides/open-vm-tools
"""
HELPER = "/var/lib/systemd/deb-systemd-helper-enabled"
FILES = {
    "/etc/init.d/open-vm-tools": "#!/bin/sh\n",
    "/etc/pam.d/vmtoolsd": "",
    "/etc/vmware-tools/tools.conf": "",
    "/etc/vmware-tools/own-script": "",
    "/usr/lib/systemd/system/open-vm-tools.service": "[Install]\nAlias=vmtoolsd.service\n",
    "/usr/lib/systemd/system/vgauth.service": "",
    "/usr/bin/vmtoolsd": "ELF",
    "/usr/bin/env": "ELF",
    "/usr/share/doc/open-vm-tools/copyright": "",
    "/usr/share/lintian/overrides/open-vm-tools": "",
    "/var/log/vmware-vmsvc-root.log": "log\n",
    f"{INFO}/open-vm-tools.list": LIST,
    f"{INFO}/open-vm-tools.md5sums": "",
    f"{INFO}/open-vm-tools.postrm": "",
    f"{INFO}/base-files.list": "/etc\n",
    f"{HELPER}/open-vm-tools.service.dsh-also": "/etc/systemd/system/multi-user.target.wants/open-vm-tools.service\n",
    f"{HELPER}/multi-user.target.wants/open-vm-tools.service": "",
    f"{HELPER}/open-vm-tools.service.requires/vgauth.service": "",
    f"{HELPER}/cron.service.dsh-also": "",
    "/var/lib/apt/extended_states": "Package: libmspack0\nAuto-Installed: 1\n\nPackage: open-vm-tools\nAuto-Installed: 1\n",
}
LINKS = {
    "/lib": "usr/lib",
    "/etc/systemd/system/multi-user.target.wants/open-vm-tools.service": "/lib/systemd/system/open-vm-tools.service",
    "/etc/systemd/system/multi-user.target.wants/cron.service": "/lib/systemd/system/cron.service",
    "/etc/systemd/system/open-vm-tools.service.requires/vgauth.service": "/lib/systemd/system/vgauth.service",
    "/etc/systemd/system/vmtoolsd.service": "/lib/systemd/system/open-vm-tools.service",
    "/etc/rc2.d/S01open-vm-tools": "../init.d/open-vm-tools",
    "/etc/rc2.d/S01cron": "../init.d/cron",
    "/etc/rc0.d/K01open-vm-tools": "../init.d/open-vm-tools",
}


def guest(*packages: str, files: dict[str, str] | None = None) -> MemoryGuest:
    status = "\n".join(STANZAS[name] for name in packages)
    texts = {**(FILES if "open-vm-tools" in packages else {}), STATUS: status, **(files or {})}
    return memory({path: text.encode() for path, text in texts.items()}, links=LINKS if packages else {})


def paths(draft) -> set[str]:
    return {edit.path for edit in draft.edits()}


def test_packages_are_found_and_removed_ones_are_not():
    found = vendortools.find(guest("base-files", "open-vm-tools", "gone"))
    assert [(tools.name, tools.kind, tools.evidence) for tools in found] == [
        ("open-vm-tools", "package", "open-vm-tools")
    ]


def test_a_package_goes_with_everything_that_belongs_to_it():
    draft = plan(FIXER, guest("base-files", "open-vm-tools"))
    assert paths(draft) == {
        "/etc/systemd/system/multi-user.target.wants/open-vm-tools.service",
        "/etc/systemd/system/open-vm-tools.service.requires/vgauth.service",
        "/etc/systemd/system/open-vm-tools.service.requires",
        "/etc/systemd/system/vmtoolsd.service",
        f"{HELPER}/open-vm-tools.service.dsh-also",
        f"{HELPER}/multi-user.target.wants/open-vm-tools.service",
        f"{HELPER}/open-vm-tools.service.requires/vgauth.service",
        f"{HELPER}/open-vm-tools.service.requires",
        "/etc/rc2.d/S01open-vm-tools",
        "/etc/rc0.d/K01open-vm-tools",
        "/etc/vmware-tools",
        "/var/log/vmware-vmsvc-root.log",
        "/etc/init.d/open-vm-tools",
        "/etc/pam.d/vmtoolsd",
        "/usr/lib/systemd/system/open-vm-tools.service",
        "/usr/lib/systemd/system/vgauth.service",
        "/usr/bin/vmtoolsd",
        "/usr/share/doc/open-vm-tools",
        "/usr/share/lintian/overrides/open-vm-tools",
        STATUS,
        "/var/lib/apt/extended_states",
        f"{INFO}/open-vm-tools.list",
        f"{INFO}/open-vm-tools.md5sums",
        f"{INFO}/open-vm-tools.postrm",
    }
    assert draft.text(STATUS).strip() == STANZAS["base-files"].strip()
    assert draft.text("/var/lib/apt/extended_states") == "Package: libmspack0\nAuto-Installed: 1\n"


def test_packages_of_the_same_tools_go_together():
    draft = plan(FIXER, guest("base-files", "open-vm-tools", "open-vm-tools-desktop"))
    assert "VendorToolsKept" not in {finding.reason for finding in draft.findings}
    assert "open-vm-tools" not in draft.text(STATUS)


def test_a_package_that_another_needs_is_switched_off_with_a_warning():
    draft = plan(FIXER, guest("open-vm-tools", "fleet-agent"))
    (finding,) = draft.findings
    assert finding.reason == "VendorToolsKept"
    assert "fleet-agent needs it" in finding.message
    assert "apt" in finding.hint
    assert draft.readlink("/etc/systemd/system/open-vm-tools.service") == "/dev/null"
    assert not draft.exists("/etc/systemd/system/multi-user.target.wants/open-vm-tools.service")
    assert draft.exists("/usr/bin/vmtoolsd")
    assert STATUS not in paths(draft)


def test_an_installation_from_vmwares_archive_goes_by_its_files():
    files = {
        "/usr/bin/vmware-uninstall-tools.pl": "#!/usr/bin/perl\n",
        "/usr/bin/vmware-toolbox-cmd": "ELF",
        "/etc/init.d/vmware-tools": "#!/bin/sh\n",
        "/etc/vmware-tools/locations": "",
        "/usr/lib/vmware-tools/bin64/vmtoolsd": "ELF",
        "/usr/bin/vim": "ELF",
    }
    tools = guest(files=files)
    tools.link("/etc/rc2.d/S03vmware-tools", "../init.d/vmware-tools")
    (found,) = vendortools.find(tools)
    assert (found.name, found.kind, found.evidence) == ("VMware Tools", "files", "/usr/bin/vmware-uninstall-tools.pl")
    assert paths(plan(FIXER, tools)) == {
        "/usr/bin/vmware-uninstall-tools.pl",
        "/usr/bin/vmware-toolbox-cmd",
        "/etc/init.d/vmware-tools",
        "/etc/vmware-tools",
        "/usr/lib/vmware-tools",
        "/etc/rc2.d/S03vmware-tools",
    }


ARCHIVE = {"/usr/bin/vmware-uninstall-tools.pl": "#!/usr/bin/perl\n"}


def test_a_package_beside_an_installation_goes_with_it():
    tools = guest("base-files", "open-vm-tools", files={**ARCHIVE, "/usr/lib/vmware-tools/lib64/x.so": "ELF"})
    assert {found.kind for found in vendortools.find(tools)} == {"package", "files"}
    draft = plan(FIXER, tools)
    assert not draft.exists("/usr/bin/vmtoolsd")
    assert not draft.exists("/usr/bin/vmware-uninstall-tools.pl")
    assert not draft.exists("/usr/lib/vmware-tools")


def test_programs_of_vmwares_other_products_stay():
    """Workstation and the Horizon client may run inside of a guest."""
    others = {
        f"/usr/bin/vmware{name}": "ELF" for name in ("", "-view", "-netcfg", "-modconfig", "-vmx", "-vdiskmanager")
    }
    logs = {"/var/log/vmware-installer": "", "/var/lib/vmware/Shared VMs/a.vmx": "", "/etc/vmware/config": ""}
    draft = plan(FIXER, guest(files={**ARCHIVE, **others, **logs}))
    assert paths(draft) == ARCHIVE.keys()


def test_programs_of_parallels_go_and_those_of_the_distribution_stay():
    gone = {"/usr/lib/parallels-tools/version": "18", "/etc/init.d/prltoolsd": "#!/bin/sh\n"}
    gone |= {f"/usr/bin/{name}": "ELF" for name in ("prlcc", "prltoolsd", "prltimesync", "prl_fsd", "prl_showvmcfg")}
    draft = plan(FIXER, guest(files={**gone, "/usr/bin/prlimit": "ELF", "/usr/bin/prlctl": "ELF"}))
    assert paths(draft) == {"/usr/lib/parallels-tools", *gone} - {"/usr/lib/parallels-tools/version"}


def test_programs_of_virtualbox_itself_stay():
    gone = {f"/usr/{path}": "ELF" for path in ("sbin/VBoxService", "bin/VBoxClient", "bin/VBoxControl")}
    kept = {f"/usr/bin/{name}": "ELF" for name in ("VBox", "VBoxManage", "VBoxHeadless", "VBoxSDL")}
    assert paths(plan(FIXER, guest(files={**gone, **kept}))) == gone.keys()


def test_modules_of_an_installation_go_and_those_of_the_kernel_stay():
    folder = "/lib/modules/3.2.0-4-amd64"
    gone = {f"{folder}/misc/{name}.ko": "ELF" for name in ("vmci", "vmhgfs", "vmmemctl")}
    kept = {f"{folder}/kernel/drivers/misc/vmw_vmci.ko": "ELF", f"{folder}/misc/vsock.ko": "ELF"}
    assert paths(plan(FIXER, guest(files={**ARCHIVE, **gone, **kept}))) == ARCHIVE.keys() | gone.keys()


def test_repositories_with_the_tools_alone_are_switched_off():
    lists = {
        "/etc/apt/sources.list": "deb http://deb.debian.org/debian bookworm main\n",
        "/etc/apt/sources.list.d/vmware.list": (
            "# tools\ndeb [arch=amd64] https://packages.vmware.com/tools/esx/latest/ubuntu precise main\n"
        ),
        "/etc/apt/sources.list.d/vmware.sources": (
            "Types: deb\nURIs: https://packages.vmware.com/tools/esx/latest/ubuntu\nSuites: precise\n\n"
            "Types: deb\nURIs: https://packages.vmware.com/horizon\nSuites: x\n"
        ),
    }
    draft = plan(FIXER, guest("base-files", "open-vm-tools", files=lists))
    assert draft.text("/etc/apt/sources.list") == lists["/etc/apt/sources.list"]
    assert draft.text("/etc/apt/sources.list.d/vmware.list") == (
        "# tools\n# deb [arch=amd64] https://packages.vmware.com/tools/esx/latest/ubuntu precise main\n"
    )
    assert draft.text("/etc/apt/sources.list.d/vmware.sources") == (
        f"Enabled: no\n{lists['/etc/apt/sources.list.d/vmware.sources']}"
    )


def test_commands_of_start_scripts_do_nothing_any_more_and_compound_ones_are_told():
    text = (
        "#!/bin/sh -e\n# vmware-tools\n/etc/init.d/vmware-tools start\nmount -t vmhgfs .host:/ /mnt/hgfs\n"
        "if [ -x /usr/bin/vmtoolsd ]; then logger here; fi\n/opt/my-vmware-tools-report\nexit 0\n"
    )
    draft = plan(FIXER, guest("base-files", "open-vm-tools", files={"/etc/rc.local": text}))
    lines = draft.text("/etc/rc.local").splitlines()
    assert lines[2:4] == [": # /etc/init.d/vmware-tools start", ": # mount -t vmhgfs .host:/ /mnt/hgfs"]
    assert lines[:2] + lines[4:] == text.splitlines()[:2] + text.splitlines()[4:]
    (finding,) = [finding for finding in draft.findings if finding.reason == "VendorToolsMentioned"]
    assert "/etc/rc.local line 5" in finding.message


def test_a_start_script_stays_one_that_a_shell_takes():
    """A branch that holds a comment alone is a syntax error, and nothing after it is run."""
    script = "#!/bin/sh -e\nif true; then\n\tvmware-user\nelse\n  vmtoolsd\nfi\necho started\n"
    files = {"/etc/rc.local": script}
    draft = plan(FIXER, guest("base-files", "open-vm-tools", files=files))
    after = draft.text("/etc/rc.local")
    assert after != script
    assert subprocess.run(["sh", "-c", after], capture_output=True, check=True, text=True).stdout == "started\n"


def test_lines_that_the_installer_has_added_go():
    block = (
        "# Beginning of the block added by the VMware software - DO NOT EDIT\nvmxnet\n"
        "# End of the block added by the VMware software - DO NOT EDIT\n"
    )
    path = "/etc/initramfs-tools/modules"
    draft = plan(FIXER, guest(files={**ARCHIVE, path: f"loop\n{block}fuse\n"}))
    assert draft.text(path) == "loop\nfuse\n"


def test_users_own_scripts_are_named_before_they_go():
    files = {
        "/etc/vmware-tools/scripts/vmware/network": "",
        "/etc/vmware-tools/scripts/resume-vm-default.d/50-mail": "",
    }
    draft = plan(FIXER, guest("base-files", "open-vm-tools", files=files))
    (finding,) = [finding for finding in draft.findings if finding.reason == "OwnScriptsRemoved"]
    assert (
        "added: /etc/vmware-tools/own-script, /etc/vmware-tools/scripts/resume-vm-default.d/50-mail" in finding.message
    )
    assert "units of systemd" in finding.hint
    assert not draft.exists("/etc/vmware-tools")


def test_kvms_own_agents_stay():
    text = "Package: qemu-guest-agent\nStatus: install ok installed\n\nPackage: spice-vdagent\nStatus: install ok installed\n"
    draft = plan(FIXER, guest(files={STATUS: text}))
    assert draft.edits() == ()


@pytest.mark.parametrize("kind", ["vmhgfs", "fuse.vmhgfs-fuse", "vboxsf"])
def test_folders_that_the_hypervisor_shared_are_no_longer_mounted(kind):
    text = f"UUID=1 / ext4 defaults 0 1\n.host:/ /mnt/hgfs {kind} defaults 0 0\n"
    draft = plan(FIXER, guest(files={"/etc/fstab": text}))
    assert draft.text("/etc/fstab") == f"UUID=1 / ext4 defaults 0 1\n# .host:/ /mnt/hgfs {kind} defaults 0 0\n"
    assert "/mnt/hgfs was a folder that the old hypervisor shared" in draft.edits()[0].reasons[0]


@pytest.mark.parametrize(
    "line",
    [
        "vmhgfs-fuse /mnt/hgfs fuse defaults,allow_other 0 0",
        ".host:/ /mnt/hgfs fuse./usr/bin/vmhgfs-fuse allow_other,auto_unmount,defaults 0 0",
        "vmhgfs-fuse#.host:/Team\\040files\t/mnt/hgfs\tfuse\tallow_other 0 0",
        "/usr/bin/vmhgfs-fuse#.host:/ /mnt/hgfs fuse3 defaults 0 0",
        "Home /media/psf fuse.prl_fsd nofail 0 0",
    ],
)
def test_nor_by_a_program_of_fuse_that_goes(line):
    draft = plan(FIXER, guest(files={"/etc/fstab": f"UUID=1 / ext4 defaults 0 1\n{line}\n"}))
    assert draft.text("/etc/fstab") == f"UUID=1 / ext4 defaults 0 1\n# {line}\n"


@pytest.mark.parametrize(
    "line",
    [
        "sshfs#me@host:/vmhgfs-fuse /mnt/far fuse defaults 0 0",
        "me@host:/ /mnt/far fuse.sshfs defaults 0 0",
        "/srv/vmhgfs /mnt/hgfs none bind 0 0",
        "vmhgfs-fuse /mnt/data ext4 defaults 0 2",
    ],
)
def test_other_mounts_stay(line):
    assert plan(FIXER, guest(files={"/etc/fstab": f"{line}\n"})).edits() == ()


@pytest.mark.parametrize("path", ["/etc/modules", "/etc/modules-load.d/vm.conf"])
def test_drivers_of_the_hypervisor_are_no_longer_loaded(path):
    draft = plan(FIXER, guest(files={path: "# modules\nloop\nvmw_balloon\nhv-utils x=1\nvmxnet3\nvhost_net\n"}))
    assert draft.text(path) == "# modules\nloop\n# vmw_balloon\n# hv-utils x=1\n# vmxnet3\nvhost_net\n"


def test_drivers_of_the_new_hypervisor_are_still_loaded():
    text = "vmw_vsock_virtio_transport\nvirtio_net\nvmw_vsock_vmci_transport\nvmw_pvscsi\n"
    draft = plan(FIXER, guest(files={"/etc/modules": text}))
    assert draft.text("/etc/modules") == text.replace("vmw_vsock_vmci", "# vmw_vsock_vmci").replace(
        "vmw_pv", "# vmw_pv"
    )


def test_a_guest_without_tools_is_left_alone():
    assert plan(FIXER, guest("base-files")).edits() == ()
    assert vendortools.find(memory({})) == ()


def test_the_option_switches_it_off():
    assert not FIXER.wanted(situation(options=GuestOptions(remove_vendor_tools=False)))
