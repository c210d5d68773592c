import pytest

from lab.guests import sample
from lab.guests.sample import building, load, recipe_digest, remove_others


def test_facts_are_read_as_they_were_saved(tiny):
    assert load(tiny.folder) == tiny


def test_the_recipe_changes_with_templates_and_modules(monkeypatch, tmp_path):
    monkeypatch.setattr(sample, "_HERE", tmp_path / "guests")
    (tmp_path / "guests/templates").mkdir(parents=True)
    digests = [recipe_digest()]
    for path in ("guests/debian.py", "guests/templates/machine.ovf", "rawdisk.py"):
        (tmp_path / path).write_text("new")
        digests.append(recipe_digest())
    (tmp_path / "guests/tiny.py").write_text("no part of what is cached")
    assert len(set(digests)) == 4
    assert recipe_digest() == digests[-1]


def test_what_a_killed_builder_left_is_removed_by_the_next(monkeypatch, tmp_path):
    monkeypatch.setattr(sample, "GUESTS", tmp_path / "guests")
    left = tmp_path / "guests" / f"{sample.UNFINISHED}killed" / "tree"
    left.mkdir(parents=True)
    with building():
        assert not left.parent.exists()


def test_older_builds_of_a_guest_are_removed_and_other_guests_kept(tmp_path):
    for name in ("web-1", "web-2", "db-1"):
        (tmp_path / name).mkdir()
    remove_others(tmp_path / "web-2", "web-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db-1", "web-2"]


@pytest.mark.parametrize("name", ["before.raw", "tree", "initramfs"])
def test_nothing_but_the_guest_stays_in_its_folder(tiny, name):
    assert not (tiny.folder / name).exists()
