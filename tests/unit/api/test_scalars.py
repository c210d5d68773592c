import re

import pydantic
import pytest

from hyper2kvm_api.scalars import (
    DURATION_PATTERN,
    QUANTITY_PATTERN,
    Duration,
    Quantity,
    duration_seconds,
    quantity_bytes,
)

SOME = {
    Quantity: ["1", "512Mi", "0.5Gi", "00.01k", "010G", "1.0Gi", "999999P"],
    Duration: ["1s", "0h1s", "1h0m0s", "0m01s", "10m", "1h30m", "100h0s", "00h10m"],
}
NONE = {
    Quantity: ["0", "0Gi", "0.0Gi", "00", "0.000", "Gi", "", "-1Gi", "1.Gi", "1e3"],
    Duration: ["0s", "0h0m", "0h0m0s", "00m", "", "h", "1m1h", "10"],
}
PATTERNS = {Quantity: QUANTITY_PATTERN, Duration: DURATION_PATTERN}


def pairs(table):
    return [(kind, text) for kind, texts in table.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), pairs(SOME))
def test_amounts_of_something_are_taken(kind, text):
    assert pydantic.TypeAdapter(kind).validate_python(text) == text
    assert re.search(PATTERNS[kind], text)


@pytest.mark.parametrize(("kind", "text"), pairs(NONE))
def test_amounts_of_nothing_are_refused(kind, text):
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(kind).validate_python(text)
    assert not re.search(PATTERNS[kind], text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("512Mi", 512 * 1024**2),
        ("40G", 40 * 1000**3),
        ("1.5Gi", 3 * 512 * 1024**2),
        ("0.1k", 100),
        ("0.0001k", 1),
        ("2Pi", 2 * 1024**5),
    ],
)
def test_quantities_are_bytes(text, expected):
    assert quantity_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "Gi", "1g", "-1", "1 Gi", "1e3", "1.Gi"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="not a quantity"):
        quantity_bytes(text)


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h1m1s", 3661)])
def test_durations_are_seconds(text, expected):
    assert duration_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "1d", "m", "1m1h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        duration_seconds(text)
