from hyper2kvm.boot.hidden import hide, hide_in_file, shows

SECRET = "correct horse"  # noqa: S105 -- what is looked for


def test_secrets_are_hidden_in_texts_and_files(tmp_path):
    assert hide(f"typed {SECRET}, no", (SECRET, "")) == "typed *************, no"
    log = tmp_path / "serial.log"
    log.write_bytes(b"\xff\x00 correct horse\r\n")
    hide_in_file(log, (SECRET,))
    assert log.read_bytes() == b"\xff\x00 *************\r\n"
    hide_in_file(tmp_path / "missing", (SECRET,))


def test_secrets_are_seen_in_what_was_read_from_a_picture():
    """Tesseract takes o for 0 and loses blanks."""
    assert shows("Please unlock disk: c0rrecthorse", (SECRET,))
    assert not shows("Please unlock disk:", (SECRET, ""))
