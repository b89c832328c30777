"""The last steps to ready: the Service knows the pods, the endpoint lists the model, and answers one token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wtsctl.health.model import NOT_ASKED
from wtsctl.health.pod import Cause
from wtsctl.health.state import Phase

if TYPE_CHECKING:
    from wtsctl.health.model import Answer, ModelHealth

# An endpoint that has just come up may still list what it is loading.
_OTHER_MODEL_SECONDS = 4.0


def reachable(health: ModelHealth) -> ModelHealth:
    """The phase of a model whose pods are all ready."""
    at_endpoint = replace(health, phase=Phase.ENDPOINT)
    routed = _routed(health)
    if routed:
        return replace(at_endpoint, reason=routed[0], message=routed[1])
    if not health.subject.asked:
        return replace(health, phase=Phase.READY)
    if health.answer is None:
        return replace(at_endpoint, reason=NOT_ASKED, message="its endpoint has not been asked yet")
    return _answered(health, at_endpoint, health.answer)


def _routed(health: ModelHealth) -> tuple[str, str] | None:
    """Why the Service does not send requests to its pods, or also to others; None where all is well."""
    subject = health.subject
    if health.endpoints < health.answering:
        text = f"Service {subject.service} knows {health.endpoints} of {health.answering} ready pods"
        return "NotInEndpoints", text
    others = sorted(health.behind - {one.name for one in health.pods})
    if others:
        return "OtherEndpoints", f"Service {subject.service} also sends requests to {', '.join(others)}"
    return None


def _answered(health: ModelHealth, at_endpoint: ModelHealth, answer: Answer) -> ModelHealth:
    """The phase by what the endpoint answered."""
    if answer.failure:
        return replace(at_endpoint, reason="NoAnswer", message=answer.failure)
    if not answer.serves(health.subject.serves):
        text = f"its endpoint serves {', '.join(answer.ids) or 'nothing'}, not {health.subject.serves}"
        cause = Cause("NotServed", text, grace=_OTHER_MODEL_SECONDS)
        return replace(at_endpoint, reason="NotServed", message=text, cause=cause)
    if answer.unanswered:
        return replace(health, phase=Phase.ANSWERS, reason="NoToken", message=answer.unanswered)
    if answer.asking:
        return replace(health, phase=Phase.ANSWERS, reason="Asked", message="it is listed, and asked for one token")
    return replace(health, phase=Phase.READY)
