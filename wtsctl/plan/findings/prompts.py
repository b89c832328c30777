"""Findings about smoke prompts and latency budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator

from wtsctl.catalog.smoke import Metric, Statistic
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject

# Requests that `wtsctl smoke-test` measures for each prompt unless told otherwise.
_REPEAT = 5
_QUANTILES = {Statistic.P50: 0.5, Statistic.P90: 0.9, Statistic.P95: 0.95, Statistic.P99: 0.99}


def _one_token(subject: Subject) -> Iterator[Hit]:
    for path, workload in subject.models:
        spec = workload.spec
        if spec.smoke and all(prompt.max_tokens == 1 for prompt in spec.smoke):
            for at, budget in enumerate(spec.budgets):
                if budget.metric is Metric.TPOT:
                    text = (
                        "every answer is cut after one token, so there is no later token whose time could be measured"
                    )
                    yield Hit((*path, "budgets", at), text)


def _too_few(subject: Subject) -> Iterator[Hit]:
    for path, workload in subject.models:
        for at, budget in enumerate(workload.spec.budgets):
            quantile = _QUANTILES.get(budget.stat)
            needed = math.ceil(math.log(0.05) / math.log(quantile)) if quantile else 0
            if needed > _REPEAT:
                text = f"{budget.stat.value} takes {needed} requests to decide, and smoke-test measures {_REPEAT}"
                yield Hit((*path, "budgets", at), text, f"run `wtsctl smoke-test --repeat {needed}`")


def _never_asked(subject: Subject) -> Iterator[Hit]:
    for path, workload in subject.models:
        if not workload.spec.smoke:
            yield Hit(path, "nothing checks that it answers")


RULES = (
    Rule(
        "WTS701",
        "budget-not-measurable",
        Severity.WARNING,
        "Budget for a time that its prompts do not have",
        "The time per output token counts from the second token on. An answer of one token has none.",
        "Raise `maxTokens` of a prompt, or limit `ttft` or `total`.",
        "docs/explanation/latency.md",
        _one_token,
    ),
    Rule(
        "WTS702",
        "budget-with-few-samples",
        Severity.INFO,
        "Budget that the usual number of requests cannot decide",
        "A high percentile of five samples is the largest of them: one slow request misses the budget, and five quick"
        " ones do not show that it is met.",
        "Give smoke-test more requests with `--repeat`, or limit p50.",
        "docs/explanation/latency.md",
        _too_few,
    ),
    Rule(
        "WTS703",
        "model-never-asked",
        Severity.INFO,
        "Model without a smoke prompt",
        "`wtsctl smoke-test` leaves it out, and a wrong chat template or a wrong model shows first in front of a "
        "class.",
        "Give it one prompt with an assertion.",
        "",
        _never_asked,
    ),
)
