"""Makes a machine ready: `python3 tests/lab/bootstrap.py [--benchmarks]`. Does nothing where nothing is missing.

It runs before any Python package is installed: whatever it imports needs the standard library alone.
"""

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / folder) for folder in ("crds", "conversion-image", "tests")]

from lab import packages  # noqa: E402 -- after the path
from lab.cluster.layout import CACHE  # noqa: E402
from lab.cluster.lock import alone  # noqa: E402
from lab.cluster.packages import PACKAGES, install, missing  # noqa: E402
from lab.cluster.progress import exit_code, run_long, say  # noqa: E402

PYTHON = "/usr/bin/python3"
"""Debian's own: the bindings of libguestfs and libnbd are made for it."""

LINK = REPOSITORY / ".venv"
_OWNER = "checkout"
"""File in an environment with the path of the checkout that it belongs to."""
_SECONDS = 1800


@dataclass(frozen=True)
class Step:
    """One call of pip.

    Attributes:
        name: names its stamp in the environment.
        file: the step is done again when this file has changed.
        arguments: pip's.
    """

    name: str
    file: Path
    arguments: tuple[str, ...]

    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()


_LOCK = REPOSITORY / "requirements.lock"
STEPS = (
    Step("packages", _LOCK, ("--require-hashes", "--requirement", str(_LOCK))),
    Step(
        "project", REPOSITORY / "pyproject.toml", ("--no-deps", "--no-build-isolation", "--editable", str(REPOSITORY))
    ),
)
"""What an environment is filled with."""


def ensure_packages(*, benchmarks: bool) -> None:
    """Install the Debian packages that are missing.

    Raises:
        HostError: this is not root (the hint has the command), or apt-get failed.
    """
    wanted = PACKAGES | packages.TESTS | (packages.BENCHMARKS if benchmarks else {})
    lacking = missing(wanted)
    if not lacking:
        return
    for package in lacking:
        say(f"not installed: {package} ({wanted[package]})")
    install(lacking)


def ensure_environment() -> None:
    """Make .venv hold exactly the locked packages and this checkout.

    It is a link into the cache, so that a cleaned checkout finds its environment again. A folder that somebody made
    there is kept and brought up to date.

    Raises:
        HostError: pip or venv failed; the message quotes them.
    """
    folder = _folder()
    if not _whole(folder):
        if folder != LINK:
            shutil.rmtree(folder, ignore_errors=True)
        _run("a Python environment", PYTHON, "-m", "venv", "--system-site-packages", str(folder))
    for step in STEPS:
        stamp = folder / f"{step.name}.sha256"
        if stamp.exists() and stamp.read_text() == step.digest():
            continue
        pip = (str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
        _run(f"pip install: the {step.name}", *pip, *step.arguments)
        stamp.write_text(step.digest())
    if folder != LINK:
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(folder)
        (folder / _OWNER).write_text(str(REPOSITORY))
        _forget_others(folder)


def _whole(folder: Path) -> bool:
    """Whether an environment was made to its end: that it sees Debian's packages is the last thing that venv writes."""
    settings = folder / "pyvenv.cfg"
    return settings.exists() and "include-system-site-packages = true" in settings.read_text()


def _forget_others(used: Path) -> None:
    """Remove the environments of this checkout with other packages, and those of checkouts that are gone."""
    for owner in CACHE.glob(f"venv-*/{_OWNER}"):
        checkout = Path(owner.read_text())
        if owner.parent != used and (checkout == REPOSITORY or not checkout.exists()):
            shutil.rmtree(owner.parent, ignore_errors=True)


def _folder() -> Path:
    """An environment belongs to a checkout, as the project is installed from it, and to the locked packages."""
    if LINK.is_dir() and not LINK.is_symlink():
        return LINK
    name = hashlib.sha256(_LOCK.read_bytes() + os.fsencode(REPOSITORY) + sys.version.encode()).hexdigest()
    return CACHE / f"venv-{name[:16]}"


def _run(what: str, *arguments: str) -> None:
    run_long(arguments, what=what, log=CACHE / "bootstrap.log", deadline=_SECONDS, environment={"CI": "true"})


def main(arguments: list[str]) -> int:
    """Carry out the command; its exit code."""
    with alone(CACHE / "bootstrap.lock", "whoever else makes this machine ready"):
        ensure_packages(benchmarks="--benchmarks" in arguments)
        ensure_environment()
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:])))
