"""Waiting for models, with a list of observations and a clock that only the loop moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from wtsctl.health.model import ModelHealth, Subject
from wtsctl.health.pod import Cause
from wtsctl.health.state import Phase
from wtsctl.health.wait import Progress, Verdict, Waited, wait


@dataclass
class Clock:
    """Time that passes only where the loop sleeps, and never less than a tenth of a second."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += max(0.1, seconds)


def subject(name: str) -> Subject:
    """Some model."""
    return Subject(name, "vllm", "llm", name, name, 1, name)


def served_by_kserve(phase: Phase) -> ModelHealth:
    """A model of KServe's."""
    return ModelHealth(Subject("a", "kserve", "llm", "a", "a", 1, "a"), phase)


def at(name: str, phase: Phase, cause: Cause | None = None, pod: str = "p") -> ModelHealth:
    """A model in a phase, failing with `cause` if one is given."""
    reason = cause.reason if cause else ""
    return ModelHealth(subject(name), phase, reason, cause=cause, pod=pod)


def run(
    observe: Callable[[float], Mapping[str, ModelHealth] | None], names: Sequence[str], timeout: float
) -> tuple[dict[str, Waited], Clock, list[Progress]]:
    """Wait with observations that depend on the seconds since the start."""
    clock = Clock()
    shown: list[Progress] = []
    start = clock.now
    waited = wait(
        names,
        lambda: observe(clock.now - start),
        clock=lambda: clock.now,
        sleep=clock.sleep,
        timeout=timeout,
        show=shown.append,
    )
    return waited, clock, shown


def test_it_ends_when_every_model_is_ready() -> None:
    """The wait is over with the last model, and each one's time is when it became ready."""
    waited, clock, _ = run(
        lambda t: {"a": at("a", Phase.READY), "b": at("b", Phase.READY if t >= 5 else Phase.LOADING)}, ["a", "b"], 60
    )
    assert {name: one.verdict for name, one in waited.items()} == {"a": Verdict.READY, "b": Verdict.READY}
    assert waited["a"].seconds == 0
    assert 5 <= waited["b"].seconds <= 6
    assert clock.now - 100 < 7


def test_a_cause_counts_only_once_it_has_lasted() -> None:
    """A model whose image cannot be pulled for a second and then can is not given up."""
    cause = Cause("ErrImagePull", "no", grace=2.0)

    def observe(t: float) -> dict[str, ModelHealth]:
        if t < 1:
            return {"a": at("a", Phase.IMAGE, cause)}
        return {"a": at("a", Phase.READY if t > 10 else Phase.LOADING)}

    waited, _, _ = run(observe, ["a"], 60)
    assert waited["a"].verdict is Verdict.READY


def test_a_failure_is_final_as_soon_as_its_grace_is_over() -> None:
    """A failing model ends the wait when its cause has lasted, long before the timeout."""
    cause = Cause("ImagePullBackOff", "no such image", grace=2.0)
    waited, clock, _ = run(lambda _: {"a": at("a", Phase.IMAGE, cause)}, ["a"], 900)
    assert waited["a"].verdict is Verdict.FAILED
    assert 2.0 <= clock.now - 100 < 2.5


def test_two_words_for_one_failure_do_not_start_its_grace_again() -> None:
    """ErrImagePull and ImagePullBackOff take turns in the status of one pod and are one failure."""

    def observe(t: float) -> dict[str, ModelHealth]:
        reason = "ErrImagePull" if int(t) % 2 else "ImagePullBackOff"
        return {"a": at("a", Phase.IMAGE, Cause(reason, "no", grace=5.0))}

    waited, clock, _ = run(observe, ["a"], 900)
    assert waited["a"].verdict is Verdict.FAILED
    assert clock.now - 100 < 6


def test_another_pod_gets_a_grace_of_its_own() -> None:
    """A failure of the pod that replaced the first one is a new failure."""

    def observe(t: float) -> dict[str, ModelHealth]:
        return {"a": at("a", Phase.IMAGE, Cause("ErrImagePull", "no", grace=3.0), pod=f"pod-{int(t) // 2}")}

    waited, _, _ = run(observe, ["a"], 10)
    assert waited["a"].verdict is Verdict.TIMED_OUT


def test_others_go_on_when_one_fails() -> None:
    """The failure of one model is told at once, and the slow one still becomes ready."""
    cause = Cause("CreateContainerConfigError", "no secret", grace=2.0)

    def observe(t: float) -> dict[str, ModelHealth]:
        return {"bad": at("bad", Phase.STARTING, cause), "slow": at("slow", Phase.READY if t > 30 else Phase.LOADING)}

    waited, _, shown = run(observe, ["bad", "slow"], 60)
    assert [one.verdict for one in waited.values()] == [Verdict.FAILED, Verdict.READY]
    told = next(one.elapsed for one in shown if one.verdicts.get("bad") is Verdict.FAILED)
    assert told < 3


def test_at_the_timeout_the_last_reason_is_kept() -> None:
    """What is not ready in time is named with what it was last waiting for."""
    late = ModelHealth(subject("a"), Phase.SCHEDULING, "Unschedulable", "0/3 nodes are available")
    waited, clock, _ = run(lambda _: {"a": late}, ["a"], 30)
    assert waited["a"].verdict is Verdict.TIMED_OUT
    assert waited["a"].health.reason == "Unschedulable"
    assert 30 <= clock.now - 100 < 31


def test_ready_counts_only_while_it_lasts() -> None:
    """A model that crashes while another one still loads is not reported ready."""

    def observe(t: float) -> dict[str, ModelHealth]:
        crashed = Cause("CrashLoopBackOff", "exit 1", grace=3.0)
        first = at("a", Phase.READY) if t < 5 else at("a", Phase.STARTING, crashed)
        return {"a": first, "b": at("b", Phase.READY if t > 20 else Phase.LOADING)}

    waited, _, _ = run(observe, ["a", "b"], 60)
    assert waited["a"].verdict is Verdict.FAILED


def test_what_kserve_has_not_seen_yet_is_not_taken_for_ready() -> None:
    """The pods from before a change are ready for a moment after it; the wait goes on to those that come."""

    def observe(t: float) -> dict[str, ModelHealth]:
        return {"a": served_by_kserve(Phase.READY if t < 2 or t > 30 else Phase.LOADING)}

    waited, clock, _ = run(observe, ["a"], 60)
    assert waited["a"].verdict is Verdict.READY
    assert 35 <= clock.now - 100 < 40


def test_ready_at_the_timeout_is_ready() -> None:
    """What is ready when the time is over is not called late because it was not so for long."""
    waited, _, _ = run(lambda t: {"a": served_by_kserve(Phase.READY if t > 9 else Phase.LOADING)}, ["a"], 10)
    assert waited["a"].verdict is Verdict.READY


def test_nothing_seen_is_nothing_claimed() -> None:
    """Where no list ever came in, no model has a verdict."""
    waited, _, shown = run(lambda _: None, ["a"], 5)
    assert waited == {}
    assert shown == []


def test_it_never_sleeps_past_the_timeout() -> None:
    """The last sleep is cut to what is left of the timeout."""
    _, clock, _ = run(lambda _: {"a": at("a", Phase.LOADING)}, ["a"], 0.4)
    assert max(clock.slept) == pytest.approx(0.4)


def test_it_wakes_up_when_a_grace_is_over() -> None:
    """A cause that becomes final in 0.3 s is told then, not at the next redraw."""
    cause = Cause("ErrImagePull", "no", grace=0.3)
    _, clock, _ = run(lambda _: {"a": at("a", Phase.IMAGE, cause)}, ["a"], 60)
    assert clock.slept == [pytest.approx(0.3)]


def said(at: str) -> Cause:
    """A cause that the cluster told of at a time of the first day of 1970."""
    return Cause("ErrImagePull", "no", grace=2.0, at=f"1970-01-01T00:{at}Z")


def failing(seen_from: float, cause: Cause, epoch: float | None) -> Waited:
    """The end of a wait for a model that is seen to fail from some second on; the wall clock shows `epoch` at first."""
    clock = Clock()
    start = clock.now

    def observe() -> dict[str, ModelHealth]:
        failed = clock.now - start >= seen_from
        return {"a": at("a", Phase.IMAGE, cause) if failed else at("a", Phase.IMAGE)}

    return wait(
        ["a"], observe, clock=lambda: clock.now, sleep=clock.sleep, timeout=60, show=lambda _: None, epoch=epoch
    )["a"]


def test_the_seconds_from_the_clusters_word_to_ours() -> None:
    """They count from the cluster's own time, from the start where that was before it, and not where it is unknown."""
    epoch = 600.0
    late = failing(9.0, said("10:08"), epoch)
    assert late.noticed is not None
    assert 2.0 <= late.noticed < 2.5
    before = failing(0.0, said("09:00"), epoch)
    assert before.noticed is not None
    assert 2.0 <= before.noticed < 2.5
    assert failing(0.0, said("10:00"), None).noticed is None
    assert failing(0.0, Cause("ErrImagePull", "no", grace=2.0), epoch).noticed is None


def test_what_was_said_during_the_wait_has_lasted_since_then() -> None:
    """A cause that is seen three seconds after the cluster told of it needs no further grace; one of before does."""
    assert 13 <= failing(13.0, said("10:10"), 600.0).seconds < 14
    assert failing(13.0, said("09:10"), 600.0).seconds >= 15
    # A cluster whose clock is ahead of ours has said it now, and not in the future.
    assert 15 <= failing(13.0, said("20:00"), 600.0).seconds < 16
