import subprocess

import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.linux.lvmfilter import FIXER, with_accepted
from hyper2kvm_api.options import TargetBus

from .situations import GIB, memory, plan, situation

CONF = "/etc/lvm/lvm.conf"


def with_volumes(**given: object):
    found = situation(**given)
    volume = BlockDevice(device="/dev/sda2", disk="scsi0:0", partition=2, type="LVM2_member", size=GIB)
    guest = found.guest.replaced(devices=(volume,))
    return type(found)(guest, found.machine, found.disks, found.options)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('\tfilter = [ "a|^/dev/sda|", "r|.*|" ]', '\tfilter = [ "a|^/dev/vd|", "a|^/dev/sda|", "r|.*|" ]'),
        ('global_filter=["a/sda2/","r/.*/"]', 'global_filter=[ "a|^/dev/vd|","a/sda2/","r/.*/"]'),
        ('filter = [\n "a|sda|",\n "r|.*|"\n]', 'filter = [ "a|^/dev/vd|",\n "a|sda|",\n "r|.*|"\n]'),
        ('filter = [ "a|.*|" ]', 'filter = [ "a|.*|" ]'),
        ('filter = [ "r|/dev/cdrom|" ]', 'filter = [ "r|/dev/cdrom|" ]'),
        ('filter = [ "a|/dev/vda|", "r|.*|" ]', 'filter = [ "a|/dev/vda|", "r|.*|" ]'),
        ('# filter = [ "r|.*|" ]', '# filter = [ "r|.*|" ]'),
        ('scan_filter = [ "r|.*|" ]', 'scan_filter = [ "r|.*|" ]'),
        ('filter = [ "a|^/dev/sd[a-d]|", "r|.*|" ]', 'filter = [ "a|^/dev/vd|", "a|^/dev/sd[a-d]|", "r|.*|" ]'),
        ('filter = [ "a|/dev/[sv]d[ab]2|", "r/.*/" ]', 'filter = [ "a|^/dev/vd|", "a|/dev/[sv]d[ab]2|", "r/.*/" ]'),
        ('filter = [ "r|^/dev/sd[b-z]|", "r|/dev/cdrom|" ]', 'filter = [ "r|^/dev/sd[b-z]|", "r|/dev/cdrom|" ]'),
        ('filter = [ "r|/dev/[vx]d.*|" ]', 'filter = [ "a|^/dev/vd|", "r|/dev/[vx]d.*|" ]'),
        ('filter = [ "a(^/dev/sda2$)", "r{.*}" ]', 'filter = [ "a|^/dev/vd|", "a(^/dev/sda2$)", "r{.*}" ]'),
        ('filter = [ "a|^/dev/vda2$|", "r|.*|" ]', 'filter = [ "a|^/dev/vda2$|", "r|.*|" ]'),
        ('filter = [ "a|^/dev/vdb$|", "r|.*|" ]', 'filter = [ "a|^/dev/vd|", "a|^/dev/vdb$|", "r|.*|" ]'),
        ('filter = "r|.*|"', 'filter = [ "a|^/dev/vd|", "r|.*|" ]'),
        (
            'filter = [ # the first ] disk\n"a|sda|", # "r|no|"\n"r|.*|" ]',
            'filter = [ "a|^/dev/vd|", # the first ] disk\n"a|sda|", # "r|no|"\n"r|.*|" ]',
        ),
        (
            'filter = [ "a|/dev/sda|", "r|.*|" ]\nglobal_filter = [ "r|.*|" ]',
            'filter = [ "a|^/dev/vd|", "a|/dev/sda|", "r|.*|" ]\nglobal_filter = [ "a|^/dev/vd|", "r|.*|" ]',
        ),
    ],
)
def test_only_filters_that_shut_the_new_names_out_change(before, after):
    assert with_accepted(before, "/dev/vd", ["/dev/vda2"]) == after


def test_the_filter_of_a_guest_with_volumes_is_opened():
    guest = memory({CONF: b'devices {\n\tglobal_filter = [ "a|/dev/sda|", "r|.*|" ]\n}\n'})
    draft = plan(FIXER, guest, with_volumes())
    assert '"a|^/dev/vd|", "a|/dev/sda|"' in draft.text(CONF)
    assert "begin with /dev/vd" in draft.edits()[0].reasons[0]


def test_names_that_stay_need_nothing():
    guest = memory({CONF: b'filter = [ "a|/dev/sda|", "r|.*|" ]\n'})
    assert plan(FIXER, guest, with_volumes(bus=TargetBus.SCSI)).edits() == ()
    assert plan(FIXER, guest, situation()).edits() == ()


@pytest.mark.parametrize("value", ['[ "a|/dev/sda|", r ]', '[ "a|/dev/sda" ]', '[ "x|.*|" ]', "@local", '[ "r|.*|"'])
def test_a_filter_that_is_not_understood_is_a_warning(value):
    text = f"devices {{\n\tfilter = {value}\n}}\n"
    draft = plan(FIXER, memory({CONF: text}), with_volumes())
    assert draft.edits() == ()
    (finding,) = draft.findings
    assert finding.reason == "LvmFilterUnclear"
    assert CONF in finding.message
    assert "begin with /dev/vd" in finding.hint
    assert plan(FIXER, memory({CONF: text}), situation()).findings == []


@pytest.mark.parametrize(
    "text",
    [
        'filter = [ "a|^/dev/sd[a-d]|", "r|.*|" ]',
        'filter = [ "a(^/dev/sda2$)", "r{.*}" ]',
        'filter = [ # the first ] disk\n"a|sda|",\n"r|.*|" ]',
        'filter = "r|.*|"',
    ],
)
def test_lvm_itself_reads_what_was_written(tmp_path, text):
    (tmp_path / "lvm.conf").write_text(f"devices {{\n{with_accepted(text, '/dev/vd', ['/dev/vda2'])}\n}}\n")
    done = subprocess.run(
        ["lvmconfig", "devices/filter"],
        env={"LVM_SYSTEM_DIR": str(tmp_path), "PATH": "/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith('filter=["a|^/dev/vd|",')
    assert done.stderr == ""
