"""From manifests to models that answer: plan, ask, apply, wait; whichever command the manifests come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.cluster.apply import Applied, ApplyResult
    from wtsctl.cluster.prune import PruneResult
    from wtsctl.commands.planned import Place, Planned
    from wtsctl.commands.readiness import Looked
    from wtsctl.commands.recording import Recorder
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.health.wait import Waited
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

# What one endpoint may take to list its models before it is asked again.
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """One deploy: where, of what, how.

    Attributes:
        place: where.
        looked: what is waited for.
        screen: hears of it.
        recorder: of what comes of it.
        timeout: seconds to wait at most.
        patience: seconds to wait for another deploy of the same catalog that is at work.
        wait: whether to wait for the models.
        dry_run: whether nothing is to be changed.
        ask: whether a person may be asked.
        ignored: names of checks whose errors do not stop it.
    """

    place: Place
    looked: Looked
    screen: Terminal
    recorder: Recorder
    timeout: float
    patience: float
    wait: bool
    dry_run: bool
    ask: bool
    ignored: Sequence[str] = ()


def rollout(run: Run, manifests: Sequence[Manifest]) -> Result:
    """Plan, ask, apply what was planned, and wait; whatever comes of it is in the result.

    Args:
        run: where and how.
        manifests: in the order of a deploy.

    Raises:
        ClusterError: the cluster cannot be spoken to, or cannot take the manifests; nothing was applied.
    """
    from wtsctl.cluster.apply import ApplyResult
    from wtsctl.commands.planned import planned, stopped
    from wtsctl.commands.preflight import Preflight
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.report import preflight
    from wtsctl.report.deploy import counts

    try:
        checks = Preflight(run.place, run.looked if run.wait else None, run.ignored)
        checks.may_look(manifests)
        plan = planned(run.place, manifests, run.screen, check_new=run.dry_run, usual=run.recorder.look())
        plan = replace(plan, checked=checks.records(plan.prepared, plan.compared, plan.membership))
        for warning in preflight.warnings(plan.checked):
            run.screen.warn(warning)
        problems = [*(one.problem for one in plan.compared if one.problem), *preflight.problems(plan.checked)]
        if problems or run.dry_run:
            done = ApplyResult.foreseen(plan.compared, refused=not run.dry_run)
            run.screen.note(f"{'checked' if run.dry_run else 'nothing was applied'}: {counts(done.objects)}")
            return _result(run, done, ExitCode.CLUSTER if problems else ExitCode.OK, problems, plan=plan)
        if ended := stopped(run.place, plan, run.screen, ask=run.ask):
            done = ApplyResult.foreseen(plan.compared, refused=True)
            return _result(run, done, *ended, plan=plan)
    except KeyboardInterrupt:
        problem = Problem("interrupted", "interrupted before anything was applied")
        return _result(run, ApplyResult(()), ExitCode.INTERRUPTED, [problem])
    return _applied(run, plan, manifests)


def _applied(run: Run, plan: Planned, manifests: Sequence[Manifest]) -> Result:
    from wtsctl.cluster.apply import ApplyResult, apply_all
    from wtsctl.commands.outcome import left
    from wtsctl.commands.planned import planned
    from wtsctl.commands.writing import Writing
    from wtsctl.errors import ClusterError, ExitCode, Problem
    from wtsctl.report.deploy import applied_line

    def told(one: Applied) -> None:
        run.screen.detail(applied_line(one))

    def record(plan: Planned) -> None:
        run.recorder.begin(plan, manifests, writes=plan.writes)

    applied, pruned = ApplyResult(()), None
    try:
        with Writing(run.place, plan, run.patience, run.screen, record) as writing:

            def write(plan: Planned) -> ApplyResult:
                place = run.place
                return apply_all(
                    place.client,
                    plan.prepared,
                    place.options,
                    told,
                    plan.compared,
                    before=[writing.begin, lambda: plan.membership.widen(place.client, run.screen)],
                    between=writing.go_on,
                    still=writing.still,
                )

            applied = write(plan)
            if writing.stale and not run.ask:
                run.screen.note("what is there has changed since the plan was made: planning again")
                plan = planned(run.place, manifests, run.screen, check_new=False, usual=run.recorder.look())
                if problems := [one.problem for one in plan.compared if one.problem]:
                    done = ApplyResult.foreseen(plan.compared, refused=True)
                    return _result(run, done, ExitCode.CLUSTER, problems, plan=plan)
                writing.again(plan)
                applied = write(plan)
            if applied.complete and not (applied.interrupted or applied.error):
                run.recorder.applied()
                pruned = plan.membership.finish(run.place.client, run.place.labels, run.screen, writing.go_on)
    except KeyboardInterrupt:
        # Between the requests: before an apply, before a prune, or while the lock is given back.
        known = "what is known of each object stands above" if applied.objects else "nothing is known of the objects"
        text = f"interrupted while writing; {known}, and a second deploy goes on from there"
        interrupted = [Problem("interrupted", text)]
        return _result(run, applied, ExitCode.INTERRUPTED, interrupted, plan=plan, pruned=pruned)
    except ClusterError as error:
        if not applied.objects:
            raise
        return _result(run, applied, error.exit_code, [*error.problems, *left(applied)], plan=plan, pruned=pruned)
    return _ended(run, plan, applied, pruned)


def _ended(run: Run, plan: Planned, applied: ApplyResult, pruned: PruneResult | None) -> Result:
    """Say what was written, and wait for the models where all of it was."""
    from wtsctl.commands.outcome import unfinished, unpruned
    from wtsctl.errors import ClusterError, ExitCode, Problem
    from wtsctl.report.deploy import counts

    run.screen.note(f"applied: {counts(applied.objects)}")
    for one in applied.objects:
        if one.manifest.kind == "Secret" and one.note:
            # Whoever gave a value has to hear that another one is in use.
            run.screen.warn(f"{one.manifest.identity}: {one.note}")
    if pruned is None:
        return _result(run, applied, *unfinished(applied), plan=plan)
    if pruned.objects:
        run.screen.note(f"no longer in the catalog: {counts(pruned.objects)}")
    if ended := unpruned(pruned):
        return _result(run, applied, *ended, plan=plan, pruned=pruned)
    if not run.wait:
        return _result(run, applied, ExitCode.OK, [], plan=plan, pruned=pruned)
    everything = f"all {len(applied.objects)} objects were applied and the models go on starting; `wtsctl status`"
    try:
        return _waited(run, applied, plan, pruned)
    except KeyboardInterrupt:
        text = f"interrupted while waiting; {everything} shows them, and a second deploy waits again"
        problems = [Problem("interrupted", text)]
        return _result(run, applied, ExitCode.INTERRUPTED, problems, plan=plan, pruned=pruned)
    except ClusterError as error:
        text = f"the models cannot be watched any more; {everything} shows them once that is mended"
        problems = [*error.problems, Problem("deploy.not-watched", text)]
        return _result(run, applied, error.exit_code, problems, plan=plan, pruned=pruned)


def _waited(run: Run, applied: ApplyResult, plan: Planned, pruned: PruneResult) -> Result:
    import time

    from wtsctl.cluster.logs import StartLogs
    from wtsctl.cluster.watch import Follower
    from wtsctl.commands.readiness import Answers, observer
    from wtsctl.errors import ClusterUnreachable, ExitCode
    from wtsctl.health.wait import wait
    from wtsctl.report.deploy import unready
    from wtsctl.report.progress import ProgressView

    with (
        Follower(run.place.client, run.looked.selections) as follower,
        StartLogs(run.place.client, follower.wake) as logs,
    ):
        answers = Answers(
            run.place.client.connection, run.looked.endpoints, _PROBE_SECONDS, run.looked.file, follower.wake
        )

        def trouble() -> str:
            return str(follower.trouble.problems[0].message) if follower.trouble else ""

        usual = {one.name: one.seconds for one in plan.report.impacts if one.measured and one.seconds}
        with run.screen.drawing() as live:
            waited = wait(
                [one.name for one in run.looked.subjects],
                observer(run.looked, follower, answers, logs),
                clock=time.monotonic,
                sleep=follower.wait,
                timeout=run.timeout,
                show=ProgressView(run.screen, live, trouble, usual).show,
                epoch=time.time(),
            )
        if not waited:
            raise follower.trouble or ClusterUnreachable("the API server did not list the models' objects in time")
    problems = unready(waited, run.timeout)
    if problems and follower.trouble:
        problems += follower.trouble.problems
    problems += _overtaken(run, plan)
    code = ExitCode.NOT_READY if problems else ExitCode.OK
    return _result(run, applied, code, problems, waited=waited, plan=plan, pruned=pruned)


def _overtaken(run: Run, plan: Planned) -> list[Problem]:
    """That another deploy has changed what this one applied: then it is the other's that is ready."""
    from wtsctl.commands.planned import overtaken
    from wtsctl.errors import Problem

    newer = run.recorder.newer()
    changed = overtaken(run.place, plan) if newer else []
    if not newer or not changed:
        return []
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""  # noqa: PLR2004
    text = f"revision {newer.revision}, by {newer.user}, has changed {', '.join(changed[:3])}{more} meanwhile"
    hint = f"`wtsctl history {newer.revision}` shows it, and `wtsctl diff` what is not as this models.yaml says"
    return [Problem("deploy.overtaken", text, hint=hint)]


def _result(
    run: Run,
    applied: ApplyResult,
    code: ExitCode,
    problems: Sequence[Problem],
    *,
    waited: Mapping[str, Waited] | None = None,
    plan: Planned | None = None,
    pruned: PruneResult | None = None,
) -> Result:
    from wtsctl.cluster.prune import PruneResult
    from wtsctl.commands.readiness import evidence_of
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.report.deploy import DeployReport
    from wtsctl.report.result import Result

    waited, evidence = waited or {}, {}
    # Of nothing everything was applied; it was interrupted before.
    complete = bool(applied.objects) and applied.complete
    try:
        run.recorder.ended(code, complete=complete, waited=waited, plan=plan, problems=problems)
        evidence = evidence_of(run.place.client, [one.health for one in waited.values()])
    except KeyboardInterrupt:
        # What came of the deploy is known, and is what has to be said.
        code = ExitCode.INTERRUPTED
        problems = [*problems, Problem("interrupted", "interrupted before the record of this deploy was complete")]
    warnings = run.place.client.take_warnings()
    for warning in warnings:
        run.screen.warn(f"warning: {warning}")
    foreseen = plan.report if plan else None
    if pruned is None and plan is not None and plan.membership.prunes:
        pruned = PruneResult.foreseen(plan.membership.found.removed, refused=not run.dry_run)
    report = DeployReport(
        applied,
        waited,
        run.looked.addresses,
        evidence,
        warnings,
        dry_run=run.dry_run,
        plan=foreseen,
        pruned=pruned.objects if pruned else (),
        checked=plan.checked if plan else (),
    )
    return Result(data=report.data(), show=report.show, exit_code=code, problems=tuple(problems))
