"""Whether an endpoint answers at all: one token, the least that a model can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.latency.refusal import error_message, not_json, parsed, refusal
from wtsctl.probe.session import Session

if TYPE_CHECKING:
    from wtsctl.latency.exchange import Exchange
    from wtsctl.probe.target import Target

_LIMIT = 1 << 20
# A server without the route, or a model without a chat template, which completes text all the same.
_CANNOT_CHAT = frozenset({400, 404, 405, 422, 501})
_WORD = "Hello"


def one_token(target: Target, model: str) -> ProbeFailure | None:
    """Ask `model` for one token, by chat or else by completion; None where it answered.

    Safe to call from several threads at once; each of its two requests takes at most `target.timeouts.total` seconds.
    """
    asked = {"model": model, "max_tokens": 1, "temperature": 0}
    with Session(target) as session:
        chat = {**asked, "messages": [{"role": "user", "content": _WORD}]}
        failure = _judged(session.post("/chat/completions", chat, limit=_LIMIT))
        if failure and failure.kind is FailureKind.STATUS and failure.status in _CANNOT_CHAT:
            completed = _judged(session.post("/completions", {**asked, "prompt": _WORD}, limit=_LIMIT))
            failure = failure if completed else None
        return session.redacted(failure) if failure else None


def _judged(exchange: Exchange) -> ProbeFailure | None:
    failure = refusal(exchange)
    if failure is not None:
        return failure
    document = parsed(exchange.body)
    if document is None:
        return not_json(exchange)
    choices: Any = document.get("choices") if isinstance(document, dict) else None
    if isinstance(choices, list) and choices:
        return None
    message = error_message(document) or "answered with JSON that holds no choices"
    return ProbeFailure(FailureKind.SHAPE, message, exchange.status)
