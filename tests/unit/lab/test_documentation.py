import pytest

from lab.documentation import untold

TOLD = "[   12 s] web01: Converting · Convert 20 % 116.2 MiB/s\nNAME    AGE\nweb01   113s\n"


@pytest.mark.parametrize(
    ("block", "missing"),
    [
        ("web01: Converting · Convert 44 % 9 MiB/s\nNAME AGE\nweb01  1m53s\n\n", []),
        ("web02: Converting · Convert 44 % 9 MiB/s", []),
        ("web01: Converting · Fix\nNAME AGE", ["web01: Converting · Fix"]),
        ("NAME   STATUS   AGE", ["NAME   STATUS   AGE"]),
    ],
    ids=["numbers and widths", "a number in a name", "a line", "a column"],
)
def test_lines_that_a_program_does_not_say_are_found(block, missing):
    assert untold(block, TOLD) == missing
