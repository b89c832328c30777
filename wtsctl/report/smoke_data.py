"""`smoke-test -o json`: every number of the table and more, described in docs/reference/smoke-test-fields.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.latency.assertions import Check
    from wtsctl.latency.budget import BudgetResult
    from wtsctl.latency.exchange import Opening
    from wtsctl.latency.outcome import ModelOutcome, PromptOutcome
    from wtsctl.latency.sample import Sample


def smoke_data(outcomes: Sequence[ModelOutcome], settings: dict[str, Any], *, samples: bool) -> dict[str, Any]:
    """The `data` of the envelope.

    Args:
        outcomes: the models, in file order.
        settings: how they were asked.
        samples: whether to list every request beside the summaries.
    """
    return {"settings": settings, "models": [_model(model, samples=samples) for model in outcomes]}


def _model(model: ModelOutcome, *, samples: bool) -> dict[str, Any]:
    return {
        "name": model.name,
        "verdict": model.verdict.value,
        "via": model.via,
        "url": model.address,
        "served": list(model.served),
        "failure": model.failure.as_dict() if model.failure else None,
        "opening": _opening(model.opening),
        "prompts": [_prompt(prompt, samples=samples) for prompt in model.prompts],
    }


def _prompt(prompt: PromptOutcome, *, samples: bool) -> dict[str, Any]:
    summary = prompt.summary
    metrics = {
        "ttfb": summary.ttfb,
        "ack": summary.ack,
        "ttft": summary.ttft,
        "ttfo": summary.ttfo,
        "tpot": summary.tpot,
        "total": summary.total,
        "tokensPerSecond": summary.tokens_per_second,
    }
    listed = {
        "warmUps": [_sample(sample) for sample in prompt.warm_ups],
        "samples": [_sample(sample) for sample in prompt.samples],
    }
    return {
        "name": prompt.name,
        "verdict": prompt.verdict.value,
        "planned": prompt.planned,
        "requests": summary.requests,
        "answered": summary.answered,
        "failures": [failure.as_dict() for failure in prompt.failures],
        "assertions": [_check(check) for check in prompt.checks],
        "metrics": {name: distribution.as_dict() for name, distribution in metrics.items()},
        "budgets": [_budget(budget) for budget in prompt.budgets],
        **(listed if samples else {}),
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "kind": check.kind,
        "expected": check.expected,
        "answers": check.answers,
        "held": check.held,
        "wrongAnswer": check.wrong,
        "observed": check.observed,
    }


def _budget(budget: BudgetResult) -> dict[str, Any]:
    return {
        "metric": budget.metric.value,
        "stat": budget.stat.value,
        "limit": budget.limit,
        "value": budget.value,
        "lower": budget.lower,
        "upper": budget.upper,
        "n": budget.n,
        "verdict": budget.verdict.value,
        "reason": budget.reason,
    }


def _opening(opening: Opening | None) -> dict[str, float | None] | None:
    return None if opening is None else {"tcp": opening.tcp, "tls": opening.tls}


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "failure": sample.failure.as_dict() if sample.failure else None,
        "ttfb": sample.ttfb,
        "ack": sample.ack,
        "ttft": sample.ttft,
        "ttfo": sample.ttfo,
        "tpot": sample.tpot,
        "total": sample.total,
        "done": sample.done,
        "promptTokens": sample.prompt_tokens,
        "completionTokens": sample.completion_tokens,
        "chunks": sample.chunks,
        "finishReason": sample.finish_reason,
        "answer": sample.answer,
        "opening": _opening(sample.opening),
        "resent": sample.resent,
    }
