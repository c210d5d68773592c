"""What pyproject.toml asks for, what is locked, and what starts before anything is installed."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCK = REPOSITORY / "requirements.lock"
IMAGES = sorted(REPOSITORY.glob("*/requirements.lock"))


def pins(path):
    """Package → version."""
    found = re.findall(r"^([a-zA-Z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def wanted(*extras):
    project = PROJECT["project"]
    lists = [project["dependencies"], PROJECT["build-system"]["requires"]]
    return [
        Requirement(text)
        for each in [*lists, *(project["optional-dependencies"][name] for name in extras)]
        for text in each
    ]


@pytest.mark.parametrize("requirement", wanted(*PROJECT["project"]["optional-dependencies"]), ids=str)
def test_the_lock_has_what_is_asked_for_in_a_version_that_is_allowed(requirement):
    version = pins(LOCK).get(canonicalize_name(requirement.name))
    assert version is not None, "run `make lock`"
    assert requirement.specifier.contains(version), "run `make lock`"


@pytest.mark.parametrize("requirement", wanted(*PROJECT["project"]["optional-dependencies"]), ids=str)
def test_every_requirement_has_both_bounds(requirement):
    """A version that nobody has tested is not chosen: not an older one, and not the next major one."""
    operators = {specifier.operator for specifier in requirement.specifier}
    assert operators == {">=", "<"}


def test_the_version_is_stated_once():
    version = PROJECT["project"]["version"]
    chart = yaml.safe_load((REPOSITORY / "charts/hyper2kvm/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    values = yaml.safe_load((REPOSITORY / "charts/hyper2kvm/values.yaml").read_text())
    assert values["operator"]["image"]["name"] == f"hyper2kvm-operator:{version}"
    assert values["conversion"]["image"]["name"] == f"hyper2kvm-conversion:{version}"


@pytest.mark.parametrize("lock", [LOCK, *IMAGES], ids=lambda lock: str(lock.relative_to(REPOSITORY)))
def test_every_locked_package_has_a_digest_and_none_a_place(lock):
    text = lock.read_text()
    packages = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert len(packages) == len(pins(lock))
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"--index-url|--find-links|://", text)


@pytest.mark.parametrize("lock", IMAGES, ids=lambda lock: lock.parent.name)
def test_images_have_the_tested_versions(lock):
    assert pins(lock).items() <= pins(LOCK).items()


def test_the_bootstrap_runs_without_any_package():
    """-I -S: neither the environment, nor the folder of packages, nor the current folder is looked at."""
    script = REPOSITORY / "tests/lab/bootstrap.py"
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='looked at')"
    done = subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
