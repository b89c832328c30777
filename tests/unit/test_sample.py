"""One streamed answer from recorded bytes: each time by its definition, to the nanosecond."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from wtsctl.latency.exchange import Chunk, Exchange
from wtsctl.latency.refusal import first_line
from wtsctl.latency.sample import Sample, read_chat

SENT = 1_000_000_000
MS = 1_000_000


def read(*events: tuple[int, Any], body: bytes = b"") -> Sample:
    """The sample of events, each a delta, a whole document or raw data, and its milliseconds after the request."""
    chunks = [Chunk(SENT + ms * MS, f"data: {data(what)}\n\n".encode()) for ms, what in events]
    return read_chat(
        Exchange(SENT, SENT + 3 * MS, status=200, content_type="text/event-stream", chunks=(*chunks, Chunk(0, body)))
    )


def data(what: Any) -> str:
    """An event's data: raw text as it is, a delta as a completion chunk."""
    if isinstance(what, str):
        return what
    return json.dumps(what if "choices" in what else {"choices": [{"delta": what}]})


FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def usage(tokens: Any) -> dict[str, Any]:
    """The last event, with the server's counts."""
    return {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}}


def test_every_time_by_its_definition() -> None:
    """Headers, role, reasoning, text, text, finish, usage and [DONE], one each 10 ms, are told apart."""
    one = read(
        (10, {"role": "assistant", "content": ""}),
        (20, {"reasoning_content": "hm"}),
        (30, {"content": "hel"}),
        (40, {"content": "lo"}),
        (50, FINISH),
        (60, usage(5)),
        (70, "[DONE]"),
    )
    assert (one.failure, one.answer, one.chunks) == (None, "hello", 3)
    assert (one.ttfb, one.ack, one.ttft, one.ttfo) == (0.003, 0.010, 0.020, 0.030)
    assert (one.total, one.done) == (0.040, 0.070)
    # From the first token to the last lie 20 ms and four gaps.
    assert one.tpot == pytest.approx(0.005)
    assert one.tokens_per_second == pytest.approx(5 / 0.040)


@pytest.mark.parametrize(
    "empty",
    [
        {"content": ""},
        {"content": None},
        {"content": 7},
        {"content": []},
        {"reasoning": ""},
        {"reasoning": {}},
        {"reasoning_content": True},
        {"tool_calls": []},
        {"tool_calls": [None]},
        {"tool_calls": "f"},
    ],
)
def test_what_is_no_token(empty: dict[str, Any]) -> None:
    """Only text that is not empty and tool calls are tokens, whatever else a server puts into a delta."""
    one = read((10, empty), (20, {"content": "x"}), (30, empty), (40, FINISH))
    assert (one.ttft, one.ttfo, one.total, one.chunks, one.answer) == (0.020, 0.020, 0.020, 1, "x")


@pytest.mark.parametrize("tokens", [-1, True, "5", 5.0, None, pytest.param(10**400, id="huge")])
def test_a_count_that_is_none(tokens: Any) -> None:
    """A count that no server can mean is no count: neither a rate nor TPOT, and no exception."""
    one = read((10, {"content": "a"}), (20, {"content": "b"}), (30, FINISH), (40, usage(tokens)))
    assert (one.completion_tokens, one.tpot, one.tokens_per_second) == (None, None, None)


@pytest.mark.parametrize(
    ("halves", "whole"), [((r"\ud83d", r"\ude42"), "🙂"), ((r"\ud83d", ""), "\ufffd"), (("", r"\ude42"), "\ufffd")]
)
def test_an_answer_can_always_be_written(halves: tuple[str, str], whole: str) -> None:
    """A character that came in two halves is whole again, and a lone half becomes U+FFFD, which UTF-8 can hold."""
    events = [(10, f'{{"choices":[{{"delta":{{"content":"{half}"}}}}]}}') for half in halves]
    one = read(*events, (20, FINISH))
    assert (one.failure, one.answer) == (None, whole)
    one.answer.encode()


def test_what_follows_the_last_blank_line_is_dropped() -> None:
    """An event that was cut off is none: the answer before it ends without a finish reason."""
    one = read((10, {"content": "x"}), body=b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n')
    assert one.failure is not None
    assert one.failure.kind.value == "truncated"


@pytest.mark.parametrize("page", [b"<title>" * 9_000, b"<title" * 10_000])
def test_no_page_holds_up_its_own_message(page: bytes) -> None:
    """A hostile page of 64 KiB costs milliseconds, not seconds."""
    began = time.process_time()
    assert first_line(page).startswith("<title")
    assert time.process_time() - began < 0.5
