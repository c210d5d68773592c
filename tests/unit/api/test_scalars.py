import pytest

from hyper2kvm_api.scalars import duration_seconds, quantity_bytes


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
