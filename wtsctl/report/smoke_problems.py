"""What went wrong in a smoke test, one line each: for stderr and for the envelope's `errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wtsctl.errors import ClusterRefused, Problem
from wtsctl.latency.budget import Verdict
from wtsctl.printable import printable
from wtsctl.report.duration import duration, limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wtsctl.latency.assertions import Check
    from wtsctl.latency.failure import ProbeFailure
    from wtsctl.latency.outcome import ModelOutcome, PromptOutcome

UNANSWERED = "smoke.unanswered"
WRONG = "smoke.assertion"
SLOW = "smoke.budget"
_SHOWN = 200


def smoke_problems(model: ModelOutcome, endpoint: str, where: Callable[..., str]) -> Iterator[Problem]:
    """Every failed request, assertion and budget of one model.

    Args:
        model: what came of it.
        endpoint: what was asked, a Service as NAMESPACE/Service/NAME or a URL.
        where: `FILE:LINE:COLUMN` of a part of the model in the catalog, by its keys and indices.
    """
    if model.failure is not None:
        others = "other " * model.asked
        rest = "" if all(prompt.samples for prompt in model.prompts) else f"; its {others}prompts were not asked"
        yield _unanswered(model.failure, f"{model.name}: {model.failure.message}{rest}", endpoint)
    for at, prompt in enumerate(model.prompts):
        name = f"{model.name} {prompt.name}"
        for failure in prompt.failures:
            if failure != model.failure:
                count = sum(sample.failure == failure for sample in prompt.samples)
                of = f"{count} of {len(prompt.samples)} requests got no complete answer"
                yield _unanswered(failure, f"{name}: {of}: {failure.message}", endpoint)
        for index, check in enumerate(prompt.checks):
            if check.failed:
                yield Problem(WRONG, f"{name}: {_wrong(check)}", where("smoke", at, "assert", index))
        yield from _slow(name, prompt, where)


def _unanswered(failure: ProbeFailure, message: str, endpoint: str) -> Problem:
    if failure.refused_by_cluster:
        hint = "the API server's proxy needs `get` and `create` on services/proxy in that namespace"
        return Problem(ClusterRefused.code, message, endpoint, hint)
    hint = "" if "://" in endpoint else "wtsctl status shows the state of its pods"
    return Problem(UNANSWERED, message, endpoint, hint)


def _wrong(check: Check) -> str:
    which = "the answer" if check.answers == 1 else f"{check.answers - check.held} of {check.answers} answers"
    instead = f" ({check.observed})" if check.observed else ""
    answer = f'"{printable(check.wrong, _SHOWN)}"' if check.wrong else "empty"
    return f"expected {printable(check.label, _SHOWN)}, which {which} failed{instead}; the answer was {answer}"


def _slow(name: str, prompt: PromptOutcome, where: Callable[..., str]) -> Iterator[Problem]:
    for index, budget in enumerate(prompt.budgets):
        if budget.verdict is Verdict.FAIL:
            value = "not reached" if budget.value is None else duration(budget.value)
            allowed = f"the budget is {limit(budget.limit)}"
            yield Problem(SLOW, f"{name}: {budget.metric} {budget.stat} is {value}, {allowed}", where("budgets", index))
