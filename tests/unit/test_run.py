"""Programs: their output is bounded and scrubbed, their time limited, and their life tied to this process's."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hyper2kvm import run as module
from hyper2kvm.run import Service, last_lines, require, run, scrub
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason


def python(code, **options):
    return run([sys.executable, "-c", code], **({"deadline": 60} | options))


def test_output_is_returned_whole():
    done = python("import sys; sys.stdout.write('out' + sys.stdin.read()); sys.stderr.write('err')", stdin=b"put")
    assert (done.code, done.stdout, done.text, done.stderr) == (0, b"output", "output", "err")


def test_nothing_is_read_where_nothing_is_given():
    assert python("import sys; print(repr(sys.stdin.read()))").text == "''\n"


def test_input_that_is_not_read_is_no_error():
    assert python("pass", stdin=bytes(4 << 20)).code == 0


def test_of_endless_output_a_bounded_part_is_kept_and_the_memory_too(monkeypatch):
    monkeypatch.setattr(module, "MAX_OUTPUT", 1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = python(
        "import sys\n"
        "sys.stdout.write('first'); sys.stdout.write('x' * (200 << 20))\n"
        "sys.stderr.write('y' * (200 << 20)); sys.stderr.write('last')"
    )
    assert (len(done.stdout), len(done.stderr)) == (1 << 20, 1 << 20)
    assert done.stdout.startswith(b"first")
    assert done.stderr.endswith("last")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_a_program_that_takes_too_long_is_killed():
    started = time.monotonic()
    with pytest.raises(HostError) as caught:
        python("import time; time.sleep(600)", deadline=0.5)
    assert caught.value.reason is Reason.PROGRAM_TIMED_OUT
    assert time.monotonic() - started < 60


def test_a_failure_has_the_programs_last_words_and_the_callers_hint():
    with pytest.raises(HostError) as caught:
        python("import sys; sys.exit('one\\ntwo password=hunter2')", hint="Look there.")
    assert caught.value.reason is Reason.PROGRAM_FAILED
    assert caught.value.message.endswith("ended with 1: one / two password=***")
    assert caught.value.hint == "Look there."
    assert python("import sys; sys.exit(3)", check=False).code == 3


def test_a_missing_program_names_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError) as caught:
        require("qemu-img")
    assert (caught.value.reason, caught.value.message) == (Reason.PROGRAM_MISSING, "qemu-img is not installed")
    assert "qemu-utils" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"Password: s3cret!\n", "Password: ***\n"),
        ("token=abc key=def", "token=*** key=***"),
        ("passphrase:x", "passphrase:***"),
        ("monkey=1", "monkey=1"),
        ("\x1b]0;title\x07text\x9b2J", "\ufffd]0;title\ufffdtext\ufffd2J"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_secrets_and_commands_to_a_terminal_are_scrubbed(said, shown):
    assert scrub(said) == shown


def test_the_last_lines_are_one_line():
    assert last_lines("a\nb\n  c  \nd\ne\n") == "b / c / d / e"
    assert last_lines(" \n") == "no message"


SERVICE = """
import sys, time
from pathlib import Path
from hyper2kvm.run import Service
with Service([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"], log=Path(sys.argv[1])):
    print("started", flush=True)
    time.sleep(600)
"""


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def gone(pid):
    """Whether a process has ended, be it reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_service_dies_with_its_parent_even_by_kill_9(tmp_path):
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", SERVICE, str(log)], stdout=subprocess.PIPE) as parent:
        wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
        child = int(log.read_text())
        assert not gone(child)
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: gone(child))


def test_a_service_whose_parent_has_died_already_does_not_start(tmp_path):
    marker = tmp_path / "started"
    tether = module.tether.__file__
    done = subprocess.run(
        [sys.executable, "-I", "-S", tether, str(os.getpid() + 1), "/usr/bin/touch", str(marker)], check=False
    )
    assert done.returncode == 1
    assert not marker.exists()


def test_a_service_is_ended_with_its_context_and_tells_its_end(tmp_path):
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(600)"
    with Service([sys.executable, "-c", code], log=tmp_path / "log") as service:
        assert service.exit_code is None
        wait_for(lambda: service.messages() == "up\n")
    assert service.exit_code == 7
