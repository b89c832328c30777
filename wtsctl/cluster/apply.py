"""Applying manifests: stage after stage, the objects of a stage at once, each outcome as data."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Self

from wtsctl.cluster.change import Applied, Outcome, change, said
from wtsctl.cluster.dryrun import Compared
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import Work
from wtsctl.cluster.prepare import Options, Prepared, defined, key_wanted
from wtsctl.errors import ClusterError
from wtsctl.plan.changes import Action
from wtsctl.render.job import Stage
from wtsctl.render.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from wtsctl.cluster.client import Client

__all__ = ["Applied", "ApplyResult", "Outcome", "apply_all"]

_NOT_FOUND = 404
# How long a new kind may take to be served.
_SERVED_SECONDS, _LOOK_SECONDS = 30.0, 0.25
# What makes a stage the last.
_ENDING = frozenset({Outcome.FAILED, Outcome.UNKNOWN})


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What an apply came to; every manifest has exactly one entry, in the order given.

    Attributes:
        objects: one entry a manifest.
        error: why the rest could not go on, where it was not an object's own failure: the connection broke.
        interrupted: Ctrl-C came; what was in flight was still finished.
    """

    objects: tuple[Applied, ...]
    error: ClusterError | None = None
    interrupted: bool = False

    @classmethod
    def foreseen(cls, compared: Iterable[Compared], *, refused: bool) -> Self:
        """What would come of a plan; with `refused` what has come of one of which nothing was applied."""
        return cls(tuple(_foreseen(one, refused=refused) for one in compared))

    @property
    def complete(self) -> bool:
        """Whether every object is in the cluster as it should be."""
        done = {Outcome.CREATED, Outcome.CONFIGURED, Outcome.RECREATED, Outcome.UNCHANGED}
        return all(one.outcome in done for one in self.objects)


_OUTCOMES = {
    Action.CREATE: Outcome.CREATED,
    Action.CONFIGURE: Outcome.CONFIGURED,
    Action.RECREATE: Outcome.RECREATED,
    Action.UNCHANGED: Outcome.UNCHANGED,
}


def _foreseen(step: Compared, *, refused: bool) -> Applied:
    if step.problem:
        return Applied(step.manifest, Outcome.FAILED, step.problem)
    outcome = _OUTCOMES[step.action]
    if refused and outcome is not Outcome.UNCHANGED:
        outcome = Outcome.NOT_APPLIED
    return Applied(step.manifest, outcome, note=said(step))


def apply_all(
    client: Client,
    prepared: Prepared,
    options: Options,
    note: Callable[[Applied], None],
    compared: Iterable[Compared] = (),
    *,
    before: Sequence[Callable[[], None]] = (),
    between: Callable[[], None] = lambda: None,
    still: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> ApplyResult:
    """Apply every manifest, each stage after the one before it is done; a stage with a failure is the last.

    Args:
        client: the cluster.
        prepared: from `prepare`.
        options: how to apply.
        note: hears of each object as it is done, in the calling thread.
        compared: from `compare`: what has to be done; a manifest that is not among it is applied.
        before: called in this order once the namespaces stand, before anything is put into them; a ClusterError
            from one ends the apply there.
        between: called before each stage but the namespaces' that has something to be written; as `before`.
        still: called before each object of those stages, from any thread; a ClusterError from it ends the apply there.
        sleep: waits the given seconds; a test passes its own.
    """
    planned = {_id(one.manifest): one for one in compared}
    run = _Run(client, prepared, options, note, still)
    due = list(before)
    # Also between two requests: what is done and what is not has to be said.
    with run.interruptible():
        for number, group in groupby(prepared.manifests, key=lambda one: one.stage):
            stage = list(group)
            while due and number is not Stage.NAMESPACE and run.goes_on:
                run.guarded(due.pop(0))
            steps = [planned.get(_id(one)) or _unplanned(prepared, one) for one in stage]
            if run.goes_on and number is not Stage.NAMESPACE and any(one.write for one in steps):
                run.guarded(between)
            if run.goes_on:
                run.stage(steps)
            if run.goes_on:
                run.guarded(partial(_served, client, prepared, stage, sleep))
    return ApplyResult(
        tuple(run.done.get(_id(one)) or Applied(one, Outcome.NOT_APPLIED) for one in prepared.manifests),
        run.error,
        run.interrupted,
    )


@dataclass(slots=True)
class _Run:
    """An apply under way: what is done, and what ended it before its time."""

    client: Client
    prepared: Prepared
    options: Options
    note: Callable[[Applied], None]
    still: Callable[[], None]
    done: dict[str, Applied] = field(default_factory=dict)
    error: ClusterError | None = None
    interrupted: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether there is anything to be done after this."""
        return not (self.error or self.interrupted or any(one.outcome in _ENDING for one in self.done.values()))

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C ends what is in here, and not the telling of it."""
        try:
            yield
        except KeyboardInterrupt:
            self._interrupt()

    def guarded(self, do: Callable[[], None]) -> None:
        """Do something that may end it."""
        with self.interruptible():
            try:
                do()
            except ClusterError as broke:
                self.error = broke

    def stage(self, steps: Sequence[Compared]) -> None:
        """Apply what has to be sent, all of it at once."""
        for idle in steps:
            if not idle.write:
                self._tell(Applied(idle.manifest, Outcome.UNCHANGED, note=idle.note))
        sent = [one for one in steps if one.write]
        # Where nobody answers, or nobody knows us any more, what has not begun is left alone.
        work = Work(self._change, sent, self.options.parallel, last=lambda found: found[1] is not None)
        try:
            for number in work.as_done():
                self._take(work, number)
        except KeyboardInterrupt:
            self._interrupt()
            # Requests that are under way are finished, so that what is said about them is true; who presses it
            # again does not want to wait for that either.
            with contextlib.suppress(KeyboardInterrupt):
                work.settle()
        finally:
            work.stop()
        for number in sorted(work.results):
            self._take(work, number)
        for number, step in enumerate(sent):
            if work.begun(number) and _id(step.manifest) not in self.done:
                self._tell(Applied(step.manifest, Outcome.UNKNOWN, note="its answer was not waited for"))

    def _change(self, step: Compared) -> tuple[Applied, ClusterError | None]:
        if step.manifest.stage is not Stage.NAMESPACE:
            try:
                self.still()
            except ClusterError as error:
                return Applied(step.manifest, Outcome.NOT_APPLIED), error
        return change(self.client, self.prepared.kinds[step.manifest.api_version, step.manifest.kind], step)

    def _take(self, work: Work[Compared, tuple[Applied, ClusterError | None]], number: int) -> None:
        found, raised = work.results[number]
        if found is None:
            raise raised or AssertionError(number)
        applied, broke = found
        self.error = self.error or broke
        if _id(applied.manifest) not in self.done:
            self._tell(applied)

    def _interrupt(self) -> None:
        self.interrupted = True
        self.client.hurry()

    def _tell(self, applied: Applied) -> None:
        self.done[_id(applied.manifest)] = applied
        self.note(applied)


def _unplanned(prepared: Prepared, manifest: Manifest) -> Compared:
    """What is done with an object that nobody has compared: it is applied, unless it is others'."""
    live = prepared.live(manifest)
    if key_wanted(manifest) in prepared.foreign:
        # Ours would be the label by which `delete` later takes it for its own, with all that others put there.
        note = "it was there before and is left as it is"
        return Compared(manifest, Action.UNCHANGED, live, write=False, note=note)
    return Compared(manifest, Action.CREATE if live is None else Action.CONFIGURE, live)


def _served(client: Client, prepared: Prepared, stage: Sequence[Manifest], sleep: Callable[[float], None]) -> None:
    """Wait until the kinds are served that the CustomResourceDefinitions of a stage bring.

    Raises:
        ClusterRefused: one of them is not.
    """
    brought = [kind for one in stage for kind in defined(one.doc) if (kind.api_version, kind.kind) in prepared.coming]
    left = _SERVED_SECONDS
    for kind in brought:
        while True:
            try:
                client.request("GET", kind.path(), query={"limit": 1}, where=kind.plural)
                break
            except ApiRefused as error:
                if error.status != _NOT_FOUND or left <= 0:
                    raise
            sleep(_LOOK_SECONDS)
            left -= _LOOK_SECONDS


def _id(manifest: Manifest) -> str:
    return f"{manifest.api_version} {manifest.identity}"
