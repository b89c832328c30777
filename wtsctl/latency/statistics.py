"""Percentiles that somebody saw, and what a handful of samples can say about them.

Everything is distribution-free: nearest rank for the value, order statistics for its bounds. Samples are taken
to be independent. A request that failed is a sample of plus infinity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95


def nearest_rank(ordered: Sequence[float], quantile: float) -> float:
    """The smallest value that at least `quantile` of the values do not exceed.

    Args:
        ordered: at least one value, ascending.
        quantile: above 0, at most 1.
    """
    # The product of a binary fraction and n can lie a hair above the whole number that it stands for.
    return ordered[max(math.ceil(round(quantile * len(ordered), 9)), 1) - 1]


def finite(value: float | None) -> float | None:
    """`value`, or None for what is infinite: JSON has no infinity."""
    return None if value is None or math.isinf(value) else value


def needed(quantile: float) -> int:
    """The fewest samples whose largest bounds the quantile from above at 95 %: 5 for p50, 29 for p90."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(quantile))


def bounds(ordered: Sequence[float], quantile: float) -> tuple[float, float]:
    """A lower and an upper bound of the true quantile, each holding with at least 95 % by itself.

    Minus or plus infinity where there are too few samples to bound that side.

    Args:
        ordered: values, ascending.
        quantile: between 0 and 1, both excluded.
    """
    n = len(ordered)
    lower, upper = -math.inf, math.inf
    at_most = 0.0  # P(fewer than k samples fall at or below the quantile)
    for k in range(1, n + 1):
        at_most += _binomial(n, k - 1, quantile)
        # The k-th smallest value lies above the quantile exactly when fewer than k samples fall at or below it.
        if at_most <= 1 - CONFIDENCE:
            lower = ordered[k - 1]
        # It lies below when at least k samples do.
        if 1 - at_most <= 1 - CONFIDENCE:
            upper = ordered[k - 1]
            break
    return lower, upper


def _binomial(n: int, k: int, p: float) -> float:
    """The chance of exactly k successes in n; by logarithms, since the factors leave the range of a float."""
    combinations = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(combinations + k * math.log(p) + (n - k) * math.log1p(-p))
