"""`wtsctl deploy`: say what changes, apply it, then wait until every model answers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import completion, options
from wtsctl.commands.desired import Only, Part, Roles, Wanted

if TYPE_CHECKING:
    from wtsctl.report.preflight import PreflightReport
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
Prune = Annotated[
    bool,
    typer.Option("--prune", help="Delete what this catalog deployed and no longer has; never volumes and namespaces."),
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
PreflightOnly = Annotated[
    bool,
    typer.Option("--preflight-only", help="Check whether the cluster has what this deploy needs; change nothing."),
]
IgnorePreflight = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-preflight-errors",
        metavar="CHECK",
        help="A check whose errors are only warnings, or all; repeatable.",
        autocompletion=completion.checks,
    ),
]


class Output(StrEnum):
    """How the result is written on stdout."""

    TABLE = "table"
    JSON = "json"
    SHORT = "short"


Format = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        help="How the result is written on stdout; short: with --preflight-only, a line for each check that is not ok.",
    ),
]


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
    preflight_only: PreflightOnly = False,
    ignore_preflight_errors: IgnorePreflight = None,
    yes: Yes = False,
    lock_timeout: options.LockTimeout = options.NO_PATIENCE,
    parallel: Parallel = 8,
    force_conflicts: ForceConflicts = False,
    recreate: RecreateNames = None,
    prune: Prune = False,
    output: Format = Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Deploy the catalog, and wait until every model answers.

    First the checks of docs/reference/preflight.md, which say nothing where all is well. Then the plan: what is
    created and what changes, field by field, and what restarts. On a terminal it asks before anything restarts, is
    deleted, is made again or is taken over. Namespaces come first, then configuration, then models, then
    Llama Stack; the objects of one stage are applied at once. What is `auto` in the catalog is applied where the
    cluster serves its kind. A model that cannot start ends its own wait with the cause; the others go on. With MODEL
    or --role, only those models and what they share are applied, without Llama Stack. What the catalog deployed and no
    longer has is listed, and deleted with --prune before the models are waited for. Running it again continues
    where it stopped.
    """
    from wtsctl.commands.inputs import patience_of, seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.discovery import Discovery
        from wtsctl.cluster.prepare import Options
        from wtsctl.commands.asking import may_ask
        from wtsctl.commands.desired import desired, read, served
        from wtsctl.commands.membership import members
        from wtsctl.commands.planned import Place, recreating
        from wtsctl.commands.preflight import Preflight, names
        from wtsctl.commands.readiness import Looked
        from wtsctl.commands.recording import Recorder, about
        from wtsctl.commands.rollout import Run, rollout
        from wtsctl.errors import UsageError

        if output is Output.SHORT and not preflight_only:
            raise UsageError("-o short goes with --preflight-only")
        ignored = names(ignore_preflight_errors or ())
        within, patience = seconds(timeout, "--timeout"), patience_of(lock_timeout)
        wanted = Wanted(models or (), role or (), only or (), file, profile, templates)
        loaded, chosen = read(wanted)
        mine = members(wanted, loaded, prune=prune)
        client = Client(connect(kubeconfig, context), connections=max(16, parallel), told=screen.note)
        doing = "checking" if preflight_only else "deploying"
        screen.note(f"{doing} {loaded.catalog.name} to {client.connection.host}")
        discovery = Discovery(client)
        manifests = desired(wanted, (loaded, chosen), client, discovery, screen, look_only=preflight_only)
        stack = not wanted.some and wanted.has(Part.LLAMA_STACK)
        agents = not wanted.some and wanted.has(Part.AGENTS)
        looked = Looked(loaded, chosen if wanted.has(Part.MODELS) else (), llama_stack=stack, agents=agents)
        place = Place(
            client,
            discovery,
            loaded.catalog.name,
            loaded.catalog.defaults.namespace,
            served(loaded, chosen, llama_stack=not wanted.some),
            Options(parallel=parallel, force=force_conflicts),
            recreating(recreate or (), manifests),
            mine,
        )
        if preflight_only:
            checks = Preflight(place, None if no_wait else looked, ignored)
            return checked(checks.only(manifests, screen), output)
        run = Run(
            place,
            looked,
            screen,
            Recorder(client, about(wanted, loaded), screen),
            within,
            patience,
            wait=not (no_wait or dry_run) and bool(looked.subjects),
            dry_run=dry_run,
            ask=may_ask(yes=yes),
            ignored=ignored,
        )
        return rollout(run, manifests)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("deploy", screen, body, as_json=output is Output.JSON)


def checked(report: PreflightReport, output: Output) -> Result:
    """The end of `--preflight-only`."""
    from wtsctl.errors import ExitCode
    from wtsctl.report.preflight import problems
    from wtsctl.report.result import Result

    return Result(
        data=report.data(),
        show=report.show_short if output is Output.SHORT else report.show,
        exit_code=ExitCode.CLUSTER if report.failed else ExitCode.OK,
        # As text they stand on stdout already.
        problems=tuple(problems(report.records)) if output is Output.JSON else (),
    )
