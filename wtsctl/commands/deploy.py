"""`wtsctl deploy`: say what changes, apply it, then wait until every model answers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options
from wtsctl.commands.desired import Only, Part, Roles, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.cluster.apply import Applied, ApplyResult
    from wtsctl.commands.planned import Place, Planned
    from wtsctl.commands.readiness import Looked
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.health.wait import Waited
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for all models, such as 90s or 1h.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Apply, and do not wait for the models.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan, checked by the API server object by object; change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Without a terminal nobody is asked in any case.")]
Parallel = Annotated[
    int, typer.Option("--parallel", metavar="N", min=1, max=64, help="Objects of one stage applied at once.")
]
ForceConflicts = Annotated[
    bool,
    typer.Option(
        "--force-conflicts",
        help="Take over what a controller or another catalog owns, instead of failing; "
        "what kubectl and helm set is taken over in any case.",
    ),
]
RecreateNames = Annotated[
    list[str] | None,
    typer.Option(
        "--recreate",
        metavar="MODEL|KIND/NAME",
        help="Delete and make again: what of a model cannot be changed in place, or one object; repeatable. A volume "
        "only as persistentvolumeclaim/NAME.",
    ),
]
# What one endpoint may take to list its models before it is asked again.
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Run:
    """One deploy: where, of what, how."""

    place: Place
    looked: Looked
    screen: Terminal
    timeout: float
    wait: bool
    dry_run: bool
    ask: bool


def deploy(
    *,
    models: options.Models = None,
    role: Roles = None,
    only: Only = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    templates: options.Templates = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    timeout: Timeout = "15m",
    no_wait: NoWait = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    parallel: Parallel = 8,
    force_conflicts: ForceConflicts = False,
    recreate: RecreateNames = None,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Deploy the catalog, and wait until every model answers.

    First the plan: what is created and what changes, field by field, and what restarts. On a terminal it asks before
    anything restarts, is made again or is taken over. Namespaces come first, then configuration, then models, then
    Llama Stack; the objects of one stage are applied at once. What is `auto` in the catalog is applied where the
    cluster serves its kind. A model that cannot start ends its own wait with the cause; the others go on. With MODEL
    or --role, only those models and what they share are applied, without Llama Stack. Running it again continues
    where it stopped.
    """
    from wtsctl.commands.inputs import seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.discovery import Discovery
        from wtsctl.cluster.prepare import Options
        from wtsctl.commands.desired import desired, read, served
        from wtsctl.commands.planned import Place, recreating
        from wtsctl.commands.readiness import Looked

        within = seconds(timeout, "--timeout")
        wanted = Wanted(models or (), role or (), only or (), file, profile, templates)
        loaded, chosen = read(wanted)
        client = Client(connect(kubeconfig, context), connections=max(16, parallel))
        screen.note(f"deploying {loaded.catalog.name} to {client.connection.host}")
        discovery = Discovery(client)
        manifests = desired(wanted, (loaded, chosen), client, discovery, screen)
        stack = not wanted.some and wanted.has(Part.LLAMA_STACK)
        looked = Looked(loaded, chosen if wanted.has(Part.MODELS) else (), llama_stack=stack)
        place = Place(
            client,
            discovery,
            loaded.catalog.name,
            served(loaded, chosen, llama_stack=not wanted.some),
            Options(parallel=parallel, force=force_conflicts),
            recreating(recreate or (), manifests),
        )
        run = _Run(
            place,
            looked,
            screen,
            within,
            wait=not (no_wait or dry_run) and bool(looked.subjects),
            dry_run=dry_run,
            ask=not yes and sys.stdin.isatty() and sys.stderr.isatty(),
        )
        return _deployed(run, manifests)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("deploy", screen, body, as_json=output is options.Output.JSON)


def _deployed(run: _Run, manifests: Sequence[Manifest]) -> Result:
    from wtsctl.cluster.apply import ApplyResult
    from wtsctl.commands.planned import planned, stopped
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.report.deploy import counts

    try:
        plan = planned(run.place, manifests, run.screen, check_new=run.dry_run)
        problems = [one.problem for one in plan.compared if one.problem]
        if problems or run.dry_run:
            done = ApplyResult.foreseen(plan.compared, refused=not run.dry_run)
            run.screen.note(f"checked: {counts(done.objects)}")
            return _result(run, done, ExitCode.CLUSTER if problems else ExitCode.OK, problems, plan=plan)
        if ended := stopped(run.place, plan, run.screen, ask=run.ask):
            done = ApplyResult.foreseen(plan.compared, refused=True)
            return _result(run, done, *ended, plan=plan)
    except KeyboardInterrupt:
        problem = Problem("interrupted", "interrupted before anything was applied")
        return _result(run, ApplyResult(()), ExitCode.INTERRUPTED, [problem])
    return _applied(run, plan)


def _applied(run: _Run, plan: Planned) -> Result:
    from wtsctl.cluster.apply import apply_all
    from wtsctl.errors import ClusterError, ExitCode, Problem
    from wtsctl.report.deploy import applied_line, counts

    def told(one: Applied) -> None:
        run.screen.detail(applied_line(one))

    applied = apply_all(run.place.client, plan.prepared, run.place.options, told, plan.compared)
    run.screen.note(f"applied: {counts(applied.objects)}")
    for one in applied.objects:
        if one.manifest.kind == "Secret" and one.note:
            # Whoever gave a value has to hear that another one is in use.
            run.screen.warn(f"{one.manifest.identity}: {one.note}")
    if applied.interrupted or applied.error or not applied.complete:
        return _result(run, applied, *_unfinished(applied), plan=plan)
    if not run.wait:
        return _result(run, applied, ExitCode.OK, [], plan=plan)
    everything = f"all {len(applied.objects)} objects were applied and the models go on starting; `wtsctl status`"
    try:
        return _waited(run, applied, plan)
    except KeyboardInterrupt:
        text = f"interrupted while waiting; {everything} shows them, and a second deploy waits again"
        return _result(run, applied, ExitCode.INTERRUPTED, [Problem("interrupted", text)], plan=plan)
    except ClusterError as error:
        text = f"the models cannot be watched any more; {everything} shows them once that is mended"
        problems = [*error.problems, Problem("deploy.not-watched", text)]
        return _result(run, applied, error.exit_code, problems, plan=plan)


def _unfinished(applied: ApplyResult) -> tuple[ExitCode, list[Problem]]:
    """Why the apply stopped, and what is and is not in the cluster now."""
    from wtsctl.cluster.apply import Outcome
    from wtsctl.errors import ExitCode, Problem

    problems = [one.problem for one in applied.objects if one.problem]
    if applied.error is not None:
        problems += applied.error.problems
    lefts = ((Outcome.UNKNOWN, "it may or may not have been applied"), (Outcome.NOT_APPLIED, "not applied"))
    for outcome, text in lefts:
        left = [one.manifest.identity for one in applied.objects if one.outcome is outcome]
        if left:
            problems.append(Problem(f"deploy.{outcome.value}", f"{text}: {', '.join(left)}"))
    if applied.interrupted:
        text = "interrupted while applying; what was applied stays, and a second deploy goes on from there"
        return ExitCode.INTERRUPTED, [Problem("interrupted", text), *problems]
    return ExitCode.CLUSTER, problems


def _waited(run: _Run, applied: ApplyResult, plan: Planned) -> Result:
    import time

    from wtsctl.cluster.watch import Follower
    from wtsctl.commands.readiness import Answers, observer
    from wtsctl.errors import ClusterUnreachable, ExitCode
    from wtsctl.health.wait import wait
    from wtsctl.report.deploy import unready
    from wtsctl.report.progress import ProgressView

    with Follower(run.place.client, run.looked.selections) as follower:
        answers = Answers(
            run.place.client.connection, run.looked.endpoints, _PROBE_SECONDS, run.looked.file, follower.wake
        )

        def trouble() -> str:
            return str(follower.trouble.problems[0].message) if follower.trouble else ""

        usual = {one.name: one.seconds for one in plan.report.impacts if one.measured and one.seconds}
        with run.screen.drawing() as live:
            waited = wait(
                [one.name for one in run.looked.subjects],
                observer(run.looked, follower, answers),
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
    return _result(run, applied, ExitCode.NOT_READY if problems else ExitCode.OK, problems, waited=waited, plan=plan)


def _result(
    run: _Run,
    applied: ApplyResult,
    code: ExitCode,
    problems: Sequence[Problem],
    *,
    waited: Mapping[str, Waited] | None = None,
    plan: Planned | None = None,
) -> Result:
    from wtsctl.commands.readiness import evidence_of
    from wtsctl.report.deploy import DeployReport
    from wtsctl.report.result import Result

    waited = waited or {}
    warnings = run.place.client.take_warnings()
    for warning in warnings:
        run.screen.warn(f"warning: {warning}")
    evidence = evidence_of(run.place.client, [one.health for one in waited.values()])
    foreseen = plan.report if plan else None
    report = DeployReport(applied, waited, run.looked.addresses, evidence, warnings, dry_run=run.dry_run, plan=foreseen)
    return Result(data=report.data(), show=report.show, exit_code=code, problems=tuple(problems))
