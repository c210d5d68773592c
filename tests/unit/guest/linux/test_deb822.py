from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.linux import deb822

TEXT = (
    b"Package: a\nStatus: install ok installed\nDescription: one\n two\n .\n three\n\nPackage: b\n\n\nPackage: c\nX: y"
)


def test_stanzas_are_split_at_empty_lines():
    assert [deb822.field(stanza, "Package") for stanza in deb822.stanzas(TEXT)] == ["a", "b", "c"]


def test_fields_have_their_continuation_lines_and_no_case():
    first = deb822.stanzas(TEXT)[0]
    assert deb822.field(first, "description") == "one\n two\n .\n three"
    assert deb822.field(first, "Depends") is None


def test_a_field_is_replaced_alone():
    first = deb822.stanzas(TEXT)[0]
    assert deb822.with_field(first, "Description", r"new \1") == (
        b"Package: a\nStatus: install ok installed\nDescription: new \\1\n"
    )


def test_removed_stanzas_take_their_gap_with_them():
    def without(name):
        return deb822.mapped(TEXT, lambda stanza: b"" if deb822.field(stanza, "Package") == name else stanza)

    assert without("a") == b"Package: b\n\n\nPackage: c\nX: y"
    assert without("b") == TEXT.replace(b"\nPackage: b\n", b"")
    assert without("c") == TEXT.removesuffix(b"\n\nPackage: c\nX: y")


@given(st.binary(max_size=80).map(lambda data: data.replace(b"x", b"\n")))
def test_what_is_not_changed_stays(content):
    assert deb822.mapped(content, lambda stanza: stanza) == content
