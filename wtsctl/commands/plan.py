"""`wtsctl plan`: whether the models fit their GPUs, and all pods the nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.catalog.workload import Workload
    from wtsctl.commands.desired import Wanted
    from wtsctl.plan.nodes import Inventory
    from wtsctl.report.changes import ChangeReport
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

NodesFile = Annotated[
    Path | None,
    typer.Option(
        "--nodes",
        metavar="FILE",
        help="Nodes (and pods) from `kubectl get nodes,pods -A -o yaml`, in the cluster's place; - is standard input.",
    ),
]
# A cluster of 5,000 nodes with all its pods prints some hundred megabytes.
_MAX_BYTES = 512_000_000


def plan(
    *,
    models: options.Models = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    templates: options.Templates = None,
    nodes: NodesFile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show whether models fit their GPUs, and pods the nodes.

    -v shows the arithmetic. Weights and KV cache are computed from the model's shape, which is known for common
    models and read from `config` for others. The pods are those that would be rendered; what other pods request on
    the nodes is taken.
    With a cluster, what a deploy would change is told too. Without a cluster and without --nodes only the GPUs that
    the catalog names are looked at. Exit code 5: something does not fit.
    """
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.selection import select
        from wtsctl.commands.checkpoints import read_checkpoints
        from wtsctl.commands.desired import Wanted
        from wtsctl.commands.inputs import read_catalog, read_templates
        from wtsctl.errors import ExitCode, UsageError
        from wtsctl.plan.capacity import plan as plan_capacity
        from wtsctl.plan.groups import groups as pods_of
        from wtsctl.plan.groups import replaced
        from wtsctl.plan.verdict import Verdict
        from wtsctl.render.manifest import render
        from wtsctl.report.changes import show_changes
        from wtsctl.report.plan import does_not_fit, plan_data, show_arithmetic, show_plan
        from wtsctl.report.result import Result

        if str(file) == "-" and str(nodes) == "-":
            raise UsageError("--file and --nodes cannot both be standard input")
        loaded = read_catalog(file, profile)
        chosen = select(loaded.workloads, models or ())
        checkpoints = read_checkpoints(loaded, file)
        selected = {one.name for one in chosen} if models else None
        texts = read_templates(templates)
        manifests = render(loaded.catalog, texts, selected, knows=lambda _version, _kind: True, where=loaded.where)
        groups = pods_of((one.doc, one.model) for one in manifests if not one.partial)
        ours = replaced(groups, loaded.catalog.name)
        inventory, source = _inventory(screen, nodes, kubeconfig, context, ours)
        planned = plan_capacity(chosen, loaded.catalog.defaults, checkpoints, groups, inventory)
        show_arithmetic(screen, planned)
        changes = None
        if inventory and nodes is None:
            wanted = Wanted(models or (), (), (), file, profile, templates)
            changes = _changes(screen, wanted, (loaded, chosen), kubeconfig, context)

        def show(shown: Terminal) -> None:
            show_plan(shown, planned)
            if changes is not None:
                show_changes(shown, changes)

        return Result(
            data=plan_data(planned, source) | {"changes": changes.data() if changes else None},
            show=show,
            exit_code=ExitCode.NOT_READY if planned.verdict is Verdict.DOES_NOT_FIT else ExitCode.OK,
            problems=does_not_fit(planned),
        )

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("plan", screen, body, as_json=output is options.Output.JSON)


def _inventory(
    screen: Terminal,
    file: Path | None,
    kubeconfig: Path | None,
    context: str | None,
    ours: Callable[[Mapping[str, Any]], bool],
) -> tuple[Inventory | None, str]:
    """The nodes of the file or of the cluster, and what they are called in messages; none where there is neither."""
    from wtsctl.errors import UsageError
    from wtsctl.plan.nodes import BadNode, inventory

    if file is not None:
        if kubeconfig is not None or context is not None:
            raise UsageError("--nodes takes the cluster's place: leave --kubeconfig and --context out")
        documents = _documents(file)
        try:
            found = inventory(documents, ours)
        except BadNode as error:
            raise UsageError(f"--nodes: {error}", where=str(file)) from error
        if not found.nodes:
            hint = "write it with `kubectl get nodes -o yaml`, or nodes,pods -A for what is taken as well"
            raise UsageError("--nodes: there is no Node in it", where=str(file), hint=hint)
        screen.detail(f"{len(found.nodes)} node{'s' * (len(found.nodes) != 1)} from {file}")
        return found, str(file)
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.config import NotConfigured, connect
    from wtsctl.cluster.observe import nodes_and_pods
    from wtsctl.errors import ClusterRefused

    try:
        client = Client(connect(kubeconfig, context), told=screen.note)
    except NotConfigured:
        if context is not None:
            raise
        return None, ""
    screen.detail(f"asking {client.connection.host} ({client.connection.source})")
    try:
        found = inventory(nodes_and_pods(client), ours)
    except BadNode as error:
        raise ClusterRefused(f"the cluster's answer cannot be read: {error}") from error
    return found, client.connection.host


def _changes(
    screen: Terminal,
    wanted: Wanted,
    found: tuple[LoadedCatalog, tuple[Workload, ...]],
    kubeconfig: Path | None,
    context: str | None,
) -> ChangeReport | None:
    """What a deploy would change; None where that cannot be known, which is said and is no error here."""
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.config import connect
    from wtsctl.commands.planned import foreseen
    from wtsctl.errors import WtsctlError

    try:
        return foreseen(wanted, found, Client(connect(kubeconfig, context)), screen, check_new=False)[2]
    except WtsctlError as error:
        screen.note(f"what a deploy would change is not known: {error.problems[0].message}")
        return None


def _documents(file: Path) -> list[object]:
    """The documents of a YAML or JSON file."""
    import sys

    import yaml

    from wtsctl.errors import UsageError

    where = "<stdin>" if str(file) == "-" else str(file)
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with file.open("rb") as stream:
                content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--nodes: {error.strerror or error}", where=where) from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"--nodes: larger than {_MAX_BYTES:,} bytes", where=where)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return list(yaml.load_all(content, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        raise UsageError(
            f"--nodes: neither YAML nor JSON: {getattr(error, 'problem', None) or error}", where=at
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--nodes: cannot be read: {error}", where=where) from error
