"""Installing Debian's packages. apt-get stands in: a test neither installs nor removes any."""

import os

import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import packages


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Programs that note how they are called, and end as they are told to."""
    called = tmp_path / "called"

    def end(message: str, code: int) -> None:
        for name in ("apt-get", "dpkg", "systemctl"):
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(
                f'#!/bin/sh\necho {name} "$@" >> {called}\n[ "$1" != install ] && exit 0\n{message}\nexit {code}'
            )
            program.chmod(0o755)

    end("", 0)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(packages, "CACHE", tmp_path)
    monkeypatch.setattr(packages, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(packages, "_SYSTEMD", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    end.called = called
    return end


def test_only_services_of_what_is_installed_now_are_switched_off(apt):
    packages.install(["etcd-server", "mmdebstrap"])
    assert "systemctl disable --quiet etcd\n" in apt.called.read_text()
    apt.called.unlink()
    packages.install(["mmdebstrap"])
    assert "systemctl" not in apt.called.read_text()


def test_no_package_of_the_machine_is_removed(apt):
    apt("echo 'E: Packages need to be removed but remove is disabled.'", 100)
    with pytest.raises(HostError) as caught:
        packages.install(["containerd"])
    assert "--no-remove" in apt.called.read_text()
    assert "apt-get install --simulate" in caught.value.hint
    assert "systemctl" not in apt.called.read_text()


def test_services_may_start_again_after_an_installation_that_failed(apt, tmp_path):
    apt("test -x $(dirname $0)/../policy-rc.d || echo missing; exit 1", 1)
    with pytest.raises(HostError) as caught:
        packages.install(["containerd"])
    assert "missing" not in caught.value.message
    assert not (tmp_path / "policy-rc.d").exists()


def test_a_policy_that_a_killed_installation_left_goes_and_one_of_the_machines_own_stays(apt, tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text(packages._FORBIDDEN)
    packages.install(["containerd"])
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 101\n")
    packages.install(["containerd"])
    assert policy.read_text() == "#!/bin/sh\nexit 101\n"


def test_an_installation_that_was_killed_is_taken_up_again(apt):
    """apt: "dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem"."""
    packages.install(["containerd"])
    programs = [line.split()[0] for line in apt.called.read_text().splitlines()]
    assert programs[:3] == ["dpkg", "apt-get", "apt-get"]


def test_a_package_that_debian_does_not_have_is_missing():
    assert packages.missing(["base-files", "no-such-package-anywhere"]) == ["no-such-package-anywhere"]


def test_missing_packages_without_root_are_named(monkeypatch):
    monkeypatch.setattr(packages, "missing", lambda _: ["etcd-server"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError) as caught:
        packages.ensure_packages()
    assert caught.value.reason is Reason.PROGRAM_MISSING
    assert caught.value.hint.endswith("apt-get install --no-remove --no-install-recommends etcd-server")
