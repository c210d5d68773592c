import json
import socket
import threading

import pytest

from hyper2kvm.boot.qmp import MAX_LINE, Control, ControlLost
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

GREETING = {"QMP": {"version": {}, "capabilities": []}}
OK = {"return": {}}


@pytest.fixture
def qemu(tmp_path):
    """A server that greets and then gives the wanted answers, one a command; it keeps the commands."""
    path, commands, threads = tmp_path / "control", [], []

    def serve(*answers: bytes) -> Control:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            with listening, listening.accept()[0] as connection, connection.makefile("rb") as lines:
                connection.sendall(json.dumps(GREETING).encode() + b"\n")
                for each in answers:
                    commands.append(json.loads(lines.readline()))
                    connection.sendall(each)

        thread = threading.Thread(target=answer)
        thread.start()
        threads.append(thread)
        return Control(path, alive=lambda: True)

    serve.commands = commands  # type: ignore[attr-defined]  # a function takes any attribute
    yield serve
    for thread in threads:
        thread.join(10)


def line(message):
    return json.dumps(message).encode() + b"\n"


def test_a_command_returns_its_result(qemu):
    with qemu(line(OK), line({"return": {"status": "running"}})) as control:
        assert control.execute("query-status", detail=True) == {"status": "running"}
    assert qemu.commands == [
        {"execute": "qmp_capabilities", "arguments": {}},
        {"execute": "query-status", "arguments": {"detail": True}},
    ]


def test_events_in_between_are_kept(qemu):
    event = {"event": "RESET", "data": {"guest": True}}
    with qemu(line(OK), line(event) + line(OK)) as control:
        control.execute("query-status")
        assert list(control.events) == [event]


def test_only_the_last_events_are_kept(qemu):
    with qemu(line(OK), line({"event": "RESET"}) * 5000 + line(OK)) as control:
        control.execute("query-status")
        assert len(control.events) == 256


def test_a_refused_command_is_an_error(qemu):
    refusal = {"error": {"class": "GenericError", "desc": "no such device"}}
    with qemu(line(OK), line(refusal)) as control, pytest.raises(HostError, match="no such device") as caught:
        control.execute("screendump", filename="/x")
    assert caught.value.reason is Reason.PROGRAM_FAILED


@pytest.mark.parametrize("answer", [b"", b'{"return": ', b"x" * (MAX_LINE + 10)])
def test_a_qemu_that_ends_is_lost(qemu, answer):
    with qemu(line(OK), answer) as control, pytest.raises(ControlLost):
        control.execute("query-status")


@pytest.mark.parametrize("answer", [b"[]\n", b"not json\n"])
def test_what_is_no_message_is_an_error(qemu, answer):
    with qemu(line(OK), answer) as control, pytest.raises(HostError, match="does not speak QMP"):
        control.execute("query-status")


def test_a_qemu_that_does_not_start_is_lost(tmp_path):
    with pytest.raises(ControlLost), Control(tmp_path / "control", alive=lambda: False):
        pass
