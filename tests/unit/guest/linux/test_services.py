from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import services

from .situations import memory

SYSTEM = "/etc/systemd/system"


def test_units_and_scripts_are_told_from_other_paths():
    paths = [
        "/lib/systemd/system/vgauth.service",
        "/usr/lib/systemd/user/agent.socket",
        "/usr/lib/systemd/system/run-vmblock\\x2dfuse.mount",
        "/usr/lib/systemd/system",
        "/etc/init.d/open-vm-tools",
        "/etc/init.d",
    ]
    assert services.units(paths) == {"vgauth.service", "agent.socket", "run-vmblock\\x2dfuse.mount"}
    assert services.scripts(paths) == {"open-vm-tools"}


def test_links_of_a_unit_and_of_its_aliases_go_and_others_stay():
    links = {
        f"{SYSTEM}/multi-user.target.wants/vmtoolsd.service": "/lib/systemd/system/open-vm-tools.service",
        f"{SYSTEM}/vmtoolsd.service": "/lib/systemd/system/open-vm-tools.service",
        f"{SYSTEM}/multi-user.target.wants/cron.service": "/lib/systemd/system/cron.service",
        "/etc/systemd/user/default.target.wants/open-vm-tools.service": "/lib/x",
    }
    draft = Draft(memory({f"{SYSTEM}/own.service": "[Service]\n"}, links))
    services.disable(draft, {"open-vm-tools.service"}, "gone")
    assert {edit.path for edit in draft.edits()} == {path for path in links if "cron" not in path}


def test_a_masked_unit_is_a_link_to_nothing():
    draft = Draft(memory({}))
    services.mask(draft, ["b.service", "a.service"], "gone")
    assert [(edit.path, edit.target) for edit in draft.edits()] == [
        (f"{SYSTEM}/a.service", "/dev/null"),
        (f"{SYSTEM}/b.service", "/dev/null"),
    ]


def test_run_level_links_are_known_by_their_scripts_name():
    draft = Draft(memory({}, {"/etc/rc2.d/S01tools": "../init.d/tools", "/etc/rc2.d/S01tools-x": "../init.d/tools-x"}))
    services.unlink_scripts(draft, {"tools"}, "gone")
    assert [edit.path for edit in draft.edits()] == ["/etc/rc2.d/S01tools"]
