"""Which models an endpoint says it serves: GET /models, the cheapest question that a model server answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.latency.refusal import error_message, not_json, parsed, refusal
from wtsctl.printable import printable
from wtsctl.probe.session import Session

if TYPE_CHECKING:
    from wtsctl.latency.exchange import Exchange, Opening
    from wtsctl.probe.target import Target

_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class ServedModels:
    """What an endpoint lists.

    Attributes:
        ids: the ids that it answers to, in its order, safe to print.
        seconds: from the request's first byte to the end of the answer, without connecting.
        opening: what connecting cost, if the request opened the connection.
    """

    ids: tuple[str, ...]
    seconds: float
    opening: Opening | None = None


def served_models(target: Target) -> ServedModels | ProbeFailure:
    """Ask `target` once, over a connection of its own, for the ids that it serves.

    Safe to call from several threads at once; takes at most `target.timeouts.total` seconds.
    """
    with Session(target) as session:
        return list_models(session)


def list_models(session: Session, *, within: float | None = None) -> ServedModels | ProbeFailure:
    """The same over a session, whose connection stays open for the next request.

    Args:
        session: the connection.
        within: seconds it may take, where that is less than the target's own timeout.
    """
    exchange = session.get("/models", limit=_LIMIT, within=within)
    failure = refusal(exchange)
    if failure is not None:
        return session.redacted(failure)
    document = parsed(exchange.body)
    if document is None:
        return session.redacted(not_json(exchange))
    ids = _ids(document)
    if ids is None:
        return session.redacted(_unexpected(exchange, document))
    return ServedModels(ids, _seconds(exchange), exchange.opening)


def _ids(document: Any) -> tuple[str, ...] | None:
    """The ids of an OpenAI list document, or of KServe's own; None where it is neither."""
    document = document if isinstance(document, dict) else {}
    entries = document.get("data")
    if not isinstance(entries, list):
        # Where KServe's huggingface server has its OpenAI routes under /v1, this one is still that of its V1 protocol.
        entries = document.get("models")
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            return None
        return tuple(dict.fromkeys(printable(name, 200) for name in entries))
    names: list[str] = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            return None
        # llama.cpp lists one id for a model with several names, and all of them beside it.
        aliases = entry.get("aliases")
        names += [entry["id"], *(aliases if isinstance(aliases, list) else [])]
    return tuple(dict.fromkeys(printable(name, 200) for name in names if isinstance(name, str)))


def _unexpected(exchange: Exchange, document: Any) -> ProbeFailure:
    said = error_message(document)
    if said:
        return ProbeFailure(FailureKind.ERROR, f"HTTP {exchange.status} with an error: {said}", exchange.status)
    message = 'answered with JSON that is no list of models: expected {"data": [{"id": ...}]}'
    return ProbeFailure(FailureKind.SHAPE, message, exchange.status)


def _seconds(exchange: Exchange) -> float:
    if exchange.sent_ns is None or not exchange.chunks:
        return 0.0
    return (exchange.chunks[-1].at_ns - exchange.sent_ns) / 1e9
