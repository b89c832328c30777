"""Budgets and exit codes over synthetic samples."""

from __future__ import annotations

from typing import Any

import pytest

from wtsctl.catalog.smoke import Budget, Prompt
from wtsctl.errors import ExitCode
from wtsctl.latency.budget import Verdict, judge
from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.latency.outcome import ModelOutcome, exit_code, prompt_outcome
from wtsctl.latency.sample import Sample
from wtsctl.latency.summary import summarize

BROKEN = ProbeFailure(FailureKind.DISCONNECTED, "the connection broke off")
FORBIDDEN = ProbeFailure(FailureKind.GATEWAY, "the API server answered 403", 403)


def budget(metric: str = "ttft", stat: str = "p50", limit: str = "100ms") -> Budget:
    """A budget as models.yaml gives it."""
    return Budget.model_validate({"metric": metric, "stat": stat, "max": limit})


def ttfts(*milliseconds: float) -> list[Sample]:
    """Answers whose first token came after so many milliseconds, and the last one second later."""
    return [Sample(ttft=ms / 1e3, total=ms / 1e3 + 1, completion_tokens=11, answer="yes") for ms in milliseconds]


@pytest.mark.parametrize(
    ("milliseconds", "stat", "expected"),
    [
        ((50,) * 5, "p50", Verdict.PASS),
        ((150,) * 5, "p50", Verdict.FAIL),
        ((50, 50, 50, 50, 150), "p50", Verdict.INCONCLUSIVE),
        ((50,) * 4, "p50", Verdict.INCONCLUSIVE),
        # 10 of 13 on one side decide a median at 95 %, 9 do not.
        ((50,) * 10 + (150,) * 3, "p50", Verdict.PASS),
        ((50,) * 9 + (150,) * 4, "p50", Verdict.INCONCLUSIVE),
        ((50,) * 3 + (150,) * 10, "p50", Verdict.FAIL),
        # A p90 can be missed with few samples and kept only with 29.
        ((50,) * 28, "p90", Verdict.INCONCLUSIVE),
        ((50,) * 29, "p90", Verdict.PASS),
        ((50, 50, 150, 150, 150), "p90", Verdict.FAIL),
        ((50, 99, 100), "max", Verdict.PASS),
        ((50, 99, 101), "max", Verdict.FAIL),
        ((), "max", Verdict.INCONCLUSIVE),
    ],
)
def test_verdict(milliseconds: tuple[float, ...], stat: str, expected: Verdict) -> None:
    """A budget is kept or missed where the samples bound the statistic at 95 % on one side of the limit."""
    assert judge(budget(stat=stat), summarize(ttfts(*milliseconds))).verdict is expected


def test_what_is_open_says_how_many_samples_would_help() -> None:
    """The reason of INCONCLUSIVE names the option and the number to use."""
    few = judge(budget(stat="p90"), summarize(ttfts(50, 50)))
    assert few.reason == "p90 needs at least 29 samples to pass, and there are 2: use --repeat 29"
    torn = judge(budget(), summarize(ttfts(50, 50, 50, 50, 150)))
    assert torn.reason.endswith("use --repeat 13")
    assert (torn.value, torn.lower, torn.upper) == (0.05, 0.05, 0.15)


def test_a_failed_request_cannot_keep_a_budget() -> None:
    """One failure among five is a sample of plus infinity, so that the p50 is no longer decided."""
    result = judge(budget(), summarize([*ttfts(50, 50, 50, 50), Sample(failure=BROKEN)]))
    assert (result.verdict, result.upper) == (Verdict.INCONCLUSIVE, None)
    assert judge(budget(stat="max"), summarize([Sample(failure=BROKEN)])).verdict is Verdict.FAIL


def test_each_metric_is_its_own() -> None:
    """ttft, tpot and total of the same samples: 50 ms, 100 ms, 1.05 s."""
    summary = summarize(ttfts(*(50,) * 5))
    values = {metric: judge(budget(metric), summary).value for metric in ("ttft", "tpot", "total")}
    assert values == {"ttft": 0.05, "tpot": pytest.approx(0.1), "total": pytest.approx(1.05)}
    assert judge(budget("total", limit="2.1s"), summary).headroom == pytest.approx(0.5)


def model(samples: list[Sample], limit: str = "100ms", **changes: Any) -> ModelOutcome:
    """A model with one prompt that expects `yes`."""
    prompt = Prompt.model_validate({"name": "p", "prompt": "?", "assert": [{"contains": "yes"}]})
    outcome = prompt_outcome(prompt, [budget(limit=limit)], len(samples), [], samples)
    return ModelOutcome(name="m", via="url", address="http://x", prompts=(outcome,), **changes)


GOOD, SLOW = model(ttfts(*(50,) * 5)), model(ttfts(*(50,) * 5), limit="1ms")
WRONG = model([Sample(ttft=0.05, total=1, answer="no")] * 5)
DOWN = model([], failure=BROKEN)
CUT = model([*ttfts(50, 50, 50, 50), Sample(failure=BROKEN)])
OPEN = model(ttfts(50, 50))


@pytest.mark.parametrize(
    ("outcomes", "code", "verdicts"),
    [
        ([GOOD], ExitCode.OK, "PASS"),
        ([SLOW], ExitCode.BUDGET, "FAIL"),
        ([WRONG], ExitCode.ASSERTION, "FAIL"),
        ([DOWN], ExitCode.NOT_READY, "FAIL"),
        ([CUT], ExitCode.NOT_READY, "FAIL"),
        ([model([], failure=FORBIDDEN)], ExitCode.CLUSTER, "FAIL"),
        ([OPEN], ExitCode.OK, "INCONCLUSIVE"),
        ([ModelOutcome("m", "url", "http://x")], ExitCode.OK, "SKIP"),
        ([SLOW, WRONG, GOOD], ExitCode.ASSERTION, "FAIL FAIL PASS"),
        ([SLOW, WRONG, DOWN], ExitCode.NOT_READY, "FAIL FAIL FAIL"),
    ],
)
def test_the_most_basic_failure_gives_the_exit_code(
    outcomes: list[ModelOutcome], code: ExitCode, verdicts: str
) -> None:
    """No cluster before no answer before a wrong answer before a slow one; what is open fails nothing."""
    assert exit_code(outcomes) is code
    assert [outcome.verdict for outcome in outcomes] == verdicts.split()
