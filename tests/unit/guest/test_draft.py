import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.edits import EditKind
from hyper2kvm.guest.files import FileKind
from lab.memoryguest import MemoryGuest

UNIT = "systemd/system/a.service"
MERGED = {"/lib": "usr/lib", "/etc/os-release": "../usr/lib/os-release"}


@pytest.fixture
def draft() -> Draft:
    files = {f"/usr/lib/{UNIT}": "[Unit]\n", "/usr/lib/os-release": "ID=debian\n", "/etc/fstab": "# none\n"}
    return Draft(MemoryGuest(files, MERGED))


def changes(draft: Draft) -> list[tuple[EditKind, str]]:
    return [(edit.kind, edit.path) for edit in draft.edits()]


def test_a_file_has_one_edit_whatever_links_lead_to_it(draft):
    draft.write(f"/lib/{UNIT}", "[Unit]\nA=1\n", "first")
    draft.remove(f"/usr/lib/{UNIT}", "second")
    assert changes(draft) == [(EditKind.REMOVE, f"/usr/lib/{UNIT}")]
    assert draft.edits()[0].reasons == ("first", "second")
    assert draft.lstat(f"/lib/{UNIT}") is None


def test_what_is_removed_through_a_link_is_gone_under_its_own_name(draft):
    draft.remove(f"/lib/{UNIT}", "gone")
    assert not draft.exists(f"/usr/lib/{UNIT}")
    assert draft.list("/usr/lib/systemd/system") == draft.list("/lib/systemd/system") == ()
    assert draft.glob("/lib/systemd/system/*.service") == ()


def test_a_link_made_through_a_link_is_where_both_names_lead(draft):
    draft.link("/lib/systemd/system/b.service", "/dev/null", "masked")
    assert changes(draft) == [(EditKind.LINK, "/usr/lib/systemd/system/b.service")]
    assert draft.readlink("/usr/lib/systemd/system/b.service") == "/dev/null"
    assert draft.resolve("/lib/systemd/system/b.service") == "/dev/null"


def test_a_link_itself_can_be_removed(draft):
    draft.remove("/lib", "split")
    assert changes(draft) == [(EditKind.REMOVE, "/lib")]
    assert draft.is_file(f"/usr/lib/{UNIT}")


def test_new_files_are_found_with_the_folders_that_they_need(draft):
    draft.write("/etc/udev/rules.d/70-a.rules", "#\n", "new")
    assert draft.is_folder("/etc/udev")
    assert draft.list("/etc") == ("fstab", "os-release", "udev")
    assert draft.glob("/etc/udev/*/*.rules") == ("/etc/udev/rules.d/70-a.rules",)


def test_parts_of_changed_files_are_read(draft):
    draft.append("/etc/fstab", b"more", "longer", "4 bytes")
    assert draft.read("/etc/fstab") == b"# none\nmore"
    assert [draft.part("/etc/fstab", at, 4) for at in (0, 5, 7, 9, 11)] == [b"# no", b"e\nmo", b"more", b"re", b""]
    draft.write("/etc/os-release", "ID=x\n", "other")
    assert draft.part("/usr/lib/os-release", 3, 9) == b"x\n"


def test_attributes_are_those_that_the_file_will_have(draft):
    draft.write("/etc/new", "123", "new", mode=0o600)
    found = draft.stat("/etc/new")
    assert found is not None
    assert (found.kind, found.mode, found.size) == (FileKind.FILE, 0o600, 3)


def test_a_text_that_is_not_utf8_stays_what_it_is():
    draft = Draft(MemoryGuest({"/etc/motd": b"caf\xe9\n"}))
    draft.write("/etc/motd", draft.text("/etc/motd") + "more\n", "longer")
    assert draft.read("/etc/motd") == b"caf\xe9\nmore\n"
