import hashlib
import json
import shutil
import subprocess
import tarfile

from lab.cluster import images
from lab.cluster.archive import Entry, Image, file_capability, write_archive, write_layer


def test_the_same_entries_give_the_same_layer(tmp_path):
    entries = [Entry("etc/empty", b"", mode=0o644), Entry("usr/bin/tool", b"tool"), Entry("bin", link="usr/bin")]
    for name in ("one", "other"):
        write_layer(tmp_path / name, entries)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_layer_has_owners_modes_and_links(tmp_path):
    write_layer(
        tmp_path / "layer", [Entry("home/qemu", owner=107), Entry("tmp", mode=0o1777), Entry("bin", link="usr/bin")]
    )
    with tarfile.open(tmp_path / "layer") as layer:
        home, tmp, link = layer.getmembers()
    assert (home.isdir(), home.uid, home.gid) == (True, 107, 107)
    assert tmp.mode == 0o1777
    assert (link.issym(), link.linkname) == (True, "usr/bin")


def test_a_file_capability_is_what_setcap_writes(tmp_path):
    """getcap reads it back from a file that GNU tar has unpacked."""
    program = shutil.copy("/bin/true", tmp_path / "true")
    write_layer(tmp_path / "layer", [Entry("monitor", program, capabilities=file_capability(10))])
    unpack = ["tar", "--extract", "--xattrs", "--xattrs-include=security.capability", f"--directory={tmp_path}"]
    subprocess.run([*unpack, f"--file={tmp_path}/layer"], check=True)
    told = subprocess.run(["getcap", tmp_path / "monitor"], check=True, capture_output=True, text=True).stdout
    assert "cap_net_bind_service=ep" in told


def test_an_archives_images_share_their_layers(tmp_path):
    write_layer(tmp_path / "layer", [Entry("file", b"content")])
    images = [Image("localhost/lab/a:1", ["/a"], "1001"), Image("localhost/lab/b:1")]
    write_archive(tmp_path / "archive.tar", [tmp_path / "layer"], images)
    with tarfile.open(tmp_path / "archive.tar") as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive}
    manifest = json.loads(content["manifest.json"])
    assert [one["RepoTags"] for one in manifest] == [["localhost/lab/a:1"], ["localhost/lab/b:1"]]
    digest = hashlib.sha256((tmp_path / "layer").read_bytes()).hexdigest()
    for one in manifest:
        assert one["Layers"] == [f"{digest}.tar"]
        assert json.loads(content[one["Config"]])["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert json.loads(content[manifest[0]["Config"]])["config"]["User"] == "1001"
    assert len(content) == 4


def test_packing_leaves_neither_older_versions_nor_what_a_killed_process_left(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "CACHE", tmp_path)
    monkeypatch.setitem(images._UPPER_LAYERS, "pause", lambda: [Entry("pause", b"program")])
    wanted = images.pause()
    folder = wanted.path.parent
    folder.mkdir(parents=True)
    for left in ("pause-000000000000.tar", "pause-000000000000.layer", "pause-111111111111.unfinished"):
        (folder / left).touch()
    (folder / "tools-000000000000.tar").touch()
    images._pack(wanted)
    assert sorted(path.name for path in folder.iterdir()) == [wanted.path.name, "tools-000000000000.tar"]
