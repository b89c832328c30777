"""Server-sent events out of raw bytes, as the HTML standard reads them.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

Split on the bytes CR and LF alone. `str.splitlines` and httpx's `iter_lines` split on U+2028 and U+0085 as well,
which model servers send unescaped inside a JSON string.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.latency.exchange import Chunk

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data, and when the byte that completed it had come (monotonic nanoseconds)."""

    at_ns: int
    data: str


def events(chunks: Sequence[Chunk]) -> tuple[Event, ...]:
    """The events in `chunks`, however the bytes are cut into chunks.

    Comments and fields other than `data` are dropped, and so is what follows the last blank line, as the
    standard asks: an event that was not finished may have lost its end.
    """
    body = b"".join(chunk.data for chunk in chunks)
    ends = list(accumulate(len(chunk.data) for chunk in chunks))
    found: list[Event] = []
    data: list[bytes] = []
    start = len(_BOM) if body.startswith(_BOM) else 0
    for end in _LINE_END.finditer(body, start):
        line = body[start : end.start()]
        start = end.end()
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
        elif data:
            # The first byte of the line end dispatches the event: after a CR nobody waits for a LF.
            stamp = chunks[bisect_right(ends, end.start())].at_ns
            found.append(Event(stamp, b"\n".join(data).decode("utf-8", errors="replace")))
            data = []
    return tuple(found)
