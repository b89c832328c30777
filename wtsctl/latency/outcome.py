"""What came of asking a model its prompts, and the verdict on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wtsctl.errors import ExitCode
from wtsctl.latency.assertions import Check, check
from wtsctl.latency.budget import BudgetResult, Verdict, judge
from wtsctl.latency.summary import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wtsctl.catalog.smoke import Budget, Prompt
    from wtsctl.latency.exchange import Opening
    from wtsctl.latency.failure import ProbeFailure
    from wtsctl.latency.sample import Sample


@dataclass(frozen=True, slots=True)
class PromptOutcome:
    """One prompt of one model.

    Attributes:
        name: the prompt's name.
        warm_ups: the requests before the measured ones, in no statistic.
        samples: the measured requests, in the order they were sent; empty when nothing was asked.
        planned: how many there would have been.
    """

    name: str
    planned: int
    warm_ups: tuple[Sample, ...]
    samples: tuple[Sample, ...]
    summary: Summary
    checks: tuple[Check, ...]
    budgets: tuple[BudgetResult, ...]

    @property
    def failures(self) -> tuple[ProbeFailure, ...]:
        """Why requests got no complete answer, each reason once, in order."""
        return tuple(dict.fromkeys(sample.failure for sample in self.samples if sample.failure))

    @property
    def verdict(self) -> Verdict:
        """FAIL if anything failed, INCONCLUSIVE if a budget is open, else PASS."""
        if not self.samples or self.failures or any(one.failed for one in self.checks):
            return Verdict.FAIL
        verdicts = {budget.verdict for budget in self.budgets}
        return next((one for one in (Verdict.FAIL, Verdict.INCONCLUSIVE) if one in verdicts), Verdict.PASS)


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """One model, reached over one way.

    Attributes:
        via: the way its endpoint was reached.
        address: the endpoint's base URL as it was asked, without credentials.
        opening: what the connection cost.
        served: the ids that the endpoint lists.
        failure: why its prompts were not asked, or not all of them.
        interrupted: whether Ctrl-C ended it; `prompts` are then those that were done.
    """

    name: str
    via: str
    address: str
    prompts: tuple[PromptOutcome, ...] = ()
    opening: Opening | None = None
    served: tuple[str, ...] = ()
    failure: ProbeFailure | None = None
    interrupted: bool = False

    @property
    def asked(self) -> bool:
        """Whether some prompt was asked at least once."""
        return any(prompt.samples for prompt in self.prompts)

    @property
    def verdict(self) -> Verdict:
        """SKIP without prompts, otherwise the worst of them; some of them alone cannot pass."""
        if self.failure is not None:
            return Verdict.FAIL
        verdicts = {prompt.verdict for prompt in self.prompts}
        if self.interrupted:
            verdicts.add(Verdict.INCONCLUSIVE)
        order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
        return next((one for one in order if one in verdicts), Verdict.SKIP)


def prompt_outcome(
    prompt: Prompt,
    budgets: Iterable[Budget],
    planned: int,
    warm_ups: Sequence[Sample],
    samples: Sequence[Sample],
) -> PromptOutcome:
    """Summarize and judge the samples of one prompt."""
    summary = summarize(samples)
    return PromptOutcome(
        name=prompt.name,
        planned=planned,
        warm_ups=tuple(warm_ups),
        samples=tuple(samples),
        summary=summary,
        checks=tuple(check(assertion, samples) for assertion in prompt.assertions),
        budgets=tuple(judge(budget, summary) for budget in budgets),
    )


def exit_code(outcomes: Iterable[ModelOutcome]) -> ExitCode:
    """The process's exit code: that of the most basic thing that is wrong.

    The cluster refused us before the endpoint gave no complete answer, before an answer was wrong, before an
    answer was slow. What is INCONCLUSIVE fails nothing.
    """
    codes: set[ExitCode] = set()
    for model in outcomes:
        failures = [failure for prompt in model.prompts for failure in prompt.failures]
        if model.failure is not None:
            failures.append(model.failure)
        codes |= {ExitCode.CLUSTER if one.refused_by_cluster else ExitCode.NOT_READY for one in failures}
        if any(one.failed for prompt in model.prompts for one in prompt.checks):
            codes.add(ExitCode.ASSERTION)
        if any(one.verdict is Verdict.FAIL for prompt in model.prompts for one in prompt.budgets):
            codes.add(ExitCode.BUDGET)
    return min(codes, default=ExitCode.OK)
