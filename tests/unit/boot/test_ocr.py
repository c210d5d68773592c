"""Tesseract on screens that real guests have shown: SeaBIOS, OVMF and Linux in text mode and on a framebuffer."""

import pytest

from hyper2kvm.boot import ocr
from hyper2kvm.boot.ocr import prepared, read
from hyper2kvm.boot.screen import Picture
from hyper2kvm.boot.signs import find_sign, quote, shows_login
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from unit.boot.situations import load_screen


@pytest.mark.parametrize(
    ("screen", "meaning", "quoted"),
    [
        ("seabios-no-disk", "no disk is bootable", "No bootable device"),
        ("ovmf-shell", "opened its own shell", ">"),
        ("kernel-panic", "kernel panic", "Unable to mount root"),
        ("initramfs-shell", "shell of its initramfs", "does not exist"),
        ("emergency", "emergency mode", "Dependency failed for"),
    ],
)
def test_stops_are_read_from_real_screens(screen, meaning, quoted):
    text = read(load_screen(screen))
    sign = find_sign(text)
    assert sign is not None
    assert meaning in sign.meaning
    assert quoted in quote(sign, text)


def test_a_login_prompt_is_read_from_a_real_screen():
    text = read(load_screen("login"))
    assert shows_login(text)
    assert find_sign(text) is None


def test_a_blank_screen_has_no_text():
    assert not read(Picture(720, 400, bytes(720 * 400 * 3)))


def test_pictures_become_large_and_dark_on_light():
    picture = Picture(3, 1, b"\x00\x00\x00" * 2 + b"\x00\xff\x00")
    assert prepared(picture) == b"P5 6 2 255\n" + b"\xff\xff\xff\xff\x00\x00" * 2


def test_light_screens_are_not_inverted():
    picture = Picture(3, 1, b"\xff\xff\xff" * 2 + b"\x00\x00\x00")
    assert prepared(picture).endswith(b"\xff\xff\xff\xff\x00\x00")


def test_what_tesseract_cannot_read_is_no_text(monkeypatch):
    def failing(*_, **__):
        raise HostError(Reason.PROGRAM_TIMED_OUT, "tesseract did not end")

    monkeypatch.setattr(ocr, "run", failing)
    assert not read(load_screen("login"))


def test_missing_tesseract_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError) as caught:
        read(load_screen("login"))
    assert caught.value.reason is Reason.PROGRAM_MISSING
    assert "tesseract-ocr" in caught.value.hint
