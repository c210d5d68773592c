import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import progress


def test_waiting_ends_when_nothing_is_missing(capsys):
    answers = iter(["an answer", "an answer", None])
    progress.wait_for("it", lambda: next(answers), deadline=5, pause=0)
    assert "it: ready" in capsys.readouterr().out


def test_a_deadline_tells_what_was_missing_and_what_the_log_says(tmp_path):
    log = tmp_path / "etcd.log"
    log.write_text("listen tcp: address already in use\n")
    with pytest.raises(HostError) as caught:
        progress.wait_for("etcd", lambda: "its port is closed", deadline=0.1, log=log, pause=0.05)
    assert caught.value.reason is Reason.PROGRAM_TIMED_OUT
    assert "its port is closed" in caught.value.message
    assert "address already in use" in caught.value.message
    assert str(log) in caught.value.hint


def test_waiting_says_so_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PERIOD", 0.05)
    answers = iter([*["a node"] * 4, None])
    progress.wait_for("the kubelet", lambda: next(answers), deadline=5, pause=0.05)
    assert "the kubelet: waiting" in capsys.readouterr().out


def test_a_long_programs_newest_line_is_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "PERIOD", 0.2)
    script = "echo compiling; sleep 0.5; echo linking"
    progress.run_long(["bash", "-c", script], what="the build", log=tmp_path / "log", deadline=10)
    assert "the build: 0 s, compiling" in capsys.readouterr().out
    assert (tmp_path / "log").read_text() == "compiling\nlinking\n"


@pytest.mark.parametrize(
    ("script", "reason"), [("echo no space; exit 1", Reason.PROGRAM_FAILED), ("sleep 60", Reason.PROGRAM_TIMED_OUT)]
)
def test_a_long_program_that_fails_is_quoted(tmp_path, monkeypatch, script, reason):
    monkeypatch.setattr(progress, "PERIOD", 0.1)
    with pytest.raises(HostError) as caught:
        progress.run_long(["bash", "-c", script], what="the build", log=tmp_path / "log", deadline=0.5)
    assert caught.value.reason is reason
    assert str(tmp_path / "log") in caught.value.hint
