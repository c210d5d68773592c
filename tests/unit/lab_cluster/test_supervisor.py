import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lab.cluster import namespace
from lab.cluster.supervisor import Node, Service, accepts
from unit.eventually import eventually

TESTS = Path(__file__).parents[2]


@pytest.fixture
def supervise(tmp_path):
    """Starts a supervisor, as an ordinary process, with its document on standard input."""
    started = []

    def start(node: Node) -> None:
        with (tmp_path / "supervisor.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lab.cluster.supervisor"],
                stdin=subprocess.PIPE,
                stdout=log,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
                start_new_session=True,
            )
        started.append(process)
        process.stdin.write(node.model_dump_json().encode())
        process.stdin.close()

    yield start
    for process in started:
        services = namespace.children(process.pid)
        process.kill()
        process.wait()
        for service in services:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(service, signal.SIGKILL)


def shell(name: str, script: str, *after: str) -> Service:
    environment = {"PATH": os.environ["PATH"]}
    return Service(name=name, arguments=("bash", "-c", script), after=after, environment=environment)


def test_a_service_that_ends_is_started_again(supervise, tmp_path):
    supervise(Node(logs=tmp_path, services=(shell("short", "echo started; exit 3"),)))
    log = tmp_path / "short.log"
    eventually(lambda: log.exists() and log.read_text().count("started") >= 2)
    assert "short ended with 3" in (tmp_path / "supervisor.log").read_text()


def test_a_service_waits_for_what_it_needs(supervise, tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        supervise(Node(logs=tmp_path, services=(shell("late", "echo up; sleep 60", address),)))
        time.sleep(1.5)
        assert not (tmp_path / "late.log").exists()
        server.listen()
        eventually((tmp_path / "late.log").exists)


def test_preparation_comes_first(supervise, tmp_path):
    script = f"test -e {tmp_path}/prepared && echo yes; sleep 60"
    supervise(Node(prepare=(("touch", f"{tmp_path}/prepared"),), logs=tmp_path, services=(shell("after", script),)))
    eventually(lambda: (tmp_path / "after.log").exists() and (tmp_path / "after.log").read_text() == "yes\n")


def test_a_killed_service_is_told_with_its_signal(supervise, tmp_path):
    supervise(Node(logs=tmp_path, services=(shell("killed", "echo $$; exec sleep 60"),)))
    log = tmp_path / "killed.log"
    eventually(lambda: log.exists() and log.stat().st_size > 0)
    os.kill(int(log.read_text()), signal.SIGKILL)
    eventually(lambda: "killed ended with -9" in (tmp_path / "supervisor.log").read_text())


def test_without_a_document_there_is_nothing_to_do():
    command = [sys.executable, "-m", "lab.cluster.supervisor"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    assert subprocess.run(command, check=False, stdin=subprocess.DEVNULL, env=environment).returncode == 0


def test_a_unix_socket_is_an_address(tmp_path):
    path = str(tmp_path / "socket")
    assert not accepts(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert accepts(path)
