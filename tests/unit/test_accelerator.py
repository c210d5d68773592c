import os
import time
from pathlib import Path

import pytest

from hyper2kvm import accelerator
from hyper2kvm.accelerator import AcceleratorProbe, device_obstacle, find_kernel, kernel_obstacle, probe, proven

FAKE_QEMU = """#!/bin/sh
if [ "$1" = --version ]; then echo "QEMU emulator version 99"; exit; fi
for argument; do case $argument in file,id=console,path=*) console=${argument#file,id=console,path=} ;; esac; done
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no answer from an earlier test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    probe.cache_clear()
    yield tmp_path / "cache" / "hyper2kvm" / "accelerator.json"
    probe.cache_clear()


@pytest.fixture
def fake_qemu(tmp_path, monkeypatch):
    """A QEMU that does what the test says: what a broken or working KVM does cannot be had at will."""

    def install(behaviour: str) -> None:
        program = tmp_path / "bin" / accelerator.QEMU
        program.parent.mkdir(exist_ok=True)
        program.write_text(FAKE_QEMU + behaviour)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return install


@pytest.fixture
def kernel(tmp_path):
    path = tmp_path / "vmlinuz"
    path.write_bytes(b"kernel")
    return path


@pytest.fixture
def with_device(monkeypatch, kernel):
    monkeypatch.setattr(accelerator, "device_obstacle", lambda _: None)
    monkeypatch.setattr(accelerator, "find_kernel", lambda: kernel)


def test_this_machine_has_one_answer_and_says_why(cache):
    found = probe()
    assert found.accelerator in {"kvm", "tcg"}
    assert found.why
    assert proven() == found.accelerator


def test_a_missing_device_is_named():
    assert device_obstacle(Path("/dev/no-kvm")) == "/dev/no-kvm does not exist"


def test_a_device_that_is_not_kvm_makes_no_machine():
    assert "makes no virtual machine" in (device_obstacle(Path("/dev/null")) or "")


def test_a_kernel_that_speaks_is_proof(fake_qemu, kernel):
    fake_qemu('echo "[    0.0] Linux version 6.1" > "$console"; exit 1')
    assert kernel_obstacle(kernel, deadline=10) is None


def test_a_kernel_that_speaks_and_hangs_later_is_proof(fake_qemu, kernel):
    fake_qemu('echo "[    0.0] Linux version 6.1" > "$console"; exec sleep 60')
    assert kernel_obstacle(kernel, deadline=0.5) is None


def test_a_silent_kernel_is_given_up_at_the_deadline(fake_qemu, kernel):
    fake_qemu("exec sleep 60")
    started = time.monotonic()
    assert "said nothing within 1 s" in (kernel_obstacle(kernel, deadline=1) or "")
    assert time.monotonic() - started < 10


def test_qemus_own_complaint_is_the_reason(fake_qemu, kernel):
    fake_qemu('echo "qemu-system-x86_64: error: failed to set MSR 0x10a" >&2; exit 3')
    assert kernel_obstacle(kernel, deadline=10) == "QEMU ended with 3 under KVM: error: failed to set MSR 0x10a"


def test_without_a_kernel_nothing_is_proven():
    assert "no Linux kernel" in (kernel_obstacle(None, deadline=1) or "")


def test_the_newest_kernel_is_taken_by_version_not_by_letters(tmp_path):
    for version in ("6.1.0-9-amd64", "6.1.0-10-amd64", "5.10.0-30-amd64"):
        (tmp_path / f"vmlinuz-{version}").touch()
    assert find_kernel(tmp_path, {}) == tmp_path / "vmlinuz-6.1.0-10-amd64"


def test_the_fixed_appliances_kernel_comes_first(tmp_path):
    (tmp_path / "vmlinuz-6.1.0-9-amd64").touch()
    (tmp_path / "kernel").touch()
    assert find_kernel(tmp_path, {"LIBGUESTFS_PATH": f"/nowhere:{tmp_path}"}) == tmp_path / "kernel"


def test_the_answer_is_remembered(cache, fake_qemu, with_device):
    fake_qemu('echo "Linux version 6.1" > "$console"')
    assert proven() == "kvm"
    probe.cache_clear()
    fake_qemu("exit 1")
    assert proven() == "kvm"


def test_an_answer_of_another_start_of_the_machine_is_not_used(cache, fake_qemu, with_device):
    cache.parent.mkdir(parents=True)
    cache.write_text(AcceleratorProbe(accelerator="kvm", why="it ran", seconds=1, key="another").to_json())
    fake_qemu("exit 1")
    assert proven() == "tcg"


def test_a_no_is_asked_again_after_an_hour(cache, fake_qemu, with_device):
    fake_qemu("exit 1")
    assert proven() == "tcg"
    probe.cache_clear()
    fake_qemu('echo "Linux version 6.1" > "$console"')
    assert proven() == "tcg"
    probe.cache_clear()
    os.utime(cache, (time.time() - 7200, time.time() - 7200))
    assert proven() == "kvm"


def test_a_cache_that_cannot_be_written_is_no_error(fake_qemu, with_device, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    probe.cache_clear()
    fake_qemu('echo "Linux version 6.1" > "$console"')
    assert proven() == "kvm"
    probe.cache_clear()


@pytest.mark.parametrize(("given", "seconds"), [("3", 3.0), ("0.5", 0.5), ("", 20.0), ("-1", 20.0), ("soon", 20.0)])
def test_the_deadline_can_be_set(monkeypatch, given, seconds):
    monkeypatch.setenv(accelerator.DEADLINE_VARIABLE, given)
    assert accelerator._deadline() == seconds
