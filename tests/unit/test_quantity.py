"""Amounts and times: what Kubernetes takes, no more and no less."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtsctl.catalog.quantity import parse_bytes, parse_duration, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("500m", Fraction(1, 2)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("+2", 2),
        ("1k", 1000),
        ("1Ki", 1024),
        ("64Gi", 64 * 2**30),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("12e-1", Fraction(6, 5)),
        ("100u", Fraction(1, 10**4)),
    ],
)
def test_quantities(text: str, value: Fraction) -> None:
    """Every suffix and spelling of the grammar has its exact value."""
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "0", "0Gi", "1 Gi", "1gi", "1KI", "Gi", "1e", "1e400", "9Ei", "٣", "1" * 40, "nan"]
)
def test_no_quantities(text: str) -> None:
    """What is no positive amount that fits 64 bits is refused, and the message shows it."""
    with pytest.raises(ValueError, match="expected a quantity") as caught:
        parse_quantity(text)
    assert str(caught.value).endswith(f"got '{text}'")


@given(st.integers(1, 10**6), st.sampled_from(["", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_bytes_are_whole(number: int, suffix: str) -> None:
    """Memory is a whole number of bytes, the same as the quantity's value."""
    assert parse_bytes(f"{number}{suffix}") == parse_quantity(f"{number}{suffix}")


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("2s", 2), ("1m30s", 90), ("1.5h", 5400), ("24h", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    """Go's notation, in seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "0s", "1 s", "1d", "25h", "1s2", "1e3s", "٣s", "9" * 400 + "h"])
def test_no_durations(text: str) -> None:
    """A number without a unit, nothing at all, and more than a day are refused."""
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(1, 999))
def test_durations_add_up(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    """The parts of a duration are added, whatever they are."""
    text = f"{hours}h{minutes}m{seconds}s{milliseconds}ms"
    assert parse_duration(text) == pytest.approx(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    """No text makes the parsers fail in another way than with a ValueError."""
    for parse in (parse_quantity, parse_bytes, parse_duration):
        with contextlib.suppress(ValueError):
            assert parse(text) > 0
