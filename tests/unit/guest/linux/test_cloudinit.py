import pytest
import yaml

from hyper2kvm.guest.linux import cloudinit
from hyper2kvm.guest.linux.cloudinit import FIXER, OVERRIDE
from lab.memoryguest import MemoryGuest

from .situations import memory, plan

DPKG = "/etc/cloud/cloud.cfg.d/90_dpkg.cfg"


def guest(files: dict[str, str]) -> MemoryGuest:
    return memory({"/usr/bin/cloud-init": b"", **{path: text.encode() for path, text in files.items()}})


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


def test_a_pinned_data_source_is_replaced_and_the_guest_stays_what_it_is():
    draft = plan(
        FIXER, guest({DPKG: "# to update this file, run dpkg-reconfigure cloud-init\ndatasource_list: [ VMware ]\n"})
    )
    (edit,) = draft.edits()
    assert edit.path == OVERRIDE
    assert yaml.safe_load(edit.content) == {
        "datasource_list": ["NoCloud", "ConfigDrive", "None"],
        "network": {"config": "disabled"},
        "ssh_deletekeys": False,
        "preserve_hostname": True,
    }


def test_the_last_list_is_in_force():
    files = {"/etc/cloud/cloud.cfg": "datasource_list: [Ec2]\n", DPKG: "datasource_list: [NoCloud, Ec2, None]\n"}
    assert plan(FIXER, guest(files)).edits() == ()


def test_a_fixed_choice_of_ds_identify_goes():
    text = "policy: enabled\ndatasource: Ec2\n"
    assert (
        plan(FIXER, guest({"/etc/cloud/ds-identify.cfg": text})).text("/etc/cloud/ds-identify.cfg")
        == "policy: enabled\n"
    )


def test_a_guest_without_cloud_init_is_left_alone():
    assert plan(FIXER, memory({DPKG: b"datasource_list: [Ec2]\n"})).edits() == ()


def test_files_that_are_no_yaml_are_passed_over_as_cloud_init_does():
    assert plan(FIXER, guest({DPKG: "datasource_list: [\n"})).edits() == ()
