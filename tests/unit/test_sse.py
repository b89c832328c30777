"""Server-sent events from bytes cut anywhere."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from wtsctl.latency.exchange import Chunk
from wtsctl.latency.sse import Event, events

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
# Everything that str.splitlines would split on and the standard does not, and characters of 1 to 4 bytes.
VALUES = st.text(alphabet=st.sampled_from("ab :{}\u2028\u2029\u0085\x0b\x0c\x1cäж漢🙂\ufeff"), max_size=8)


def cut(body: bytes, borders: list[int]) -> list[Chunk]:
    """`body` in chunks that end at `borders`, the i-th of them stamped i."""
    places = [0, *sorted({border % (len(body) + 1) for border in borders}), len(body)]
    return [Chunk(index, body[a:b]) for index, (a, b) in enumerate(itertools.pairwise(places))]


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """A well-formed stream in any mix of line ends, and the data of its events."""
    text, expected = "", []
    for lines in draw(st.lists(st.lists(VALUES, min_size=1, max_size=3), max_size=6)):
        end = draw(LINE_ENDS)
        if draw(st.booleans()):
            text += f": keep-alive{end}id: 7{end}"
        text += "".join(f"data: {line}{end}" for line in lines) + end
        expected.append("\n".join(lines))
    return text.encode(), expected


@given(stream=streams(), borders=st.lists(st.integers(0, 10_000), max_size=30))
def test_any_chunking_gives_the_same_events(stream: tuple[bytes, list[str]], borders: list[int]) -> None:
    """However the bytes are cut, within a character or between CR and LF, the data is what was sent."""
    body, expected = stream
    assert [event.data for event in events(cut(body, borders))] == expected


@given(stream=streams())
def test_an_event_is_stamped_by_its_last_byte(stream: tuple[bytes, list[str]]) -> None:
    """Byte by byte, each event carries the stamp of the first byte after which the body already holds it."""
    body, expected = stream
    stamps = [event.at_ns for event in events([Chunk(i, body[i : i + 1]) for i in range(len(body))])]
    complete = [
        next(end - 1 for end in range(len(body) + 1) if len(events([Chunk(0, body[:end])])) == count)
        for count in range(1, len(expected) + 1)
    ]
    assert stamps == complete


@given(body=st.binary(max_size=300), borders=st.lists(st.integers(0, 300), max_size=10))
def test_no_bytes_break_it(body: bytes, borders: list[int]) -> None:
    """Any bytes at all give the same events whole and cut, and no exception."""
    assert [one.data for one in events(cut(body, borders))] == [one.data for one in events([Chunk(0, body)])]


def test_what_the_standard_says() -> None:
    """A BOM is dropped, one space after the colon is, comments and other fields are, lines join by LF."""
    body = b"\xef\xbb\xbf: hi\ndata:one\ndata:  two\nevent: x\ndata\n\nretry: 1\n\ndata: cut off"
    assert events([Chunk(5, body)]) == (Event(5, "one\n two\n"),)


def test_nothing() -> None:
    """No chunks are no events."""
    assert events([]) == ()
