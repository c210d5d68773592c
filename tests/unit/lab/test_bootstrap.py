"""The environment of the Python packages: made once, and to its end. Programs are noted instead of run."""

from pathlib import Path

import pytest

from lab import bootstrap

SEES_DEBIAN = "home = /usr/bin\ninclude-system-site-packages = {}\n"


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The programs that were run, by what they do; that of venv makes an environment."""
    found = []

    def run(what: str, *arguments: str) -> None:
        found.append(what)
        if "venv" in arguments:
            venv(Path(arguments[-1]))

    monkeypatch.setattr(bootstrap, "_run", run)
    monkeypatch.setattr(bootstrap, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(bootstrap, "LINK", tmp_path / ".venv")
    return found


def venv(folder: Path, sees: str = "true") -> Path:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin/python").touch()
    (folder / "pyvenv.cfg").write_text(SEES_DEBIAN.format(sees))
    return folder


STEPS = ["pip install: the packages", "pip install: the project"]


def test_an_environment_is_filled_once(ran):
    bootstrap.ensure_environment()
    assert ran == ["a Python environment", *STEPS]
    assert bootstrap.LINK.resolve() == bootstrap._folder()
    bootstrap.ensure_environment()
    assert len(ran) == 3


def test_an_environment_that_was_interrupted_while_it_was_made_is_made_anew(ran):
    """venv lets it see Debian's packages when pip is in it (venv.EnvBuilder.create)."""
    left = venv(bootstrap._folder(), "false") / "left"
    left.touch()
    bootstrap.ensure_environment()
    assert ran == ["a Python environment", *STEPS]
    assert not left.exists()


def test_a_folder_of_the_users_own_is_kept_and_made_to_see_debians_packages(ran):
    kept = venv(bootstrap.LINK, "false") / "kept"
    kept.touch()
    bootstrap.ensure_environment()
    assert ran == ["a Python environment", *STEPS]
    assert kept.exists()
    assert not bootstrap.LINK.is_symlink()


def test_a_link_to_a_cache_that_is_gone_is_replaced(ran):
    bootstrap.LINK.symlink_to("/nonexistent")
    bootstrap.ensure_environment()
    assert bootstrap.LINK.resolve() == bootstrap._folder()


def test_environments_of_checkouts_that_are_gone_go(ran, tmp_path):
    (tmp_path / "other").mkdir()
    for name, owner in (("gone", tmp_path / "gone"), ("other", tmp_path / "other")):
        folder = venv(bootstrap.CACHE / f"venv-{name}")
        (folder / "checkout").write_text(str(owner))
    bootstrap.ensure_environment()
    assert sorted(path.name for path in bootstrap.CACHE.iterdir()) == sorted(["venv-other", bootstrap._folder().name])
