"""One streamed chat answer, read from its bytes: what was said, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.latency.refusal import error_message, first_line, not_json, parsed, refusal
from wtsctl.latency.sse import events
from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wtsctl.latency.exchange import Exchange, Opening
    from wtsctl.latency.sse import Event

DONE = "[DONE]"
_FIRST_LINES = (b"data:", b"event:", b"id:", b"retry:", b":")
# No model writes more; a larger count is a defect of the server, and would leave the range of a float.
_MOST_TOKENS = 1 << 31


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times are seconds since its first byte was sent on an open connection; None: did not happen.

    Attributes:
        failure: why there is no complete answer; the other fields then hold what had come by then.
        ttfb: the response headers.
        ack: the first event, which may hold nothing (a role).
        ttft: the first token: content, reasoning or a tool call that is not empty.
        ttfo: the first token of the answer itself, after any reasoning.
        total: the last token; without any token, the finish.
        done: the `[DONE]` marker, which not every server sends.
        prompt_tokens: as the server counted them.
        completion_tokens: as the server counted them.
        chunks: events that carried tokens; one may carry several.
        finish_reason: why the model stopped.
        answer: the text, without reasoning and tool calls.
        opening: what connecting cost, if this request opened the connection; in none of the times.
        resent: whether this is a request's second try, after its first met a connection being closed.
    """

    failure: ProbeFailure | None = None
    ttfb: float | None = None
    ack: float | None = None
    ttft: float | None = None
    ttfo: float | None = None
    total: float | None = None
    done: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    chunks: int = 0
    finish_reason: str | None = None
    answer: str = ""
    opening: Opening | None = None
    resent: bool = False

    @property
    def tpot(self) -> float | None:
        """Seconds per token after the first; None for fewer than two tokens or without the server's count."""
        if self.completion_tokens is None or self.completion_tokens < 2:  # noqa: PLR2004 - there is no gap in one
            return None
        if self.total is None or self.ttft is None:
            return None
        return (self.total - self.ttft) / (self.completion_tokens - 1)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of the answer over its total time, waiting for the first one included."""
        if not self.completion_tokens or not self.total:
            return None
        return self.completion_tokens / self.total


def read_chat(exchange: Exchange) -> Sample:
    """The sample of one streamed `/chat/completions` exchange, complete or not."""
    failure = refusal(exchange)
    if failure is not None and (exchange.status is None or exchange.status >= 300):  # noqa: PLR2004 - no success
        return Sample(failure=failure, ttfb=_since(exchange, exchange.headers_ns), opening=exchange.opening)
    if failure is None and not _streamed(exchange):
        return Sample(
            failure=_not_streamed(exchange),
            ttfb=_since(exchange, exchange.headers_ns),
            opening=exchange.opening,
        )
    answer = _Answer()
    for event in events(exchange.chunks):
        answer.take(event)
    return Sample(
        # What the server itself says went wrong explains more than that the connection then broke.
        failure=answer.error or failure or answer.missing_end(),
        ttfb=_since(exchange, exchange.headers_ns),
        ack=_since(exchange, answer.ack_ns),
        ttft=_since(exchange, answer.first_ns),
        ttfo=_since(exchange, answer.first_output_ns),
        total=_since(exchange, answer.last_ns or answer.finish_ns),
        done=_since(exchange, answer.done_ns),
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        chunks=answer.chunks,
        finish_reason=answer.finish_reason,
        answer=_whole("".join(answer.text)),
        opening=exchange.opening,
    )


def _since(exchange: Exchange, at_ns: int | None) -> float | None:
    if at_ns is None or exchange.sent_ns is None:
        return None
    return (at_ns - exchange.sent_ns) / 1e9


def _streamed(exchange: Exchange) -> bool:
    # Some gateways drop the media type, so the body's first line decides where the header does not.
    return exchange.content_type == "text/event-stream" or exchange.body.lstrip().startswith(_FIRST_LINES)


def _not_streamed(exchange: Exchange) -> ProbeFailure:
    document = parsed(exchange.body)
    if document is None:
        return not_json(exchange)
    said = error_message(document)
    if said:
        message = f"HTTP {exchange.status} with an error: {said}"
        return ProbeFailure(FailureKind.ERROR, message, exchange.status)
    if isinstance(document, dict) and "choices" in document:
        message = "a stream was asked for, and the whole answer came in one piece"
        return ProbeFailure(FailureKind.NOT_STREAMED, message, exchange.status)
    message = f"answered with JSON that is no chat completion: {first_line(exchange.body)}"
    return ProbeFailure(FailureKind.SHAPE, message, exchange.status)


class _Answer:
    """What the events of one stream add up to."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.error: ProbeFailure | None = None
        self.ack_ns: int | None = None
        self.first_ns: int | None = None
        self.first_output_ns: int | None = None
        self.last_ns: int | None = None
        self.finish_ns: int | None = None
        self.done_ns: int | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.chunks = 0
        self.finish_reason: str | None = None

    def take(self, event: Event) -> None:
        """Add one event; after an error or the end, nothing more is read."""
        if self.error is not None or self.done_ns is not None:
            return
        if event.data.strip() == DONE:
            self.done_ns = event.at_ns
            return
        try:
            document = json.loads(event.data)
        except (ValueError, RecursionError):
            message = f"an event of the stream is no JSON: {printable(event.data, 120)}"
            self.error = ProbeFailure(FailureKind.SHAPE, message)
            return
        self.ack_ns = self.ack_ns or event.at_ns
        if not isinstance(document, dict):
            return
        if document.get("error"):
            message = f"the stream broke off with an error: {error_message(document)}"
            self.error = ProbeFailure(FailureKind.ERROR, message)
            return
        self._count(document.get("usage"))
        for choice in _dicts(document.get("choices")):
            self._choice(choice, event.at_ns)

    def missing_end(self) -> ProbeFailure | None:
        """The failure of a stream that stopped in the middle: neither a finish reason nor `[DONE]` came."""
        if self.finish_reason is not None or self.done_ns is not None:
            return None
        if self.ack_ns is None:
            return ProbeFailure(FailureKind.TRUNCATED, "the stream ended without an event")
        chunks = f"{self.chunks} chunk{'s' * (self.chunks != 1)}"
        message = f"the stream ended after {chunks} without a finish reason or [DONE]"
        return ProbeFailure(FailureKind.TRUNCATED, message)

    def _choice(self, choice: dict[str, Any], at_ns: int) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            content = _text(delta.get("content"))
            output = bool(content) or any(_dicts(delta.get("tool_calls")))
            if output or _text(delta.get("reasoning")) or _text(delta.get("reasoning_content")):
                self.first_ns = self.first_ns or at_ns
                self.last_ns = at_ns
                self.chunks += 1
            if output:
                self.first_output_ns = self.first_output_ns or at_ns
            self.text.append(content)
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self.finish_reason = printable(reason, 40)
            self.finish_ns = at_ns

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        self.prompt_tokens = _count_of(usage.get("prompt_tokens"), self.prompt_tokens)
        self.completion_tokens = _count_of(usage.get("completion_tokens"), self.completion_tokens)


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(text: str) -> str:
    """`text` with the two halves of a character joined that came in two events, and a lone half replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count_of(value: Any, otherwise: int | None) -> int | None:
    counts = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS
    return value if counts else otherwise
