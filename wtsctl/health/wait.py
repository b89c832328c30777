"""Waiting for models: a loop over observations, with its clock and its sleep as arguments. Does no I/O itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wtsctl.health.model import ModelHealth


# Sleeping until a grace is over ends a hair before or after it.
_ROUNDING = 1e-6


class Verdict(StrEnum):
    """What waiting for one model came to."""

    READY = "ready"
    FAILED = "failed"
    TIMED_OUT = "timed-out"


@dataclass(frozen=True, slots=True)
class Waited:
    """One model after the wait.

    Attributes:
        health: as last seen.
        verdict: what the wait came to.
        seconds: from the start of the wait to the moment the verdict was first true.
        noticed: of one that failed, seconds from the moment at which the cluster said so, or from the start of the
            wait where it had said so before, to the verdict. The cluster's times are whole seconds of its own
            clock, so that this may be up to a second too long. None where the cluster did not say when.
    """

    health: ModelHealth
    verdict: Verdict
    seconds: float
    noticed: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A look at all models while waiting.

    Attributes:
        elapsed: seconds since the wait began.
        healths: by model, in the order given.
        verdicts: of the models that need no more waiting, as it stands.
        noticed: of those that have failed, as in `Waited`.
    """

    elapsed: float
    healths: Mapping[str, ModelHealth]
    verdicts: Mapping[str, Verdict]
    noticed: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Track:
    """One model over time: since when it is ready, or has failed, and the verdict.

    `started` is when the wait began, and `epoch` what a clock on the wall showed then, if that is known.
    """

    started: float
    epoch: float | None
    end: str = ""
    since: float = 0.0
    said: float | None = None
    verdict: Verdict | None = None
    decided: float = 0.0
    health: ModelHealth | None = field(default=None)

    def see(self, health: ModelHealth, now: float) -> None:
        self.health = health
        # ErrImagePull and ImagePullBackOff take turns; they are one failure, of one pod's image.
        end = f"{health.pod}/{health.phase}" if health.ready or health.cause else ""
        if end != self.end:
            self.end, self.since, self.said = end, now, self._said(health)
            # What the cluster has said during this wait has lasted since then, however late it was seen. What it said
            # before may be about pods that are just being replaced.
            if self.said is not None and self.started < self.said < now:
                self.since = self.said
        verdict: Verdict | None = None
        if end and now - self.since >= health.grace - _ROUNDING:
            verdict = Verdict.READY if health.ready else Verdict.FAILED
        if verdict is not self.verdict:
            self.verdict, self.decided = verdict, now

    def _said(self, health: ModelHealth) -> float | None:
        """When the cluster said what is wrong, by our clock."""
        if self.epoch is None or health.cause is None or not health.cause.at:
            return None
        return self.started + datetime.fromisoformat(health.cause.at).timestamp() - self.epoch

    @property
    def noticed(self) -> float | None:
        """Seconds from the cluster's word, or from the beginning, to the verdict that it failed."""
        if self.verdict is not Verdict.FAILED or self.said is None:
            return None
        return max(0.0, self.decided - max(self.said, self.started))


def wait(
    names: Sequence[str],
    observe: Callable[[], Mapping[str, ModelHealth] | None],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    timeout: float,
    show: Callable[[Progress], None],
    epoch: float | None = None,
) -> dict[str, Waited]:
    """Wait until every model is ready or has failed for good, or the time is over.

    A model that fails does not end the wait for the others, and one that was ready counts as such only while it
    stays so: what is returned is true at the end.

    Args:
        names: the models, in the order of the result.
        observe: how they are now; None while that is not known yet.
        clock: seconds, from any start, never going back.
        sleep: called with the longest time to wait for news; may return early.
        timeout: seconds to wait at most.
        show: told after every look.
        epoch: what a clock on the wall shows at the start, in seconds since 1970, to compare with the cluster's times.

    Returns:
        The models that were seen at least once; one that never was is missing.
    """
    start = clock()
    tracks = {name: _Track(start, epoch) for name in names}
    while True:
        seen, now = observe(), clock()
        if seen is not None:
            for name, track in tracks.items():
                track.see(seen[name], now)
            show(_progress(tracks, now - start))
            if all(track.verdict for track in tracks.values()):
                break
        if now - start >= timeout:
            break
        sleep(min(_until_news(tracks, now), start + timeout - now))
    return {
        name: Waited(
            track.health,
            track.verdict or _late(track.health),
            (track.decided if track.verdict else now) - start,
            track.noticed,
        )
        for name, track in tracks.items()
        if track.health is not None
    }


def _late(health: ModelHealth) -> Verdict:
    """The verdict where the time was over first: what is ready by then need not have been so for long."""
    return Verdict.READY if health.ready else Verdict.TIMED_OUT


def _progress(tracks: Mapping[str, _Track], elapsed: float) -> Progress:
    noticed = {name: track.noticed for name, track in tracks.items()}
    return Progress(
        elapsed,
        {name: track.health for name, track in tracks.items() if track.health is not None},
        {name: track.verdict for name, track in tracks.items() if track.verdict is not None},
        {name: seconds for name, seconds in noticed.items() if seconds is not None},
    )


def _until_news(tracks: Mapping[str, _Track], now: float) -> float:
    """Seconds until something changes by itself: an end that becomes final; else the next redraw, a second."""
    finals = [
        track.since + track.health.grace - now
        for track in tracks.values()
        if track.health and track.end and track.verdict is None
    ]
    return max(0.05, min([1.0, *finals]))
