from hyper2kvm.guest.linux import reading

from .situations import memory

GUEST = memory(
    {"/etc/a.conf": b"caf\xe9", "/etc/b.conf/file": b""}, {"/etc/c.conf": "nowhere", "/etc/d.conf": "a.conf"}
)


def test_folders_and_links_to_nothing_are_passed_over():
    assert reading.matching(GUEST, "/etc/*.conf") == ["/etc/a.conf", "/etc/d.conf"]


def test_other_encodings_survive():
    assert [text.encode("utf-8", "surrogateescape") for _, text in reading.texts(GUEST, "/etc/a.conf")] == [b"caf\xe9"]
