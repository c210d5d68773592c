import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import dpkg

from .situations import memory

STATUS = """\
Package: a
Status: install ok installed
Architecture: amd64
Depends: b (>= 1) | c:any, d [amd64],
 e
Pre-Depends: f
Provides: mta (= 1), smtp

Package: b
Status: hold ok half-configured

Package: c
Status: deinstall ok config-files

Package: d
Status: purge ok not-installed

Package: broken
"""


def packages(text: str) -> tuple[dpkg.Package, ...]:
    return dpkg.installed(memory({dpkg.STATUS: text.encode()}))


def test_installed_packages_are_read_with_their_dependencies():
    first, second = packages(STATUS)
    assert (first.name, first.architecture, first.provides) == ("a", "amd64", {"mta", "smtp"})
    assert first.needs == ({"b", "c"}, {"d"}, {"e"}, {"f"})
    assert second.name == "b"


@pytest.mark.parametrize(
    ("needs", "removed", "broken"),
    [
        ("b", {"b"}, True),
        ("b | c", {"b"}, False),
        ("b | c", {"b", "c"}, True),
        ("b | gone", {"b"}, True),
        ("b | virtual", {"b"}, False),
        ("gone", {"b"}, False),
    ],
)
def test_a_package_is_a_dependent_when_nothing_else_fits(needs, removed, broken):
    text = "\n".join(
        [
            f"Package: a\nStatus: install ok installed\nDepends: {needs}\n",
            "Package: b\nStatus: install ok installed\n",
            "Package: c\nStatus: install ok installed\nProvides: virtual\n",
        ]
    )
    assert (dpkg.dependents(packages(text), removed) == ("a",)) is broken


def test_folders_that_hold_something_else_or_are_shared_stay():
    files = {"/usr/lib/tool/a": b"", "/usr/lib/tool/sub/b": b"", "/usr/lib/tool/own": b"", "/usr/share/x/tool.txt": b""}
    draft = Draft(memory(files))
    listed = [
        "/usr/lib/tool",
        "/usr/lib/tool/a",
        "/usr/lib/tool/sub",
        "/usr/lib/tool/sub/b",
        "/usr/share/x",
        "/usr/share/x/tool.txt",
    ]
    dpkg.remove_files(draft, listed, ["tool"], "gone")
    assert [edit.path for edit in draft.edits()] == ["/usr/lib/tool/a", "/usr/lib/tool/sub", "/usr/share/x/tool.txt"]


@pytest.mark.parametrize("target", ["usr/lib", "nowhere", "usr/file"])
def test_a_listed_folder_that_is_a_link_here_stays(target):
    guest = memory({"/usr/lib/a": b"", "/usr/file": b""}, links={"/lib": target})
    draft = Draft(guest)
    dpkg.remove_files(draft, ["/lib", "/lib/a"], ["tool"], "gone")
    assert "/lib" not in [edit.path for edit in draft.edits()]


def test_lists_of_one_architecture_are_found():
    guest = memory({f"{dpkg.INFO}/a:amd64.list": b"/.\n/usr/bin/a\n\n"})
    package = dpkg.Package("a", "amd64", (), frozenset(), ("/etc/a.conf",))
    assert dpkg.paths(guest, package) == ("/.", "/usr/bin/a", "/etc/a.conf")


def test_a_forgotten_package_leaves_no_interest_behind():
    guest = memory({dpkg.STATUS: b"", dpkg.TRIGGERS: b"/usr/a a/noawait\n/usr/b b\n", f"{dpkg.INFO}/a.list": b""})
    draft = Draft(guest)
    dpkg.forget(draft, [dpkg.Package("a", "all", (), frozenset(), ())], "gone")
    assert draft.read(dpkg.TRIGGERS) == b"/usr/b b\n"
    assert not draft.exists(f"{dpkg.INFO}/a.list")
