import subprocess

import pytest

from hyper2kvm.guest.linux import moduleindex
from hyper2kvm.guest.linux.modules import ModuleTree

VERSION = "6.1.0-9-amd64"
NAMES = ["virtio", "virtio_ring", "virtio_pci", "virtio_pci_modern_dev", "virtio_blk", "v", "ext4", "crc32c_generic"]


def test_lines_name_only_what_will_be_there():
    tree = ModuleTree("/m", {}, {"b": ("a", "gone"), "a": ()}, frozenset())
    lines = moduleindex.dependencies({"b": "k/b.ko", "a": "k/a.ko.xz", "own": "own.ko"}, tree)
    assert lines == {"b": "k/b.ko: k/a.ko.xz", "a": "k/a.ko.xz:", "own": "own.ko:"}


def test_the_text_has_a_line_a_module():
    assert moduleindex.text({"a": "k/a.ko:", "b": "k/b.ko: k/a.ko"}) == b"k/a.ko:\nk/b.ko: k/a.ko\n"


@pytest.mark.parametrize("name", NAMES)
def test_modprobe_finds_every_module_in_the_binary_index(tmp_path, name):
    folder = tmp_path / "lib/modules" / VERSION
    folder.mkdir(parents=True)
    for each in NAMES:
        (folder / f"{each}.ko").touch()
    lines = {each: f"{each}.ko: v.ko" if each != "v" else "v.ko:" for each in NAMES}
    (folder / "modules.dep.bin").write_bytes(moduleindex.binary(lines))
    asked = ["modprobe", "-d", str(tmp_path), "-S", VERSION, "--show-depends", name]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert [word for word in shown if word.startswith("/")] == [
        f"{folder}/{each}.ko" for each in (["v", name] if name != "v" else ["v"])
    ]
