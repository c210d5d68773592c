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
    (folder / "modules.dep.bin").write_bytes(moduleindex.binary(lines.items()))
    asked = ["modprobe", "-d", str(tmp_path), "-S", VERSION, "--show-depends", name]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert [word for word in shown if word.startswith("/")] == [
        f"{folder}/{each}.ko" for each in (["v", name] if name != "v" else ["v"])
    ]


ALIASES = """\
# Aliases extracted from modules themselves.
alias virtio:d00000002v* virtio_blk
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias cpu:type:x86,ven*fam*mod*:feature:*00[A-F]* v
alias fs-ext4 ext4
alias pci:v000015ADd000007C0sv*sd*bc*sc*i* vmw_pvscsi
broken
"""


def test_only_aliases_of_modules_that_will_be_there_are_kept():
    rows = moduleindex.aliases(ALIASES, NAMES)
    assert [name for _, name in rows] == ["virtio_blk", "virtio_pci", "v", "ext4"]
    assert moduleindex.alias_text(rows).splitlines()[-1] == b"alias fs-ext4 ext4"


def test_hyphens_are_underscores_except_between_brackets():
    assert moduleindex.normalised("fs-a-[0-9A-F]-x") == "fs_a_[0-9A-F]_x"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("virtio:d00000002v00001AF4", "virtio_blk"),
        ("pci:v00001AF4d00001001sv0sd0bc01sc00i00", "virtio_pci"),
        ("cpu:type:x86,venXfamYmodZ:feature:1,00B9", "v"),
        ("fs-ext4", "ext4"),
    ],
)
def test_modprobe_resolves_the_aliases_of_hardware(tmp_path, alias, name):
    folder = tmp_path / "lib/modules" / VERSION
    folder.mkdir(parents=True)
    rows = moduleindex.aliases(ALIASES, NAMES)
    indexed = [(moduleindex.normalised(key), value) for key, value in rows]
    (folder / "modules.alias.bin").write_bytes(moduleindex.binary(indexed))
    (folder / "modules.dep.bin").write_bytes(moduleindex.binary((each, f"{each}.ko:") for each in NAMES))
    asked = ["modprobe", "-d", str(tmp_path), "-S", VERSION, "--resolve-alias", alias]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split() == [name]
