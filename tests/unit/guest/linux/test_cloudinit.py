import pytest

from hyper2kvm.guest.edits import EditKind
from hyper2kvm.guest.linux import cloudinit
from hyper2kvm.guest.linux.cloudinit import DISABLED, FIXER
from hyper2kvm_api.options import GuestOptions
from lab.memoryguest import MemoryGuest

from .situations import memory, plan, situation

DPKG = "/etc/cloud/cloud.cfg.d/90_dpkg.cfg"
PINNED = {DPKG: "# to update this file, run dpkg-reconfigure cloud-init\ndatasource_list: [ VMware, None ]\n"}


def guest(files: dict[str, str], **given: object) -> MemoryGuest:
    return memory({"/usr/bin/cloud-init": b"", **files}, **given)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["Ec2"], True),
        (["VMware", "OVF", "None"], True),
        (["Azure", "NoCloud"], False),
        (["None"], False),
        ([], False),
        (["NoCloud", "ConfigDrive", "None"], False),
        (["MAAS"], False),
    ],
)
def test_only_lists_of_other_hypervisors_are_pinned(sources, expected):
    assert cloudinit.pinned(sources) is expected


def test_where_it_is_pinned_it_is_switched_off_and_its_configuration_stays():
    draft = plan(FIXER, guest(PINNED))
    (edit,) = draft.edits()
    assert (edit.kind, edit.path) == (EditKind.WRITE, "/etc/cloud/cloud-init.disabled")
    assert all(line.startswith("# ") for line in edit.content.decode().splitlines())
    assert b"VMware" in edit.content
    assert "looks for VMware only" in edit.reasons[0]


def test_no_file_that_is_read_later_brings_it_back():
    """Of the files in cloud.cfg.d the last one wins: a list of ours would lose to 99_zz.cfg."""
    files = {DPKG: "datasource_list: [NoCloud]\n", "/etc/cloud/cloud.cfg.d/99_zz.cfg": "datasource_list: [Azure]\n"}
    assert plan(FIXER, guest(files)).exists(DISABLED)


def test_it_does_not_depend_on_how_interfaces_are_named():
    assert FIXER.wanted(situation(options=GuestOptions(keep_network_names=False)))


def test_the_last_list_is_in_force():
    files = {"/etc/cloud/cloud.cfg": "datasource_list: [Ec2]\n", DPKG: "datasource_list: [NoCloud, Ec2, None]\n"}
    assert plan(FIXER, guest(files)).edits() == ()


def test_a_fixed_choice_of_ds_identify_pins_too():
    draft = plan(FIXER, guest({"/etc/cloud/ds-identify.cfg": "policy: enabled\ndatasource: Ec2\n"}))
    assert [edit.path for edit in draft.edits()] == [DISABLED]


def test_a_guest_without_systemd_starts_none_of_its_scripts():
    links = {f"/etc/rc2.d/S01{name}": f"../init.d/{name}" for name in ("cloud-init", "cloud-final", "ssh")}
    draft = plan(FIXER, guest(PINNED, links=links), situation(init="sysvinit"))
    assert draft.list("/etc/rc2.d") == ("S01ssh",)


def test_a_guest_without_cloud_init_is_left_alone():
    assert plan(FIXER, memory({DPKG: b"datasource_list: [Ec2]\n"})).edits() == ()


def test_what_is_switched_off_already_stays_as_it_is():
    assert plan(FIXER, guest({**PINNED, DISABLED: ""})).edits() == ()


def test_files_that_are_no_yaml_are_passed_over_as_cloud_init_does():
    assert plan(FIXER, guest({DPKG: "datasource_list: [\n"})).edits() == ()
