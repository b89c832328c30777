"""Whether a latency budget is kept, as far as the samples can tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from wtsctl.catalog.smoke import Metric, Statistic
from wtsctl.latency.statistics import bounds, finite, nearest_rank, needed
from wtsctl.latency.summary import PERCENTILES

if TYPE_CHECKING:
    from wtsctl.catalog.smoke import Budget
    from wtsctl.latency.summary import Summary

# Enough samples that a few outliers do not leave a median open: 10 of 13 on one side decide.
_MORE = 13


class Verdict(StrEnum):
    """How a budget, a prompt or a model came out."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class BudgetResult:
    """One budget held against one prompt's samples. Seconds; None for what is infinite or unknown.

    Attributes:
        value: the statistic of the samples, by nearest rank.
        lower: a lower bound of the true statistic at 95 %.
        upper: an upper bound of it at 95 %.
        n: samples that have the metric.
        reason: why the verdict is INCONCLUSIVE; empty otherwise.
    """

    metric: Metric
    stat: Statistic
    limit: float
    verdict: Verdict
    value: float | None
    lower: float | None
    upper: float | None
    n: int
    reason: str = ""

    @property
    def headroom(self) -> float | None:
        """The part of the limit that is left, from 1 down to below 0; None without a value."""
        return None if self.value is None else 1 - self.value / self.limit


def judge(budget: Budget, summary: Summary) -> BudgetResult:
    """PASS if the bound above the statistic is within the limit, FAIL if the bound below it is beyond.

    Between the two the samples do not decide at 95 %, which is INCONCLUSIVE rather than a guess. `max` is about
    the requests that were sent, so it is always decided.
    """
    distribution = {Metric.TTFT: summary.ttft, Metric.TPOT: summary.tpot, Metric.TOTAL: summary.total}[budget.metric]
    ordered, limit = distribution.values, budget.seconds
    if not ordered:
        reason = f"no answer has a {budget.metric}" if summary.requests else "nothing was asked"
        return BudgetResult(budget.metric, budget.stat, limit, Verdict.INCONCLUSIVE, None, None, None, 0, reason)
    if budget.stat is Statistic.MAX:
        value = lower = upper = ordered[-1]
    else:
        quantile = PERCENTILES[budget.stat.value]
        value = nearest_rank(ordered, quantile)
        lower, upper = bounds(ordered, quantile)
    verdict = Verdict.PASS if upper <= limit else Verdict.FAIL if lower > limit else Verdict.INCONCLUSIVE
    return BudgetResult(
        metric=budget.metric,
        stat=budget.stat,
        limit=limit,
        verdict=verdict,
        value=finite(value),
        lower=finite(lower),
        upper=finite(upper),
        n=len(ordered),
        reason=_why(budget, len(ordered)) if verdict is Verdict.INCONCLUSIVE else "",
    )


def _why(budget: Budget, n: int) -> str:
    least = needed(PERCENTILES[budget.stat.value])
    if n < least:
        return f"{budget.stat} needs at least {least} samples to pass, and there are {n}: use --repeat {least}"
    more = max(_MORE, 2 * n)
    return f"{n} samples do not tell on which side of the limit the true {budget.stat} lies: use --repeat {more}"
