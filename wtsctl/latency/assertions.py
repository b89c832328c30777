"""Whether an answer is what models.yaml says it must be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.catalog.smoke import Assertion
    from wtsctl.latency.sample import Sample


@dataclass(frozen=True, slots=True)
class Check:
    """One assertion over all answers to a prompt.

    Attributes:
        kind: the assertion's key in models.yaml, such as `icontains`.
        expected: its value.
        answers: how many complete answers it was checked on.
        held: on how many of them it held.
        wrong: the first answer that it did not hold on.
        observed: what that answer had instead, where it is not the text itself.
    """

    kind: str
    expected: str | int
    answers: int
    held: int
    wrong: str | None = None
    observed: str | None = None

    @property
    def failed(self) -> bool:
        """Whether some answer was wrong; an assertion without any answer to look at has not failed."""
        return self.held < self.answers

    @property
    def label(self) -> str:
        """The assertion as it is written in models.yaml."""
        return f"{self.kind}: {self.expected}"


def check(assertion: Assertion, samples: Sequence[Sample]) -> Check:
    """Look at every complete answer in `samples`; failed requests have none."""
    answers = [sample for sample in samples if sample.failure is None]
    wrong = [sample for sample in answers if not _holds(assertion, sample)]
    kind, expected = _written(assertion)
    return Check(
        kind=kind,
        expected=expected,
        answers=len(answers),
        held=len(answers) - len(wrong),
        wrong=wrong[0].answer if wrong else None,
        observed=_observed(kind, wrong[0]) if wrong else None,
    )


def _holds(assertion: Assertion, sample: Sample) -> bool:
    if assertion.contains is not None:
        return assertion.contains in sample.answer
    if assertion.icontains is not None:
        return assertion.icontains.casefold() in sample.answer.casefold()
    if assertion.regex is not None:
        return re.search(assertion.regex, sample.answer) is not None
    if assertion.finish_reason is not None:
        return sample.finish_reason == assertion.finish_reason
    return assertion.min_tokens is not None and (sample.completion_tokens or 0) >= assertion.min_tokens


def _written(assertion: Assertion) -> tuple[str, str | int]:
    return next(iter(assertion.model_dump(by_alias=True, exclude_none=True).items()))


def _observed(kind: str, sample: Sample) -> str | None:
    if kind == "finishReason":
        return f"finish reason {sample.finish_reason or 'missing'}"
    if kind == "minTokens":
        counted = sample.completion_tokens
        return "the server sent no token count" if counted is None else f"{counted} tokens"
    return None
