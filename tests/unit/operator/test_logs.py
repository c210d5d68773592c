import json
import logging

import pytest

from hyper2kvm_operator.logs import configure

LOG = logging.getLogger("hyper2kvm.test")


@pytest.fixture
def log_as():
    """`configure`, whose changes end with the test."""
    root, kopf = logging.getLogger(), logging.getLogger("kopf")
    handlers, level, kopfs = list(root.handlers), root.level, kopf.level
    # Those that pytest has put there are not closed by it.
    root.handlers.clear()
    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)
    kopf.setLevel(kopfs)


def test_a_line_of_json_names_the_object_that_it_is_about(log_as, capsys):
    log_as("json")
    LOG.warning("the API server refuses: %s", "no\nway ü", extra={"migration": "moves/web01"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    told = json.loads(lines[0])
    assert told.pop("time")
    assert told == {
        "level": "warning",
        "logger": "hyper2kvm.test",
        "message": "the API server refuses: no\nway ü",
        "migration": "moves/web01",
    }


def test_a_line_about_no_object_names_none(log_as, capsys):
    log_as("json")
    LOG.info("started")
    assert "migration" not in json.loads(capsys.readouterr().err)


def test_an_exception_stays_in_its_line(log_as, capsys):
    log_as("json")
    try:
        int("broken")
    except ValueError:
        LOG.exception("unexpected error", extra={"migration": "moves/web01"})
    told = json.loads(capsys.readouterr().err)
    assert (told["level"], told["migration"]) == ("error", "moves/web01")
    assert told["exception"].endswith("ValueError: invalid literal for int() with base 10: 'broken'")


def test_text_names_the_object_too(log_as, capsys):
    log_as("text")
    LOG.info("Succeeded", extra={"migration": "moves/web01"})
    assert capsys.readouterr().err.endswith(" INFO hyper2kvm.test moves/web01: Succeeded\n")


def test_kopf_is_heard_when_it_warns(log_as, capsys):
    log_as("json")
    logging.getLogger("kopf.objects").info("handler is invoked")
    logging.getLogger("kopf.objects").warning("stream broke")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["stream broke"]
