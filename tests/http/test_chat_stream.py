"""One streamed chat answer, against a server that does each of these things on the wire."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.rawserver import LAST_CHUNK, RESET, SSE, RawServer, answer, chunk
from wtsctl.catalog.smoke import Prompt
from wtsctl.latency.failure import FailureKind
from wtsctl.probe.chat import ask
from wtsctl.probe.session import Session
from wtsctl.probe.target import Timeouts, direct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.rawserver import Step
    from wtsctl.latency.sample import Sample

PROMPT = Prompt.model_validate(
    {"name": "p", "prompt": "Say hello.", "maxTokens": 16, "assert": [{"contains": "hello"}]}
)


def event(document: Any) -> bytes:
    """One server-sent event."""
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def delta(finish: str | None = None, **fields: Any) -> bytes:
    """A chunk of a chat completion."""
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def usage(completion: int, prompt: int = 7) -> bytes:
    """The last chunk, with the server's counts."""
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


ROLE = delta(role="assistant", content="")
DONE = event("[DONE]")


def asked(*script: Step, total: float = 5.0) -> Sample:
    """The sample of one request that is answered by `script`."""
    return all_asked([script], total=total)[0]


def all_asked(scripts: Sequence[Sequence[Step]], total: float = 5.0) -> list[Sample]:
    """One sample for each script, over one session."""
    with RawServer(scripts) as server, Session(direct(server.url, Timeouts(total=total))) as session:
        return [ask(session, "m", PROMPT) for _ in scripts]


def streamed(*parts: Step) -> list[Step]:
    """A script that sends each part as a chunk of its own and ends properly."""
    return [SSE, *(chunk(part) if isinstance(part, bytes) else part for part in parts), LAST_CHUNK]


def test_a_plain_answer() -> None:
    """Text, counts, finish reason and the order of the times of an ordinary stream."""
    one = asked(*streamed(ROLE, 0.2, delta(content="hel"), 0.2, delta(content="lo"), delta("stop"), usage(2), DONE))
    assert one.failure is None
    assert (one.answer, one.finish_reason, one.chunks) == ("hello", "stop", 2)
    assert (one.prompt_tokens, one.completion_tokens) == (7, 2)
    assert one.ttfb is not None
    assert one.ack is not None
    assert one.ttft is not None
    assert one.total is not None
    assert one.done is not None
    assert 0 < one.ttfb <= one.ack < one.ttft < one.total <= one.done
    assert one.ttfo == one.ttft
    assert one.tpot == pytest.approx(one.total - one.ttft)
    assert one.tokens_per_second == pytest.approx(2 / one.total)


def test_the_request() -> None:
    """Temperature 0, a fixed seed, streamed with usage, uncompressed, HTTP/1.1, and UTF-8 in the body."""
    prompt = PROMPT.model_copy(update={"prompt": "Grüße?", "system": "Be brief."})
    script = streamed(delta("stop", content="x"))
    with RawServer([script]) as server, Session(direct(server.url, Timeouts())) as session:
        ask(session, "m", prompt)
    head, body = server.requests[0]
    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert "\r\naccept-encoding: identity" in head.lower()
    assert json.loads(body) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße?"}],
        "max_tokens": 16,
        "temperature": 0,
        "seed": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_role_is_no_token() -> None:
    """With an early empty role delta and the first token at 200 ms, TTFT is not less than the server's own."""
    script = streamed(ROLE, 0.2, delta(content="hello"), delta("stop"), DONE)
    with RawServer([script]) as server, Session(direct(server.url, Timeouts())) as session:
        one = ask(session, "m", PROMPT)
        stamps = server.writes[0]
    true = (stamps[2] - stamps[0]) / 1e9
    assert one.ack is not None
    assert one.ttft is not None
    # How much more it is depends on the machine's load: benchmarks/ttft_error.py measures that.
    assert one.ack < true <= one.ttft


def test_reasoning_comes_before_the_output() -> None:
    """Reasoning in either spelling counts for TTFT, not for TTFO nor the answer; null content is no token."""
    for field in ("reasoning", "reasoning_content"):
        one = asked(
            *streamed(delta(content=None, **{field: "hm"}), 0.2, delta(content="hello"), delta("stop"), usage(2))
        )
        assert one.answer == "hello"
        assert one.chunks == 2
        assert one.ttft is not None
        assert one.ttfo is not None
        assert one.ttft < one.ttfo


def test_a_tool_call_is_output() -> None:
    """A streamed tool call has a first token though there is no text."""
    call = [{"index": 0, "function": {"name": "f", "arguments": "{"}}]
    one = asked(*streamed(ROLE, delta(tool_calls=call), delta("tool_calls"), usage(3)))
    assert (one.failure, one.answer, one.chunks, one.finish_reason) == (None, "", 1, "tool_calls")
    assert one.ttfo == one.ttft is not None


def test_several_tokens_in_a_chunk() -> None:
    """TPOT counts the server's tokens, not the chunks that carried them."""
    one = asked(*streamed(delta(content="he"), 0.1, delta(content="llo wor"), delta("stop"), usage(5)))
    assert one.chunks == 2
    assert one.tpot is not None
    assert one.total is not None
    assert one.ttft is not None
    assert one.tpot == pytest.approx((one.total - one.ttft) / 4)


def test_several_events_in_one_write() -> None:
    """Events that come in one read all get its stamp: total is TTFT, and TPOT is 0."""
    one = asked(*streamed(delta(content="hel") + delta(content="lo") + delta("stop") + usage(2) + DONE))
    assert (one.answer, one.chunks, one.tpot) == ("hello", 2, 0.0)


def test_usage_missing() -> None:
    """Without the server's count there is neither TPOT nor a rate, and the answer stands."""
    one = asked(*streamed(delta(content="hello"), delta("stop"), DONE))
    assert (one.failure, one.completion_tokens, one.tpot, one.tokens_per_second) == (None, None, None, None)


def test_one_token_has_no_tpot() -> None:
    """There is no gap in one token."""
    one = asked(*streamed(delta("length", content="hello"), usage(1)))
    assert (one.failure, one.tpot) == (None, None)


def test_done_is_not_required() -> None:
    """Llama Stack ends without [DONE]: a finish reason ends an answer as well."""
    one = asked(*streamed(delta(content="hello"), delta("stop")))
    assert (one.failure, one.done) == (None, None)


def test_nothing_after_done_counts() -> None:
    """[DONE] ends the answer, whatever a server sends after it."""
    one = asked(*streamed(delta(content="hello"), delta("stop"), DONE, delta(content=" again")))
    assert (one.failure, one.answer, one.chunks) == (None, "hello", 1)


def test_keep_alive_comments() -> None:
    """Comments between events, such as proxies send, are neither tokens nor an acknowledgement."""
    one = asked(*streamed(b": ping\n\n", 0.05, b": ping\n\n", delta(content="hello"), b":\n\n", delta("stop"), DONE))
    assert (one.failure, one.answer, one.chunks) == (None, "hello", 1)
    assert one.ack is not None
    assert one.ack > 0.04


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_line_separators_of_unicode_are_text(mark: str) -> None:
    """A server such as vLLM sends U+2028 raw inside JSON; it is part of the answer and splits nothing."""
    raw = f'data: {{"choices":[{{"delta":{{"content":"a{mark}b"}},"finish_reason":"stop"}}]}}\n\n'
    one = asked(*streamed(raw.encode(), DONE))
    assert (one.failure, one.answer) == (None, f"a{mark}b")


def test_characters_over_chunk_borders() -> None:
    """Every byte in a chunk of its own: 漢 and 🙂 are whole again."""
    body = delta(content="漢🙂é") + delta("stop") + DONE
    one = asked(*streamed(*(body[i : i + 1] for i in range(len(body)))))
    assert (one.failure, one.answer) == (None, "漢🙂é")


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_other_line_ends(end: bytes) -> None:
    """CRLF and bare CR end a line as LF does."""
    parts = [delta(content="hello"), delta("stop"), DONE]
    one = asked(*streamed(*(part.replace(b"\n", end) for part in parts)))
    assert (one.failure, one.answer) == (None, "hello")


def test_truncated() -> None:
    """A stream that ends properly on the wire but in the middle of the answer is a failed request."""
    one = asked(*streamed(ROLE, delta(content="hel")))
    assert one.failure is not None
    assert one.failure.kind is FailureKind.TRUNCATED
    assert one.failure.message == "the stream ended after 1 chunk without a finish reason or [DONE]"
    assert one.answer == "hel"


def test_an_empty_stream() -> None:
    """A stream without any event is a failed request."""
    one = asked(*streamed(b": nothing\n\n"))
    assert one.failure is not None
    assert one.failure.message == "the stream ended without an event"


def test_an_answer_without_a_token() -> None:
    """A model that stops at once has answered, with nothing: no TTFT, and the assertions decide."""
    one = asked(*streamed(ROLE, delta("stop"), usage(0), DONE))
    assert (one.failure, one.ttft, one.answer, one.tokens_per_second) == (None, None, "", None)
    assert one.total is not None


def test_cut_off_in_the_middle() -> None:
    """The server closes the connection inside a chunked body."""
    one = asked(SSE, chunk(delta(content="hel")))
    assert one.failure is not None
    assert one.failure.kind is FailureKind.DISCONNECTED
    assert one.failure.message == "the server closed the connection before the answer was complete"
    assert one.ttft is not None


def test_reset_in_the_middle() -> None:
    """The connection is reset after the first token."""
    one = asked(SSE, chunk(delta(content="hel")), 0.05, RESET)
    assert one.failure is not None
    assert one.failure.kind is FailureKind.DISCONNECTED
    assert one.failure.message == "the connection broke off: connection reset by peer"


def test_closed_without_an_answer() -> None:
    """The server takes the request and closes."""
    one = asked()
    assert one.failure is not None
    assert one.failure.kind is FailureKind.DISCONNECTED


def test_an_error_in_the_stream() -> None:
    """An error object, in vLLM's form, after some tokens: the server's own words, not the broken end that follows."""
    error = event({"error": {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}})
    one = asked(*streamed(delta(content="hel"), error, DONE))
    assert one.failure is not None
    assert one.failure.kind is FailureKind.ERROR
    assert one.failure.message == "the stream broke off with an error: CUDA out of memory"


@pytest.mark.parametrize(
    ("response", "kind", "message"),
    [
        (answer(b'{"error":{"message":"no such model"}}'), "error", "HTTP 200 with an error: no such model"),
        (answer(b'{"error":"busy"}'), "error", "HTTP 200 with an error: busy"),
        (
            answer(b'{"choices":[{"message":{"content":"hello"}}]}'),
            "not-streamed",
            "a stream was asked for, and the whole answer came in one piece",
        ),
        (answer(b"[]"), "shape", "answered with JSON that is no chat completion: []"),
        (
            answer(b"<html><head><title>Log in</title>", content_type="text/html; charset=utf-8"),
            "not-json",
            "answered with an HTML page instead of JSON: Log in",
        ),
        (answer(b""), "not-json", "answered with an empty body"),
        (
            answer(b'{"error":{"message":"The model `m` does not exist."}}', "404 Not Found"),
            "status",
            "HTTP 404: The model `m` does not exist.",
        ),
        (answer(b'{"detail":"Unauthorized"}', "401 Unauthorized"), "status", "HTTP 401: Unauthorized"),
        (answer(b"boom\nat line 7", "500 Internal Server Error", "text/plain"), "status", "HTTP 500: boom"),
        (answer(b"", "503 Service Unavailable", "text/plain"), "status", "HTTP 503"),
        (
            answer(b"", "302 Found", "text/plain", "Location: https://login.example/?a=\x9b"),
            "status",
            "HTTP 302: redirects to https://login.example/?a=\\x9b",
        ),
        (
            answer(
                b'{"kind":"Status","apiVersion":"v1","message":"no endpoints available for service","code":503}',
                "503 Service Unavailable",
            ),
            "gateway",
            "the API server answered 503: no endpoints available for service",
        ),
        (
            answer(b"\x1f\x8b", "200 OK", "text/event-stream", "Content-Encoding: gzip"),
            "shape",
            "answered with Content-Encoding gzip, which was not asked for",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "shape", "the answer is not HTTP/1.1: illegal status line"),
        (answer(b"\x1b]0;owned\x07", "500 Oops", "text/plain"), "status", r"HTTP 500: \x1b]0;owned\x07"),
    ],
)
def test_answers_that_are_no_stream(response: bytes, kind: str, message: str) -> None:
    """Each is a failed request with one line that says what came instead, safe to print."""
    failure = asked(response).failure
    assert failure is not None
    assert failure.kind.value == kind
    assert failure.message.startswith(message)
    assert "\x1b" not in failure.message


def test_an_event_that_is_no_json() -> None:
    """Garbage inside the stream is a failed request that shows the garbage, escaped."""
    failure = asked(*streamed(delta(content="hel"), b"data: {\x1b[2J\n\n", DONE)).failure
    assert failure is not None
    assert failure.kind is FailureKind.SHAPE
    assert failure.message == r"an event of the stream is no JSON: {\x1b[2J"


@pytest.mark.parametrize(
    "document", ["null", "7", "[]", '{"choices":7}', '{"choices":[7,{"delta":7},{"delta":{"content":7}}]}']
)
def test_events_of_another_shape_are_passed_over(document: str) -> None:
    """JSON that is no completion chunk, such as a gateway's ping, does not end the answer."""
    one = asked(*streamed(event(document), delta(content="hello"), delta("stop"), DONE))
    assert (one.failure, one.answer) == (None, "hello")


def test_a_stream_that_hangs_is_cut_off() -> None:
    """A server that stops in the middle costs the timeout, and what had come by then is kept."""
    began = time.monotonic()
    one = asked(SSE, chunk(delta(content="hel")), 30.0, total=0.5)
    assert time.monotonic() - began < 3
    assert one.failure is not None
    assert one.failure.kind is FailureKind.TIMEOUT
    assert one.failure.message == "no complete answer within 0.5 s"
    assert one.answer == "hel"


def test_a_stream_that_never_ends_is_cut_off() -> None:
    """Each single read is quick, so only a limit on the whole request ends this."""
    began = time.monotonic()
    pings: list[Step] = [chunk(b": ping\n\n"), 0.05]
    one = asked(SSE, *pings * 200, total=0.5)
    assert time.monotonic() - began < 3
    assert one.failure is not None
    assert one.failure.kind is FailureKind.TIMEOUT


def test_headers_that_drip_are_cut_off() -> None:
    """A server that sends its headers byte by byte costs the timeout and not a byte more."""
    began = time.monotonic()
    script: list[Step] = []
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500:
        script += [bytes([byte]), 0.02]
    one = asked(*script, total=0.5)
    assert time.monotonic() - began < 3
    assert one.failure is not None
    assert one.failure.message == "no answer within 0.5 s"


def test_an_answer_that_is_too_large_is_cut_off() -> None:
    """Reading stops at a limit that follows from the tokens asked for."""
    one = asked(SSE, *([chunk(b":" + b"x" * 65535)] * 64))
    assert one.failure is not None
    assert one.failure.kind is FailureKind.TOO_LARGE
    assert one.failure.message == "the answer is longer than 1088 KiB; reading was stopped there"


def test_an_error_page_is_read_in_part() -> None:
    """Of an endless error page the first line is enough."""
    head = b"HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    failure = asked(head, chunk(b"boom\n"), *([chunk(b"x" * 65536)] * 8)).failure
    assert failure is not None
    assert (failure.kind, failure.message) == (FailureKind.STATUS, "HTTP 500: boom")


def test_a_failure_does_not_spoil_the_next_request() -> None:
    """After a timeout, a reset and an error, the next request opens a new connection and is measured."""
    good = streamed(delta(content="hello"), delta("stop"), usage(2), DONE)
    begun: list[Step] = [SSE, chunk(delta(content="x"))]
    error = [answer(b"", "500 Oops")]
    samples = all_asked([[*begun, 5.0], good, [*begun, 0.05, RESET], good, error, good], total=1.0)
    assert [sample.failure is None for sample in samples] == [False, True, False, True, False, True]
    assert samples[1].opening is not None
    assert samples[3].opening is not None
    # An error of known length leaves the connection as it was.
    assert samples[5].opening is None


def test_connecting_is_in_no_time() -> None:
    """A server that drops the connection after each answer: the next request's times begin when it is sent."""
    closing = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + delta("stop", content="hello")]
    with RawServer([closing]) as server, Session(direct(server.url, Timeouts())) as session:
        samples = [ask(session, "m", PROMPT) for _ in range(3)]
    assert server.connections == 3
    for one in samples:
        assert one.failure is None
        assert one.opening is not None
        assert one.opening.tcp > 0
        assert one.opening.tls is None


def test_one_connection_serves_all_requests() -> None:
    """Where the server allows it, only the first request connects."""
    good = streamed(delta("stop", content="hello"))
    with RawServer([good]) as server, Session(direct(server.url, Timeouts())) as session:
        openings = [ask(session, "m", PROMPT).opening for _ in range(4)]
    assert server.connections == 1
    assert [opening is not None for opening in openings] == [True, False, False, False]


GOOD = streamed(delta(content="hello"), delta("stop"), usage(2), DONE)


@pytest.mark.parametrize("closing", [[], [SSE]])
def test_a_request_that_meets_a_closing_connection_is_sent_again(closing: list[Step]) -> None:
    """A kept connection that closes before the first event: the request is repeated once, and the sample says so."""
    with RawServer([GOOD, closing, GOOD]) as server, Session(direct(server.url, Timeouts())) as session:
        samples = [ask(session, "m", PROMPT) for _ in range(2)]
        assert len(server.requests) == 3
        assert server.connections == 2
    assert [(one.failure, one.resent, one.answer) for one in samples] == [(None, False, "hello"), (None, True, "hello")]


@pytest.mark.parametrize(
    "cause",
    [
        "EOF",
        "read tcp 10.0.0.1:2->10.0.0.2:8000: read: connection reset by peer",
        "http: server closed idle connection",
    ],
)
def test_the_same_behind_the_api_server(cause: str) -> None:
    """The API server's kept connection to a pod closes under the request: repeated once, and only once."""
    status = {"kind": "Status", "apiVersion": "v1", "message": f"error trying to reach service: {cause}", "code": 503}
    closed = [answer(json.dumps(status).encode(), "503 Service Unavailable")]
    with RawServer([closed, GOOD, closed, closed]) as server, Session(direct(server.url, Timeouts())) as session:
        first, second = (ask(session, "m", PROMPT) for _ in range(2))
        assert len(server.requests) == 4
    assert (first.failure, first.resent, first.answer) == (None, True, "hello")
    assert second.failure is not None
    assert second.failure.kind is FailureKind.GATEWAY


def test_a_failure_that_took_time_is_not_sent_again() -> None:
    """A server that takes a request and dies of it a second later has read it: its failure is not hidden."""
    with RawServer([GOOD, [1.1], GOOD]) as server, Session(direct(server.url, Timeouts())) as session:
        first, second = (ask(session, "m", PROMPT) for _ in range(2))
        assert len(server.requests) == 2
    assert first.failure is None
    assert second.failure is not None
    assert (second.failure.kind, second.resent) == (FailureKind.DISCONNECTED, False)


def test_nothing_else_is_sent_again() -> None:
    """An error, a stream that breaks after its first event, and a new connection that breaks, are failures."""
    scripts: list[list[Step]] = [
        [answer(b"{}", "500 Oops")],
        [SSE, chunk(delta(content="hel")), RESET],
        [SSE, RESET],
        [RESET],
    ]
    for script in scripts:
        with RawServer([script, GOOD]) as server, Session(direct(server.url, Timeouts())) as session:
            assert ask(session, "m", PROMPT).failure is not None
            assert len(server.requests) == 1
