"""Samples of one prompt as distributions: what the table and the budgets look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wtsctl.latency.statistics import finite, nearest_rank, needed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wtsctl.latency.sample import Sample

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Distribution:
    """The values of one metric, ascending; of a failed request the worst value that there is."""

    values: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """How many samples have this metric."""
        return len(self.values)

    def percentile(self, name: str) -> float | None:
        """`p50`, `p90`, `p95` or `p99` by nearest rank; None where so few samples cannot bound it at 95 %."""
        quantile = PERCENTILES[name]
        return nearest_rank(self.values, quantile) if self.n >= needed(quantile) else None

    @property
    def minimum(self) -> float | None:
        """The smallest value; None without samples."""
        return self.values[0] if self.values else None

    @property
    def maximum(self) -> float | None:
        """The largest value, infinite if a request failed; None without samples."""
        return self.values[-1] if self.values else None

    def as_dict(self) -> dict[str, float | int | None]:
        """`n`, `min`, `max` and the percentiles for JSON; null for what is infinite or not bounded."""
        numbers = {
            "min": self.minimum,
            **{name: self.percentile(name) for name in PERCENTILES},
            "max": self.maximum,
        }
        return {"n": self.n, **{name: finite(value) for name, value in numbers.items()}}


@dataclass(frozen=True, slots=True)
class Summary:
    """All requests for one prompt. Times in seconds; definitions at `Sample`."""

    requests: int
    answered: int
    ttfb: Distribution
    ack: Distribution
    ttft: Distribution
    ttfo: Distribution
    tpot: Distribution
    total: Distribution
    tokens_per_second: Distribution


def summarize(samples: Sequence[Sample]) -> Summary:
    """The summary of measured requests, warm-up left out.

    A failed request is plus infinity in every time and zero in the rate. A complete answer that lacks a metric,
    such as TPOT without the server's token count, is left out of that metric, whose `n` then shows it.
    """

    def of(value: Callable[[Sample], float | None], worst: float = math.inf) -> Distribution:
        values = (worst if sample.failure else value(sample) for sample in samples)
        return Distribution(tuple(sorted(value for value in values if value is not None)))

    return Summary(
        requests=len(samples),
        answered=sum(sample.failure is None for sample in samples),
        ttfb=of(lambda sample: sample.ttfb),
        ack=of(lambda sample: sample.ack),
        ttft=of(lambda sample: sample.ttft),
        ttfo=of(lambda sample: sample.ttfo),
        tpot=of(lambda sample: sample.tpot),
        total=of(lambda sample: sample.total),
        tokens_per_second=of(lambda sample: sample.tokens_per_second, worst=0.0),
    )
