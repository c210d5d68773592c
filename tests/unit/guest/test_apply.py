import pytest

from hyper2kvm.guest.apply import apply, verify
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.edits import Edit, EditKind
from hyper2kvm.guest.files import FileKind
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason
from lab.memoryguest import MemoryGuest


def guest() -> MemoryGuest:
    return MemoryGuest(
        {"/etc/fstab": b"old\n", "/boot/initrd.img": b"image", "/opt/tools/bin/x": b"x", "/usr/lib/unit": b"u"},
        links={"/etc/wants/unit": "/usr/lib/unit"},
        modes={"/etc/fstab": 0o640},
    )


def drafted(files: MemoryGuest) -> tuple[Edit, ...]:
    draft = Draft(files)
    draft.write("/etc/fstab", "new\n", "names change")
    draft.write("/etc/new/file", "made\n", "needed", mode=0o600)
    draft.append("/boot/initrd.img", b"graft", "drivers", "5 bytes")
    draft.remove("/opt/tools", "tools")
    draft.remove("/etc/wants/unit", "unit")
    draft.link("/etc/mask", "/dev/null", "masked")
    return draft.edits()


def test_every_kind_of_edit_is_made_and_verified():
    files = guest()
    edits = drafted(files)
    apply(edits, files)
    verify(edits, files)
    assert files.content["/etc/fstab"] == b"new\n"
    assert files.stat("/etc/fstab").mode == 0o640
    assert files.stat("/etc/new/file").mode == 0o600
    assert files.content["/boot/initrd.img"] == b"imagegraft"
    assert files.lstat("/opt/tools") is None
    assert files.lstat("/etc/wants/unit") is None
    assert files.lstat("/usr/lib/unit").kind is FileKind.FILE
    assert files.readlink("/etc/mask") == "/dev/null"


@pytest.mark.parametrize(
    "lost", ["/etc/fstab", "/etc/new/file", "/boot/initrd.img", "/opt/tools", "/etc/wants/unit", "/etc/mask"]
)
def test_a_change_that_the_disk_does_not_hold_is_an_error_that_names_the_file(lost):
    files = guest()
    edits = drafted(files)
    apply([edit for edit in edits if edit.path != lost], files)
    with pytest.raises(GuestError, match=lost) as caught:
        verify(edits, files)
    assert caught.value.reason is Reason.EDIT_FAILED
    assert caught.value.file == lost
    assert "fsck" in caught.value.hint


def test_of_an_appended_file_its_end_alone_is_read_again():
    class Large(MemoryGuest):
        def read(self, path: str) -> bytes:
            raise AssertionError(path)

        def part(self, path: str, offset: int, count: int) -> bytes:
            assert (offset, count) == (5, 5)
            return b"graft"

    edits = (Edit(EditKind.APPEND, "/boot/initrd.img", ("drivers",), b"graft"),)
    verify(edits, Large({"/boot/initrd.img": b"imagegraft"}))


def test_a_folder_that_is_removed_and_made_again_holds_what_came_later():
    files = guest()
    edits = (Edit(EditKind.REMOVE, "/opt/tools", ("a",)), Edit(EditKind.WRITE, "/opt/tools/new", ("b",), b"n"))
    apply(edits, files)
    verify(edits, files)
    assert files.list("/opt/tools") == ("new",)
