"""Text from servers on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtsctl.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("one\r\ntwo\tthree", r"one\r\ntwo\tthree"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\u202edef", r"abc\u202edef"),
        ("line\u2028end", r"line\u2028end"),
        ("Straße 漢字 🙂", "Straße 漢字 🙂"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    """Escape sequences, line ends and marks that turn text around become visible; letters stay."""
    assert printable(text) == shown


@given(st.text())
def test_nothing_dangerous_is_left(text: str) -> None:
    """Whatever comes in, no control, line-separating or direction-changing character goes out."""
    left = {unicodedata.category(one) for one in printable(text) if one != "\u200d"}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def test_a_cut_is_marked() -> None:
    """What exceeds the limit is cut before escaping, and the cut can be seen."""
    assert printable("a" * 201, 200) == "a" * 200 + "..."
    assert printable("a" * 200, 200) == "a" * 200
