"""How the appliance starts, does not start, and ends."""

import itertools
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hyper2kvm import accelerator
from hyper2kvm.disk.nodes import FileNode, ImageNode
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.guest import appliance as module
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.rawdisk import RawDisk, unpacked

pytestmark = pytest.mark.appliance


@pytest.fixture
def socket(tmp_path) -> Path:
    disk = RawDisk(tmp_path / "disk.img", 16)
    disk.ext4(0, unpacked(tmp_path / "tree", {"/file": b"content"}, {}))
    node = ImageNode(driver="raw", file=FileNode(filename=str(disk.path)))
    with NbdServer(node.options(), tmp_path / "s", writable=False, log=tmp_path / "nbd.log") as server:
        yield server.socket


def made(socket: Path, folder: Path, **values: object) -> Appliance:
    return Appliance([socket], accelerator=accelerator.proven(), log=folder / "log", **values)


def running() -> list[bytes]:
    """Command lines of the appliances that this process has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    started = [Path("/proc", process, "cmdline") for task in tasks for process in task.read_text().split()]
    return [line for line in (one.read_bytes() for one in started) if b"org.libguestfs.channel.0" in line]


def test_a_read_only_disk_can_be_looked_at(socket, tmp_path):
    with made(socket, tmp_path, readonly=True) as appliance:
        appliance.mount_one("/dev/sda", "/", writable=True)
        assert appliance.read("/file") == b"content"
        appliance.write("/file", b"changed", 0o644)
        (command,) = running()
        assert processor(command) == accelerator.CPUS[accelerator.proven()]
    assert running() == []


def processor(command: bytes) -> str:
    """QEMU's model of the processor: the last one counts."""
    words = command.decode().split("\0")
    return [value for option, value in itertools.pairwise(words) if option == "-cpu"][-1]


def test_a_disk_that_is_not_served_is_an_error_with_the_appliances_words(tmp_path, capfd):
    with pytest.raises(HostError, match="the libguestfs appliance failed") as caught, made(tmp_path / "no", tmp_path):
        pass
    assert caught.value.reason is Reason.APPLIANCE_FAILED
    assert "h2k doctor" in caught.value.hint
    assert str(tmp_path / "log") in caught.value.hint
    assert "Failed to connect" in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_a_launch_that_takes_too_long_is_ended(socket, tmp_path, capfd):
    with (
        pytest.raises(HostError, match="it did not start in 1 s") as caught,
        made(socket, tmp_path, readonly=True, deadline=1.0),
    ):
        pass
    assert caught.value.reason is Reason.APPLIANCE_FAILED
    assert running() == []
    assert capfd.readouterr() == ("", "")


def test_so_is_one_that_never_comes_to_start_it(socket, tmp_path, monkeypatch):
    """libguestfs asks QEMU for its abilities first."""
    asked = tmp_path / "qemu"
    asked.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/asked\nexec sleep 600\n")
    asked.chmod(0o755)
    monkeypatch.setenv("LIBGUESTFS_HV", str(asked))
    with pytest.raises(HostError, match="it did not start in 5 s"), made(socket, tmp_path, readonly=True, deadline=5.0):
        pass
    assert not Path("/proc", (tmp_path / "asked").read_text().strip()).exists()


def test_ctrl_c_ends_a_launch_at_once(socket, tmp_path):
    def interrupt() -> None:
        while not running():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), made(socket, tmp_path, readonly=True):
        pytest.fail("it started")
    assert time.monotonic() - started < 8
    assert running() == []


def test_without_the_bindings_the_error_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(HostError, match="guestfs is not installed") as caught:
        Appliance([], accelerator="tcg", log=tmp_path / "log")
    assert caught.value.reason is Reason.PROGRAM_MISSING
    assert "python3-guestfs" in caught.value.hint


def missing(name: str) -> object:
    raise ModuleNotFoundError(name)
