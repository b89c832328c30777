"""Percentiles and their bounds, against known truth."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.latency.sample import Sample
from wtsctl.latency.statistics import bounds, nearest_rank, needed
from wtsctl.latency.summary import Distribution, summarize

BROKEN = ProbeFailure(FailureKind.DISCONNECTED, "the connection broke off")


@pytest.mark.parametrize(("quantile", "expected"), [(0.05, 15), (0.30, 20), (0.40, 20), (0.50, 35), (1.0, 50)])
def test_nearest_rank_of_the_textbook_example(quantile: float, expected: int) -> None:
    """The worked example of the nearest-rank method: 15, 20, 35, 40, 50."""
    assert nearest_rank([15, 20, 35, 40, 50], quantile) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(1, 100))
def test_nearest_rank_by_definition(values: list[float], percent: int) -> None:
    """It is the smallest value seen with at least that share of the values at or below it, exactly."""
    ordered = sorted(values)
    share = Fraction(percent, 100)
    expected = min(one for one in ordered if Fraction(sum(v <= one for v in ordered), len(ordered)) >= share)
    assert nearest_rank(ordered, percent / 100) == expected


@pytest.mark.parametrize(("quantile", "least"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_how_many_samples_bound_a_quantile(quantile: float, least: int) -> None:
    """From that many samples on, and not one fewer, the largest bounds the quantile at 95 %."""
    assert needed(quantile) == least
    assert bounds(range(1, least + 1), quantile)[1] == least
    assert bounds(range(1, least), quantile)[1] == math.inf


def test_bounds_of_a_median_match_the_binomial_table() -> None:
    """Of 13, the 4th and 10th bound the median: P(Bin(13, 1/2) >= 10) = 378/8192 = 4.6 %, >= 9 is 13.3 %."""
    assert bounds(range(1, 14), 0.5) == (4, 10)


@pytest.mark.parametrize(("quantile", "n"), [(0.5, 5), (0.5, 13), (0.5, 40), (0.9, 29), (0.9, 80)])
def test_bounds_cover_the_truth(quantile: float, n: int) -> None:
    """Of 4,000 experiments on a skewed distribution, at most 5 % (and chance) miss the true quantile per side."""
    draw, true = random.Random(20261123), -math.log(1 - quantile)  # noqa: S311 - an experiment, no secret
    too_high = too_low = 0
    for _ in range(4000):
        lower, upper = bounds(sorted(draw.expovariate(1) for _ in range(n)), quantile)
        too_high += lower > true
        too_low += upper < true
    # Three standard errors of a share of 5 % in 4,000.
    assert max(too_high, too_low) / 4000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


def test_bounds_of_many_samples_are_numbers() -> None:
    """Ten thousand samples neither overflow nor lose the quantile."""
    lower, upper = bounds(range(10_000), 0.5)
    assert 4900 < lower < 5000 < upper < 5100


def test_a_percentile_that_samples_cannot_bound_is_not_shown() -> None:
    """Four samples have no p50, five do; 28 have no p90, 29 do; the maximum is there from the first."""
    assert Distribution((1.0,) * 4).percentile("p50") is None
    assert Distribution((1.0, 2.0, 3.0, 4.0, 5.0)).percentile("p50") == 3.0
    assert Distribution((1.0,) * 28).percentile("p90") is None
    assert Distribution((1.0,) * 29).percentile("p90") == 1.0
    assert Distribution((7.0,)).maximum == 7.0


def test_a_failed_request_is_worse_than_any_other() -> None:
    """Two failures of five leave the median, push the maximum to infinity (null in JSON), and rate as zero."""
    good = [Sample(ttft=t, total=2 * t, completion_tokens=10) for t in (0.1, 0.2, 0.3)]
    summary = summarize([*good, Sample(failure=BROKEN), Sample(failure=BROKEN, ttft=0.001)])
    assert (summary.requests, summary.answered) == (5, 3)
    assert summary.ttft.values == (0.1, 0.2, 0.3, math.inf, math.inf)
    assert summary.ttft.as_dict() == {
        "n": 5,
        "min": 0.1,
        "p50": 0.3,
        "p90": None,
        "p95": None,
        "p99": None,
        "max": None,
    }
    assert summary.tokens_per_second.values[:2] == (0.0, 0.0)


def test_a_metric_that_an_answer_lacks_is_left_out_of_it() -> None:
    """TPOT needs two tokens and the server's count: of three answers only one has it, and n says so."""
    summary = summarize(
        [
            Sample(ttft=0.1, total=0.5, completion_tokens=5),
            Sample(ttft=0.1, total=0.1, completion_tokens=1),
            Sample(ttft=0.1, total=0.5),
        ]
    )
    (only,) = summary.tpot.values
    assert only == pytest.approx(0.1)
    assert summary.tpot.n == 1
    assert summary.ttft.n == 3
