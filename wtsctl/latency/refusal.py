"""What an HTTP answer says when it is not the one asked for, as one line for a person."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.printable import printable

if TYPE_CHECKING:
    from wtsctl.latency.exchange import Exchange

_LINE = 200
# Where the first line or the title stands, if anywhere; searching a page full of `<title>` takes the square of this.
_PAGE = 4096
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def refusal(exchange: Exchange) -> ProbeFailure | None:
    """Why `exchange` holds no answer to read: a failure on the way, or an HTTP status other than 2xx."""
    if exchange.failure is not None:
        return exchange.failure
    status = exchange.status or 0
    if 200 <= status < 300:  # noqa: PLR2004 - the range of HTTP's successes
        if exchange.encoding not in {"", "identity"}:
            message = f"answered with Content-Encoding {printable(exchange.encoding, 40)}, which was not asked for"
            return ProbeFailure(FailureKind.SHAPE, message, status)
        return None
    if exchange.location:
        return ProbeFailure(
            FailureKind.STATUS, f"HTTP {status}: redirects to {printable(exchange.location, _LINE)}", status
        )
    document = parsed(exchange.body)
    if isinstance(document, dict) and document.get("kind") == "Status" and document.get("apiVersion") == "v1":
        message = printable(str(document.get("message") or document.get("reason") or ""), _LINE)
        return ProbeFailure(FailureKind.GATEWAY, f"the API server answered {status}: {message}", status)
    said = error_message(document) or first_line(exchange.body)
    return ProbeFailure(FailureKind.STATUS, f"HTTP {status}: {said}" if said else f"HTTP {status}", status)


def not_json(exchange: Exchange) -> ProbeFailure:
    """The failure for a 2xx answer whose body is no JSON, saying what it is instead."""
    looks_html = exchange.content_type == "text/html" or exchange.body.lstrip()[:1] == b"<"
    what = "an HTML page" if looks_html else exchange.content_type or "text"
    said = first_line(exchange.body)
    message = f"answered with {printable(what, 40)} instead of JSON: {said}" if said else "answered with an empty body"
    return ProbeFailure(FailureKind.NOT_JSON, message, exchange.status)


def parsed(body: bytes) -> Any:
    """The JSON value of `body`, or None where it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def error_message(document: Any) -> str:
    """The message of an error document, in the spellings of OpenAI, vLLM, llama.cpp, FastAPI; or nothing."""
    if not isinstance(document, dict):
        return ""
    error = document.get("error")
    found = error.get("message") or error.get("type") if isinstance(error, dict) else error
    found = found or document.get("message") or document.get("detail")
    if not found:
        return ""
    return printable(found if isinstance(found, str) else json.dumps(found), _LINE)


def first_line(body: bytes) -> str:
    """The first line of `body` that says something, or an HTML page's title; safe to print."""
    text = body[:_PAGE].decode("utf-8", errors="replace")
    title = _TITLE.search(text)
    lines = (line.strip() for line in (title[1] if title else text).splitlines())
    return printable(next((line for line in lines if line), ""), _LINE)
