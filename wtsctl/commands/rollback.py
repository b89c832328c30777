"""`wtsctl rollback`: deploy again what an earlier deploy had applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import deploy as deploying
from wtsctl.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.cluster.history import History
    from wtsctl.plan.history import Entry
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

Revision = Annotated[
    int | None,
    typer.Argument(
        metavar="REVISION", min=1, help="What to go back to; none: the newest before the current that ended well."
    ),
]


def rollback(
    *,
    revision: Revision = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    timeout: deploying.Timeout = "15m",
    no_wait: deploying.NoWait = False,
    dry_run: deploying.DryRun = False,
    ignore_preflight_errors: deploying.IgnorePreflight = None,
    yes: deploying.Yes = False,
    lock_timeout: options.LockTimeout = options.NO_PATIENCE,
    parallel: deploying.Parallel = 8,
    force_conflicts: deploying.ForceConflicts = False,
    recreate: deploying.RecreateNames = None,
    prune: deploying.Prune = False,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Go back to what an earlier deploy had applied.

    Its manifests are taken from its record and deployed as `deploy` does: plan, question, checks, lock, wait; and that
    is recorded as a deploy of its own. Secrets are left as they are, since no record has their values. Of models.yaml
    only the catalog's name and namespace are read: the rest of it may be wrong. What came in since is listed, and
    deleted with --prune.
    """
    from wtsctl.commands.inputs import patience_of, read_home, seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.discovery import Discovery
        from wtsctl.cluster.history import History
        from wtsctl.cluster.prepare import Options
        from wtsctl.commands.asking import may_ask
        from wtsctl.commands.desired import served
        from wtsctl.commands.membership import Members, own_secrets
        from wtsctl.commands.planned import Place, recreating
        from wtsctl.commands.preflight import names
        from wtsctl.commands.readiness import Looked
        from wtsctl.commands.recording import About, Recorder
        from wtsctl.commands.rollout import Run, rollout
        from wtsctl.errors import UsageError
        from wtsctl.plan.membership import Home
        from wtsctl.render.job import Stage

        ignored = names(ignore_preflight_errors or ())
        within, patience = seconds(timeout, "--timeout"), patience_of(lock_timeout)
        name, home = read_home(file, profile)
        client = Client(connect(kubeconfig, context), connections=max(16, parallel), told=screen.note)
        records = History(client, home, name)
        entry = _chosen(records.entries(), revision)
        loaded, everything = _read(records, entry)
        screen.note(f"going back to revision {entry.revision} of {entry.started} on {client.connection.host}")
        manifests = [one for one in everything if one.kind != "Secret"]
        secrets = [one for one in everything if one.kind == "Secret"]
        if secrets:
            screen.note(f"left as they are: {', '.join(one.identity for one in secrets)}")
        if prune and not entry.whole:
            raise UsageError(
                f"--prune: revision {entry.revision} has `{entry.asked}` alone: what else there was is not known",
                hint="without --prune that part is gone back to, and nothing else is touched; or choose a revision of "
                "everything from `wtsctl history`",
            )
        stages = {one.stage for one in manifests}
        of = {one.model for one in manifests}
        chosen = [one for one in loaded.workloads if one.name in of]
        stack = Stage.LLAMA_STACK in stages
        looked = Looked(loaded, chosen, llama_stack=stack, agents=Stage.AGENTS in stages)
        kept = frozenset((one.kind, one.namespace or "", one.name) for one in secrets) | own_secrets(loaded.catalog)
        place = Place(
            client,
            Discovery(client),
            name,
            home,
            served(loaded, chosen, llama_stack=stack),
            Options(parallel=parallel, force=force_conflicts),
            recreating(recreate or (), manifests),
            Members(Home(name, home), entry.whole, prune, kept, frozenset({"Secret"})),
        )
        about = About(
            name, home, loaded.text, entry.profile, entry.selection, rollback=entry.revision, whole=entry.whole
        )
        run = Run(
            place,
            looked,
            screen,
            Recorder(client, about, screen),
            within,
            patience,
            wait=not (no_wait or dry_run) and bool(looked.subjects),
            dry_run=dry_run,
            ask=may_ask(yes=yes),
            ignored=ignored,
        )
        return rollout(run, manifests)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("rollback", screen, body, as_json=output is options.Output.JSON)


def _chosen(entries: Sequence[Entry], revision: int | None) -> Entry:
    """The record to go back to.

    Raises:
        SelectionError: there is none, or it does not have what it takes.
    """
    from wtsctl.commands.history import unknown
    from wtsctl.errors import SelectionError
    from wtsctl.plan.history import STATE, TEXT, target

    found = target(entries, revision)
    if found is None and revision is not None:
        raise unknown(revision, entries)
    if found is None:
        raise SelectionError("no deploy before the current one ended well", hint="`wtsctl history` lists what there is")
    if not found.readable:
        raise SelectionError(
            f"the record of revision {found.revision} cannot be read: someone or another wtsctl changed it",
            hint="choose another one from `wtsctl history`",
        )
    if not {STATE, TEXT} <= set(found.stored):
        raise SelectionError(
            f"revision {found.revision} cannot be gone back to: its manifests were too large to be stored",
            hint="deploy its models.yaml from your own version control; `wtsctl history` has its hash",
        )
    return found


def _read(records: History, entry: Entry) -> tuple[LoadedCatalog, list[Manifest]]:
    """What a record holds.

    Raises:
        CatalogError: this wtsctl cannot read its models.yaml.
        SelectionError: nor its manifests.
    """
    from wtsctl.catalog.load import load
    from wtsctl.commands.recording import restored
    from wtsctl.errors import CatalogError, Problem, SelectionError
    from wtsctl.plan.history import STATE, TEXT
    from wtsctl.plan.history import manifests as parsed

    label = f"revision {entry.revision}"
    parts = records.parts(entry.revision)
    hint = f"it was deployed by wtsctl {entry.version}: go back with that"
    try:
        manifests = [restored(one) for one in parsed(parts.get(STATE, ""))]
    except ValueError as error:
        raise SelectionError(f"the manifests of {label} cannot be read: {error}", hint=hint) from error
    try:
        return load(parts.get(TEXT, ""), filename=label, profile=entry.profile), sorted(
            manifests, key=lambda one: one.stage
        )
    except CatalogError as error:
        text = f"the models.yaml of {label} is not one that this wtsctl can read"
        raise CatalogError.of([Problem(CatalogError.code, text, hint=hint), *error.problems]) from error
