"""`wtsctl deploy`: apply the catalog's objects, then wait until every model answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.cluster.apply import ApplyResult
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.discovery import Discovery
    from wtsctl.cluster.prepare import Options
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
    bool, typer.Option("--dry-run", help="Let the API server check and answer every change, and change nothing.")
]
Parallel = Annotated[
    int, typer.Option("--parallel", metavar="N", min=1, max=64, help="Objects of one stage applied at once.")
]
ForceConflicts = Annotated[
    bool, typer.Option("--force-conflicts", help="Take over what another tool or catalog owns, instead of failing.")
]
# What one endpoint may take to list its models before it is asked again.
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Run:
    """One deploy: where, of what, how."""

    client: Client
    discovery: Discovery
    looked: Looked
    screen: Terminal
    apply: Options
    timeout: float
    wait: bool


def deploy(
    *,
    models: options.Models = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    templates: options.Templates = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    timeout: Timeout = "15m",
    no_wait: NoWait = False,
    dry_run: DryRun = False,
    parallel: Parallel = 8,
    force_conflicts: ForceConflicts = False,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Make the cluster look like the catalog, and wait until every model answers under its name.

    Namespaces come first, then configuration, then models, then Llama Stack; the objects of one stage are applied
    at once. What is `auto` in the catalog is applied where the cluster serves its kind. A model that cannot start
    ends its own wait with the cause; the others go on. With MODEL, only those models and what they share are
    applied, without Llama Stack. Running it again continues where it stopped.
    """
    from wtsctl.commands.inputs import read_catalog, read_templates, seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.selection import select
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.discovery import Discovery
        from wtsctl.cluster.prepare import Options
        from wtsctl.commands.readiness import Looked
        from wtsctl.commands.secrets import keep_or_refuse, read_values
        from wtsctl.errors import TemplateError
        from wtsctl.render.job import Stage
        from wtsctl.render.manifest import ask, render
        from wtsctl.render.secrets import sources, wanted_secrets

        within = seconds(timeout, "--timeout")
        loaded = read_catalog(file, profile)
        chosen = select(loaded.workloads, models or ())
        client = Client(connect(kubeconfig, context), connections=max(16, parallel))
        screen.note(f"deploying {loaded.catalog.name} to {client.connection.host}")
        discovery = Discovery(client)
        named = {one.name for one in chosen} if models else None
        secrets = wanted_secrets(ask(loaded.catalog, named))
        values = read_values(sources(secrets), file)
        texts = read_templates(templates, screen.warn)
        manifests = render(
            loaded.catalog, texts, named, knows=discovery.serves, secrets=values.known, where=loaded.where
        )
        if not any(one.stage >= Stage.MODELS for one in manifests):
            raise TemplateError("the templates render no object for any model", hint="compare with `wtsctl render`")
        keep_or_refuse(client, secrets, values, screen)
        looked = Looked(loaded, chosen, llama_stack=not models)
        how = Options(parallel=parallel, force=force_conflicts, dry_run=dry_run)
        run = _Run(client, discovery, looked, screen, how, within, wait=not (no_wait or dry_run))
        return _deployed(run, manifests)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("deploy", screen, body, as_json=output is options.Output.JSON)


def _deployed(run: _Run, manifests: Sequence[Manifest]) -> Result:
    from wtsctl.cluster.apply import ApplyResult, apply_all
    from wtsctl.cluster.observe import own_labels
    from wtsctl.cluster.prepare import prepare
    from wtsctl.errors import ClusterError, ExitCode, Problem
    from wtsctl.report.deploy import applied_line, counts

    try:
        labels = own_labels(run.looked.catalog)
        prepared = prepare(run.client, run.discovery, manifests, labels, run.apply)
    except KeyboardInterrupt:
        problem = Problem("interrupted", "interrupted before anything was applied")
        return _result(run, ApplyResult(()), ExitCode.INTERRUPTED, [problem])
    applied = apply_all(run.client, prepared, run.apply, lambda one: run.screen.detail(applied_line(one)))
    run.screen.note(f"{'checked' if run.apply.dry_run else 'applied'}: {counts(applied.objects)}")
    for one in applied.objects:
        if one.manifest.kind == "Secret" and one.note:
            # Whoever gave a value has to hear that another one is in use.
            run.screen.warn(f"{one.manifest.identity}: {one.note}")
    if applied.interrupted or applied.error or not applied.complete:
        return _result(run, applied, *_unfinished(applied))
    if not run.wait:
        return _result(run, applied, ExitCode.OK, [])
    everything = f"all {len(applied.objects)} objects were applied and the models go on starting; `wtsctl status`"
    try:
        return _waited(run, applied)
    except KeyboardInterrupt:
        text = f"interrupted while waiting; {everything} shows them, and a second deploy waits again"
        return _result(run, applied, ExitCode.INTERRUPTED, [Problem("interrupted", text)])
    except ClusterError as error:
        text = f"the models cannot be watched any more; {everything} shows them once that is mended"
        return _result(run, applied, error.exit_code, [*error.problems, Problem("deploy.not-watched", text)])


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


def _waited(run: _Run, applied: ApplyResult) -> Result:
    import time

    from wtsctl.cluster.watch import Follower
    from wtsctl.commands.readiness import Answers, observer
    from wtsctl.errors import ClusterUnreachable, ExitCode
    from wtsctl.health.wait import wait
    from wtsctl.report.deploy import unready
    from wtsctl.report.progress import ProgressView

    with Follower(run.client, run.looked.selections) as follower:
        answers = Answers(run.client.connection, run.looked.endpoints, _PROBE_SECONDS, run.looked.file, follower.wake)

        def trouble() -> str:
            return str(follower.trouble.problems[0].message) if follower.trouble else ""

        with run.screen.drawing() as live:
            waited = wait(
                [one.name for one in run.looked.subjects],
                observer(run.looked, follower, answers),
                clock=time.monotonic,
                sleep=follower.wait,
                timeout=run.timeout,
                show=ProgressView(run.screen, live, trouble).show,
            )
        if not waited:
            raise follower.trouble or ClusterUnreachable("the API server did not list the models' objects in time")
    problems = unready(waited, run.timeout)
    if problems and follower.trouble:
        problems += follower.trouble.problems
    return _result(run, applied, ExitCode.NOT_READY if problems else ExitCode.OK, problems, waited)


def _result(
    run: _Run,
    applied: ApplyResult,
    code: ExitCode,
    problems: Sequence[Problem],
    waited: Mapping[str, Waited] | None = None,
) -> Result:
    from wtsctl.commands.readiness import evidence_of
    from wtsctl.report.deploy import DeployReport
    from wtsctl.report.result import Result

    waited = waited or {}
    warnings = run.client.take_warnings()
    for warning in warnings:
        run.screen.warn(f"warning: {warning}")
    evidence = evidence_of(run.client, [one.health for one in waited.values()])
    report = DeployReport(applied, waited, run.looked.addresses, evidence, warnings, dry_run=run.apply.dry_run)
    return Result(data=report.data(), show=report.show, exit_code=code, problems=tuple(problems))
