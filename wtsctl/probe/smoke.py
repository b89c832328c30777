"""One model's smoke prompts, one request after another: unloaded latency, no claim about capacity."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.latency.outcome import ModelOutcome, PromptOutcome, prompt_outcome
from wtsctl.probe.chat import ask
from wtsctl.probe.models import ServedModels, list_models
from wtsctl.probe.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from wtsctl.catalog.model import Model
    from wtsctl.catalog.smoke import Prompt
    from wtsctl.latency.sample import Sample
    from wtsctl.probe.target import Target

# A server that cannot list its models within this time is not going to answer a prompt.
_LISTING_SECONDS = 10.0
_NO_SUCH_ROUTE = {404, 405}
_IDS_SHOWN = 10
# Between two requests: llama.cpp closes its connection after a streamed answer without announcing it, and a request
# sent at once can meet it on its way out (docs/explanation/latency.md has the counts).
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often each prompt is asked: first to warm up, uncounted, then to measure."""

    warm_up: int
    measured: int


def smoke(model: Model, target: Target, repeats: Repeats, progress: Callable[[str, int, int], None]) -> ModelOutcome:
    """Ask `model` its prompts over one connection and judge the answers.

    An endpoint that cannot be asked at all costs one request. Otherwise every prompt is asked, whatever became
    of the ones before it; a prompt whose warm-up fails, or that runs into the timeout, is not asked again. Ctrl-C
    ends it with the prompts that were done.

    Args:
        model: whose prompts, budgets and name.
        target: where to ask.
        repeats: how often.
        progress: told before each request the prompt's name, the request's number from 1, and of how many.
    """
    if not model.smoke:
        return ModelOutcome(model.name, target.via, target.address)
    outcomes: list[PromptOutcome] = []
    failure: ProbeFailure | None = None
    known: ServedModels | None = None
    interrupted = False
    try:
        with Session(target) as session:
            listed = list_models(session, within=_LISTING_SECONDS)
            known = listed if isinstance(listed, ServedModels) else None
            failure = _blocking(model, listed)
            for prompt in model.smoke:
                warm_ups, samples = ([], []) if failure else _asked(session, model, prompt, repeats, progress)
                if samples and samples[-1].failure and samples[-1].failure.unreachable:
                    failure = samples[-1].failure
                outcomes.append(prompt_outcome(prompt, model.budgets, repeats.measured, warm_ups, samples))
    except KeyboardInterrupt:
        interrupted = True
    return ModelOutcome(
        name=model.name,
        via=target.via,
        address=target.address,
        prompts=tuple(outcomes),
        opening=known.opening if known else None,
        served=known.ids if known else (),
        failure=failure,
        interrupted=interrupted,
    )


def _blocking(model: Model, listed: ServedModels | ProbeFailure) -> ProbeFailure | None:
    """Why the prompts need not be sent; a server without the /models route may still answer them."""
    if isinstance(listed, ProbeFailure):
        return None if listed.kind is FailureKind.STATUS and listed.status in _NO_SUCH_ROUTE else listed
    if listed.ids and model.name not in listed.ids:
        # llama.cpp answers a prompt for any name; without this, another model's answer would be measured.
        some, more = listed.ids[:_IDS_SHOWN], len(listed.ids) - _IDS_SHOWN
        others = f" and {more} more" if more > 0 else ""
        message = f"the endpoint serves {', '.join(some)}{others}, not {model.name}"
        return ProbeFailure(FailureKind.NOT_SERVED, message)
    return None


def _asked(
    session: Session, model: Model, prompt: Prompt, repeats: Repeats, progress: Callable[[str, int, int], None]
) -> tuple[list[Sample], list[Sample]]:
    """The warm-up and the measured samples; a warm-up that fails is the prompt's only measured one."""
    warm_ups: list[Sample] = []
    samples: list[Sample] = []
    of = repeats.warm_up + repeats.measured
    for number in range(1, of + 1):
        progress(prompt.name, number, of)
        time.sleep(_PAUSE_SECONDS)
        sample = ask(session, model.name, prompt)
        warming = number <= repeats.warm_up
        (warm_ups if warming and not sample.failure else samples).append(sample)
        if sample.failure and (warming or sample.failure.costly):
            break
    return warm_ups, samples
