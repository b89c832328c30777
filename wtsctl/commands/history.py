"""`wtsctl history`: what was deployed, when, by whom, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.cluster.history import History
    from wtsctl.errors import SelectionError
    from wtsctl.plan.history import Entry
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

Revision = Annotated[int | None, typer.Argument(metavar="REVISION", min=1, help="Show this one whole.")]
ModelsYaml = Annotated[bool, typer.Option("--models-yaml", help="Print the models.yaml that REVISION deployed.")]


def history(
    *,
    revision: Revision = None,
    models_yaml: ModelsYaml = False,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show what was deployed, when, by whom, and what came of it.

    The records lie in the cluster, in the catalog's own namespace: the newest ten, and the newest that ended well. Of
    models.yaml only the catalog's name and namespace are read. `unfinished` is a deploy that goes on, or was
    killed. Values of Secrets are in no record.
    """
    from wtsctl.commands.inputs import read_home, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.history import History
        from wtsctl.errors import UsageError
        from wtsctl.report.history import HistoryReport
        from wtsctl.report.result import Result

        if models_yaml and revision is None:
            raise UsageError("--models-yaml goes with a revision", hint="`wtsctl history` lists them")
        name, home = read_home(file, profile)
        records = History(Client(connect(kubeconfig, context), told=screen.note), home, name)
        entries = records.entries()
        if revision is not None:
            return _one(records, entries, revision, text=models_yaml)
        if not entries:
            screen.note(f"no deploy of {name} is recorded in the namespace {home}")
        report = HistoryReport(entries)
        return Result(data=report.data(), show=report.show)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("history", screen, body, as_json=output is options.Output.JSON)


def _one(records: History, entries: Sequence[Entry], revision: int, *, text: bool) -> Result:
    from wtsctl.errors import SelectionError
    from wtsctl.plan.history import DETAILS, TEXT, changes, target
    from wtsctl.report.history import RecordReport
    from wtsctl.report.result import Result

    found = target(entries, revision)
    if found is None:
        raise unknown(revision, entries)
    parts = records.parts(revision)
    if text:
        if TEXT not in parts:
            why = "cannot be read" if TEXT in found.stored or not found.readable else "is not stored: it was too large"
            raise SelectionError(f"the models.yaml of revision {revision} {why}")
        return Result(data={"revision": revision, "modelsYaml": parts[TEXT]}, show=lambda to: to.write(parts[TEXT]))
    report = RecordReport(found, changes(parts.get(DETAILS, "")))
    return Result(data=report.data(), show=report.show)


def unknown(revision: int, entries: Sequence[Entry]) -> SelectionError:
    """The error for a revision that is not recorded."""
    from wtsctl.errors import SelectionError

    known = ", ".join(str(one.revision) for one in entries) or "none"
    return SelectionError(
        f"no revision {revision} is recorded", hint=f"there are {known}; the oldest are deleted as new ones come"
    )
