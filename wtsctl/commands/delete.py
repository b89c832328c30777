"""`wtsctl delete`: take away what `deploy` made, and nothing else."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from collections.abc import Collection

    from wtsctl.cluster.client import Client
    from wtsctl.cluster.remove import Target
    from wtsctl.errors import ExitCode, Problem
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
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Delete what `deploy` made: the objects with this catalog's labels.

    With MODEL, only those models' own objects. Without, also what they share, Llama Stack, and each namespace that
    wtsctl made, unless something else lies in it. Nothing left to delete is no error.
    """
    from wtsctl.commands.inputs import read_catalog, seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.model import Runtime
        from wtsctl.catalog.selection import select
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.observe import own_labels
        from wtsctl.cluster.remove import find
        from wtsctl.errors import UsageError

        if not yes and not sys.stdin.isatty():
            raise UsageError(
                "--yes is required where nobody can be asked", hint="see what is there with `wtsctl status`"
            )
        within = seconds(timeout, "--timeout")
        loaded = read_catalog(file, profile)
        chosen = select(loaded.workloads, models or ())
        client = Client(connect(kubeconfig, context))
        instances = {one.object_name for one in chosen} if models else None
        run = _Run(client, screen, own_labels(loaded.catalog.name), instances, within, wait=not no_wait)
        stack = loaded.catalog.llama_stack
        spaces = [one.namespace for one in chosen] + ([stack.namespace] if stack and not models else [])
        kserve = any(one.spec.runtime is Runtime.KSERVE for one in loaded.workloads)
        targets = find(client, spaces, run.labels, instances=instances, kserve=kserve)
        return _deleted(run, _spared(run, targets, keep_cache=keep_cache), ask=not yes)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("delete", screen, body, as_json=output is options.Output.JSON)


def _spared(run: _Run, targets: list[Target], *, keep_cache: bool) -> list[Target]:
    """The targets, those that have to stay marked as kept with the reason."""
    from wtsctl.cluster.discovery import CLAIM, NAMESPACE, Discovery
    from wtsctl.cluster.faults import ApiRefused
    from wtsctl.cluster.remove import Fate, foreign

    discovery = Discovery(run.client)
    going = {one.identity for one in targets if not (keep_cache and one.kind is CLAIM)}
    marked: list[Target] = []
    for one in targets:
        note = "--keep-cache" if keep_cache and one.kind is CLAIM else ""
        if one.kind is NAMESPACE:
            try:
                held = foreign(run.client, discovery, one.name, going)
            except ApiRefused as error:
                note = f"it cannot be known what else lies in it: {error.problem.message}"
            else:
                more = f" and {len(held) - 3} more" if len(held) > 3 else ""  # noqa: PLR2004
                note = f"it holds {', '.join(held[:3])}{more}" if held else ""
        marked.append(replace(one, fate=Fate.KEPT, note=note) if note else one)
    return marked


def _deleted(run: _Run, targets: list[Target], *, ask: bool) -> Result:
    from wtsctl.cluster.discovery import NAMESPACE
    from wtsctl.cluster.remove import Fate, remove, wait_gone
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.report.delete import intention

    going = [one for one in targets if one.fate is Fate.PENDING]
    if not going:
        run.screen.note("nothing to delete: none of it is in the cluster")
        return _result(targets, [], ExitCode.OK, [])
    for line in intention(targets):
        run.screen.note(line) if not ask else run.screen.warn(line)
    if ask and not typer.confirm("delete?", err=True):
        return _result(targets, [], ExitCode.INTERRUPTED, [Problem("interrupted", "nothing was deleted")])
    done = [one for one in targets if one.fate is Fate.KEPT]
    left: list[str] = []
    try:
        # Namespaces last: one that is being deleted takes its objects in an order of its own.
        for namespaces in (False, True):
            batch = [one for one in going if (one.kind is NAMESPACE) is namespaces]
            if not batch or left:
                continue
            removed = remove(run.client, batch)
            done += removed
            asked = [one for one in removed if one.fate is Fate.DELETED]
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
        known = {one.uid for one in done}
        return _result(
            [*done, *(one for one in going if one.uid not in known)],
            [],
            ExitCode.INTERRUPTED,
            [Problem("interrupted", text)],
        )
    return _ended(run, targets, done, left)


def _ended(run: _Run, targets: list[Target], done: list[Target], left: list[str]) -> Result:
    from wtsctl.cluster.remove import Fate
    from wtsctl.errors import ExitCode, Problem

    known = {one.uid: one for one in done}
    final = [known.get(one.uid, one) for one in targets]
    problems = [Problem("cluster.refused", one.note, one.identity) for one in final if one.fate is Fate.FAILED]
    code = ExitCode.CLUSTER if problems else ExitCode.OK
    if left:
        text = f"still there after {run.timeout:g} s: {', '.join(left)}"
        hint = "a finalizer or a pod that does not stop holds them; see `kubectl describe`"
        problems.append(Problem("delete.timeout", text, hint=hint))
        code = code or ExitCode.NOT_READY
    return _result(final, left, code, problems)


def _result(targets: list[Target], left: list[str], code: ExitCode, problems: list[Problem]) -> Result:
    from wtsctl.report.delete import delete_data, show_delete
    from wtsctl.report.result import Result

    return Result(
        data=delete_data(targets, left),
        show=lambda shown: show_delete(shown, targets),
        exit_code=code,
        problems=tuple(problems),
    )
