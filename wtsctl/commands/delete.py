"""`wtsctl delete`: take away what `deploy` made, and nothing else."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from wtsctl.cluster.client import Client
    from wtsctl.cluster.lease import Lease
    from wtsctl.cluster.remove import Target
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.plan.membership import Home, Scope
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; required where nobody can be asked.")]
KeepCache = Annotated[bool, typer.Option("--keep-cache", help="Keep the volumes with weights and databases.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return once the deletion was asked for.")]
Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long to wait until everything is gone.")
]


@dataclass(frozen=True, slots=True)
class _Run:
    """One delete: where, whose objects, how long to wait."""

    client: Client
    screen: Terminal
    lease: Lease
    patience: float
    labels: str
    instances: Collection[str] | None
    timeout: float
    wait: bool


def delete(
    *,
    models: options.Models = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    yes: Yes = False,
    keep_cache: KeepCache = False,
    no_wait: NoWait = False,
    timeout: Timeout = "5m",
    lock_timeout: options.LockTimeout = options.NO_PATIENCE,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Delete what `deploy` made, by the labels of this catalog.

    With MODEL, only those models' own objects. Without, also what they share, Llama Stack, and each namespace that
    wtsctl made, unless something else lies in it. Nothing left to delete is no error.
    """
    from wtsctl.commands.inputs import patience_of, read_catalog, seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.selection import select
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.discovery import Discovery
        from wtsctl.cluster.found import ours
        from wtsctl.cluster.lease import Lease
        from wtsctl.cluster.observe import own_labels
        from wtsctl.cluster.remove import namespaces, targets
        from wtsctl.commands.belongings import belongings, recorded_too
        from wtsctl.errors import UsageError
        from wtsctl.plan.membership import Home

        if not yes and not sys.stdin.isatty():
            raise UsageError(
                "--yes is required where nobody can be asked", hint="see what is there with `wtsctl status`"
            )
        within, patience = seconds(timeout, "--timeout"), patience_of(lock_timeout)
        loaded = read_catalog(file, profile)
        chosen = select(loaded.workloads, models or ())
        client = Client(connect(kubeconfig, context), told=screen.note)
        instances = {one.object_name for one in chosen} if models else None
        catalog = loaded.catalog
        lease = Lease(client, catalog.defaults.namespace, catalog.name, screen.note, screen.warn)
        run = _Run(client, screen, lease, patience, own_labels(catalog.name), instances, within, wait=not no_wait)
        mine = belongings(catalog, instances and {one.name for one in chosen})
        whole = instances is None
        home = Home(catalog.name, catalog.defaults.namespace)
        known = _recorded(client, home, screen) if whole else None
        if known is not None:
            mine = recorded_too(mine, known)

        def find() -> list[Target]:
            found = ours(
                client,
                Discovery(client),
                mine.namespaces,
                run.labels,
                others=mine.others,
                named=mine.named,
                further=mine.further,
                cluster=whole,
                home=home,
                recorded=known,
            )
            if found.unseen:
                kinds = ", ".join(sorted({kind for kind, _ in found.unseen}))
                screen.note(f"not looked for, because they may not be listed: {kinds}")
            gone = targets(found.objects, instances) + (
                namespaces(client, (*mine.namespaces, *mine.others), run.labels) if whole else []
            )
            return _spared(run, gone, keep_cache=keep_cache)

        return _deleted(run, find, ask=not yes)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("delete", screen, body, as_json=output is options.Output.JSON)


def _recorded(client: Client, home: Home, screen: Terminal) -> Scope:
    """Where the catalog's objects are recorded to be; nowhere, where that cannot be read."""
    from wtsctl.cluster import applyset
    from wtsctl.errors import ClusterRefused
    from wtsctl.plan.membership import Scope

    try:
        return applyset.read(client, home).scope
    except ClusterRefused as error:
        problem = error.problems[0]
        screen.note(f"{problem.where}: {problem.message}; what is there is looked for without it")
        return Scope()


def _spared(run: _Run, targets: list[Target], *, keep_cache: bool) -> list[Target]:
    """The targets, those that have to stay marked as kept with the reason."""
    from wtsctl.cluster.discovery import CLAIM
    from wtsctl.cluster.remove import Fate

    if keep_cache:
        targets = [replace(one, fate=Fate.KEPT, note="--keep-cache") if one.kind is CLAIM else one for one in targets]
    return _unless_held(run, targets, {one.identity for one in targets if one.fate is Fate.PENDING})


def _unless_held(run: _Run, targets: list[Target], ours: set[str]) -> list[Target]:
    """The targets, the namespaces among them that hold something else than `ours` marked as kept."""
    from wtsctl.cluster.discovery import NAMESPACE, Discovery
    from wtsctl.cluster.faults import ApiRefused
    from wtsctl.cluster.remove import Fate, foreign

    discovery = Discovery(run.client)
    marked: list[Target] = []
    for one in targets:
        note = ""
        if one.kind is NAMESPACE:
            try:
                held = foreign(run.client, discovery, one.name, ours)
            except ApiRefused as error:
                note = f"it cannot be known what else lies in it: {error.problem.message}"
            else:
                more = f" and {len(held) - 3} more" if len(held) > 3 else ""  # noqa: PLR2004
                note = f"it holds {', '.join(held[:3])}{more}" if held else ""
        marked.append(replace(one, fate=Fate.KEPT, note=note) if note else one)
    return marked


def _deleted(run: _Run, find: Callable[[], list[Target]], *, ask: bool) -> Result:
    from wtsctl.cluster.remove import Fate
    from wtsctl.commands.asking import agreed
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.report.delete import intention

    targets = find()
    going = [one for one in targets if one.fate is Fate.PENDING]
    if not going:
        run.screen.note("nothing to delete: " + ("what is left is kept" if targets else "none of it is in the cluster"))
        return _result(targets, [], ExitCode.OK, [])
    for line in intention(targets):
        run.screen.note(line) if not ask else run.screen.warn(line)
    if ask and not agreed("delete?"):
        said_no = _result(targets, [], ExitCode.INTERRUPTED, [Problem("interrupted", "nothing was deleted")])
        # What was asked about stands on the screen already.
        return replace(said_no, show=lambda _: None)
    try:
        if run.lease.acquire(run.patience):
            # Another one was at work since, which may have made or deleted something.
            before, targets = {one.uid for one in targets}, find()
            going = [one for one in targets if one.fate is Fate.PENDING]
            if ask and {one.uid for one in targets} != before:
                run.lease.release()
                hint = "nothing was deleted; delete again to see what is there now"
                changed = Problem(
                    "delete.changed", "what is there has changed while another one was at work", hint=hint
                )
                return _result(targets, [], ExitCode.CLUSTER, [changed])
    except KeyboardInterrupt:
        run.lease.release()
        return _result(targets, [], ExitCode.INTERRUPTED, [Problem("interrupted", "nothing was deleted")])
    return _removed(run, targets, going)


def _removed(run: _Run, targets: list[Target], going: list[Target]) -> Result:
    """Delete what is going, under the lock that `run` holds, which is given back."""
    from wtsctl.cluster.discovery import NAMESPACE
    from wtsctl.cluster.remove import Fate, remove, wait_gone
    from wtsctl.errors import ClusterError, ExitCode, Problem

    done = [one for one in targets if one.fate is Fate.KEPT]
    left: list[str] = []
    try:
        # Namespaces last: one that is being deleted takes its objects in an order of its own.
        for namespaces in (False, True):
            batch = [one for one in going if (one.kind is NAMESPACE) is namespaces]
            if not batch or left:
                continue
            if namespaces:
                run.lease.check()
                # Once more: someone may have put something in meanwhile, and of ours nothing should be left.
                batch = _unless_held(run, batch, set())
                done += [one for one in batch if one.fate is Fate.KEPT]
            remove(run.client, [one for one in batch if one.fate is Fate.PENDING], done.append)
            asked = [one for one in done if one.fate is Fate.DELETED and (one.kind is NAMESPACE) is namespaces]
            if run.wait and asked:
                left = wait_gone(
                    run.client,
                    asked,
                    run.labels,
                    instances=run.instances,
                    timeout=run.timeout,
                    note=run.screen.note,
                )
    except KeyboardInterrupt:
        text = "interrupted; what was asked to go still goes, and a second delete takes the rest"
        return _result(_merged(targets, done), [], ExitCode.INTERRUPTED, [Problem("interrupted", text)])
    except ClusterError as error:
        text = "it cannot be known what is gone; what was asked to go still goes, and a second delete takes the rest"
        problems = [*error.problems, Problem("delete.not-watched", text)]
        return _result(_merged(targets, done), [], error.exit_code, problems)
    finally:
        run.lease.release()
    return _ended(run, _merged(targets, done), left)


def _merged(targets: list[Target], done: list[Target]) -> list[Target]:
    """All targets, with what is known of those that are done."""
    known = {one.uid: one for one in done}
    return [known.get(one.uid, one) for one in targets]


def _ended(run: _Run, targets: list[Target], left: list[str]) -> Result:
    from wtsctl.errors import ExitCode, Problem

    if not left:
        return _result(targets, left, ExitCode.OK, [])
    text = f"still there after {run.timeout:g} s: {', '.join(left)}"
    hint = "a finalizer or a pod that does not stop holds them; see `kubectl describe`"
    return _result(targets, left, ExitCode.NOT_READY, [Problem("delete.timeout", text, hint=hint)])


def _result(targets: list[Target], left: list[str], code: ExitCode, problems: list[Problem]) -> Result:
    from wtsctl.cluster.remove import Fate
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.report.delete import delete_data, show_delete
    from wtsctl.report.result import Result

    refused = [Problem("cluster.refused", one.note, one.identity) for one in targets if one.fate is Fate.FAILED]
    if refused and code is not ExitCode.INTERRUPTED:
        code = ExitCode.CLUSTER
    return Result(
        data=delete_data(targets, left),
        show=lambda shown: show_delete(shown, targets),
        exit_code=code,
        problems=(*refused, *problems),
    )
