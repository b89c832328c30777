"""What models.yaml can ask of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from wtsctl.catalog.smoke import Assertion
from wtsctl.latency.assertions import check
from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.latency.sample import Sample


@pytest.mark.parametrize(
    ("assertion", "holds", "fails"),
    [
        ({"contains": "Paris"}, Sample(answer="It is Paris."), Sample(answer="it is paris.")),
        ({"icontains": "PARIS"}, Sample(answer="it is Paris."), Sample(answer="London")),
        ({"icontains": "straße"}, Sample(answer="Hauptstrasse"), Sample(answer="Weg")),
        ({"regex": r"\A\s*safe\s*\Z"}, Sample(answer="\n\nsafe\n"), Sample(answer="unsafe\nS1")),
        ({"finishReason": "stop"}, Sample(finish_reason="stop"), Sample(finish_reason="length")),
        ({"finishReason": "stop"}, Sample(finish_reason="stop"), Sample()),
        ({"minTokens": 4}, Sample(completion_tokens=4), Sample(completion_tokens=3)),
        ({"minTokens": 1}, Sample(completion_tokens=1), Sample(answer="words, but no usage")),
    ],
)
def test_each_kind(assertion: dict[str, Any], holds: Sample, fails: Sample) -> None:
    """Each kind tells an answer that fulfils it from one that does not."""
    checked = check(Assertion.model_validate(assertion), [holds, fails, holds])
    assert (checked.answers, checked.held, checked.failed) == (3, 2, True)
    assert checked.wrong == fails.answer
    assert not check(Assertion.model_validate(assertion), [holds]).failed


def test_it_says_what_was_expected_and_seen() -> None:
    """The label is the line of models.yaml; what is no text of the answer is named."""
    short = check(Assertion.model_validate({"minTokens": 4}), [Sample(completion_tokens=3)])
    assert (short.label, short.observed) == ("minTokens: 4", "3 tokens")
    uncounted = check(Assertion.model_validate({"minTokens": 4}), [Sample()])
    assert uncounted.observed == "the server sent no token count"
    cut = check(Assertion.model_validate({"finishReason": "stop"}), [Sample(finish_reason="length")])
    assert cut.observed == "finish reason length"


def test_a_failed_request_has_no_answer_to_look_at() -> None:
    """Half an answer of a broken stream is neither right nor wrong."""
    broken = Sample(failure=ProbeFailure(FailureKind.DISCONNECTED, "gone"), answer="Par")
    checked = check(Assertion.model_validate({"contains": "Paris"}), [broken])
    assert (checked.answers, checked.failed) == (0, False)
