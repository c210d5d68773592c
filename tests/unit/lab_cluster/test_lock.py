import threading
from pathlib import Path

from lab.cluster import binaries, images
from lab.cluster.binaries import Group
from lab.cluster.lock import alone


def test_the_second_waits_for_the_first_and_says_so(tmp_path, capsys):
    order, inside = [], threading.Event()

    def second() -> None:
        inside.wait()
        with alone(tmp_path / "new/lock", "the first"):
            order.append("second")

    waiting = threading.Thread(target=second)
    waiting.start()
    with alone(tmp_path / "new/lock", "the first"):
        inside.set()
        waiting.join(0.5)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert "the first: ready" in capsys.readouterr().out


def test_two_builds_do_not_take_each_others_caches_away(tmp_path, monkeypatch):
    """Go's caches go with a build: not before another one has ended that uses them."""
    monkeypatch.setattr(binaries, "CACHE", tmp_path)
    monkeypatch.setattr(binaries, "GO_CACHE", tmp_path / "go")
    monkeypatch.setattr(binaries, "PROGRAMS", tmp_path / "lock")
    groups = [Group(name, packages=(f"./{name}",)) for name in ("one", "other")]
    both, lost = threading.Barrier(2), []

    def build(_: Path, group: Group) -> None:
        (tmp_path / "go/mod").mkdir(parents=True, exist_ok=True)
        for _ in range(20):
            threading.Event().wait(0.01)
            lost.extend([group.name] if not (tmp_path / "go/mod").exists() else [])
        group.folder.mkdir(parents=True)

    def ensure(group: Group) -> None:
        both.wait()
        binaries.ensure_built(group)

    monkeypatch.setattr(binaries, "ensure_go", lambda: tmp_path / "bin/go")
    monkeypatch.setattr(binaries, "_fetch_modules", lambda go: None)
    monkeypatch.setattr(binaries, "_compile_standard", lambda go: None)
    monkeypatch.setattr(binaries, "_build", build)
    builders = [threading.Thread(target=ensure, args=(group,)) for group in groups]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert lost == []
    assert all(group.folder.exists() for group in groups)


def test_of_two_who_want_the_same_images_one_packs_them(tmp_path, monkeypatch):
    """The other one would take the archive away while it is loaded."""
    monkeypatch.setattr(images, "CACHE", tmp_path)
    monkeypatch.setattr(images, "IMAGES", tmp_path / "lock")
    packed, both = [], threading.Barrier(2)

    def pack(wanted: images.ImageSet) -> None:
        packed.append(wanted.name)
        threading.Event().wait(0.1)
        wanted.path.parent.mkdir(parents=True)
        wanted.path.touch()

    def ensure() -> None:
        both.wait()
        images.ensure_packed(images.tools())

    monkeypatch.setattr(images, "_pack", pack)
    packers = [threading.Thread(target=ensure) for _ in range(2)]
    for packer in packers:
        packer.start()
    for packer in packers:
        packer.join()
    assert packed == ["tools"]
