"""The removal of a package as data, judged by dpkg and apt themselves."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import vendortools

from .folderguest import FolderGuest
from .situations import apply_here, situation

RECIPE = ["--variant=minbase", "--include=systemd-sysv,open-vm-tools", "bookworm"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "hyper2kvm/tests")

pytestmark = [pytest.mark.guest, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A Debian with open-vm-tools after the fixer."""
    archive = CACHE / f"tree-{hashlib.sha256(repr(RECIPE).encode()).hexdigest()[:16]}.tar"
    if not archive.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = archive.with_suffix(".new.tar")
        subprocess.run(["mmdebstrap", "--quiet", *RECIPE, str(made)], check=True)
        made.rename(archive)
    root = tmp_path_factory.mktemp("tree")
    subprocess.run(["tar", "-C", str(root), "--numeric-owner", "-xpf", str(archive)], check=True)
    (root / "var/log/vmware-vmsvc-root.log").touch()
    guest = FolderGuest(root)
    assert [tools.name for tools in vendortools.find(guest)] == ["open-vm-tools"]
    draft = Draft(guest)
    vendortools.FIXER.plan(draft, situation())
    apply_here(draft, guest)
    return root


def test_dpkg_finds_nothing_wrong(tree):
    audit = subprocess.run(["dpkg", f"--root={tree}", "--audit"], capture_output=True, text=True, check=True)
    assert audit.stdout + audit.stderr == ""
    assert (
        subprocess.run(["dpkg", f"--root={tree}", "--verify"], capture_output=True, text=True, check=False).stdout == ""
    )


def test_dpkg_does_not_know_the_package(tree):
    asked = subprocess.run(
        ["dpkg", f"--root={tree}", "-s", "open-vm-tools"], capture_output=True, text=True, check=False
    )
    assert asked.returncode == 1
    assert "is not installed" in asked.stderr


def test_apts_dependencies_hold(tree):
    subprocess.run(["chroot", str(tree), "apt-get", "check"], capture_output=True, check=True)


def test_no_trace_is_left(tree):
    words = ("vmware", "open-vm-tools", "vmtoolsd", "vgauth", "VGAuth")
    found = [path.relative_to(tree) for path in tree.rglob("*") if any(word in path.name for word in words)]
    history = {"var/lib/apt", "var/cache", "usr/share/bash-completion", "usr/lib/udev", "usr/lib/systemd"}
    assert [path for path in found if not any(path.is_relative_to(folder) for folder in history)] == []


def test_a_second_plan_finds_nothing_to_do(tree):
    draft = Draft(FolderGuest(tree))
    vendortools.FIXER.plan(draft, situation())
    assert draft.edits() == ()
