import pytest

from hyper2kvm.boot.console import plain, size, tail


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"web01 login: ", "web01 login: "),
        (b"one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        (b"[\x1b[0;32m  OK  \x1b[0m] Started", "[  OK  ] Started"),
        (b"\x1b[2J\x1b[01;01H\x1b[=3hUEFI\x1b[07;01HPress ESC", "\nUEFI\nPress ESC"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b(Btext\x07\x00", "text"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_controls_of_terminals_are_left_out(raw, text):
    assert plain(raw) == text


def test_the_end_of_a_log_is_read(tmp_path):
    log = tmp_path / "serial.log"
    log.write_bytes(b"0123456789")
    assert tail(log, 4) == b"6789"
    assert tail(log) == b"0123456789"
    assert size(log) == 10


def test_a_log_that_is_not_there_yet_is_empty(tmp_path):
    assert tail(tmp_path / "serial.log") == b""
    assert size(tmp_path / "serial.log") == 0
