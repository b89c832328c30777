"""`wtsctl status`: how each model is, from the cluster's objects and from what its endpoint says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

ProbeTimeout = Annotated[
    str, typer.Option("--probe-timeout", metavar="DURATION", help="How long one endpoint may take to answer.")
]


def status(
    *,
    models: options.Models = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    probe_timeout: ProbeTimeout = "5s",
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show of each model its pods, its endpoint and its ids.

    Exit code 5 when anything is not ready. A model is ready when its rollout is complete, all its pods stand
    behind its Service, and its endpoint lists its name.
    """
    from wtsctl.commands.inputs import read_catalog, seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.selection import select
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.cluster.observe import look
        from wtsctl.commands.readiness import Looked, ask_all, evidence_of
        from wtsctl.errors import ExitCode
        from wtsctl.health.assess import assess
        from wtsctl.health.index import Index
        from wtsctl.report.result import Result
        from wtsctl.report.status import not_ready, show_status, status_data

        within = seconds(probe_timeout, "--probe-timeout")
        loaded = read_catalog(file, profile)
        looked = Looked(loaded, select(loaded.workloads, models or ()), llama_stack=not models)
        client = Client(connect(kubeconfig, context), told=screen.note)
        screen.detail(f"asking {client.connection.host} ({client.connection.source})")
        index = Index.of(look(client, looked.selections))
        alive = {one.name: looked.endpoints[one.name] for one in looked.subjects if assess(one, index).endpoints}
        answers = ask_all(client.connection, alive, within, looked.file)
        healths = [assess(one, index, answers.get(one.name)) for one in looked.subjects]
        evidence = evidence_of(client, healths)
        problems = not_ready(healths)
        return Result(
            data=status_data(healths, looked.addresses, evidence),
            show=lambda shown: show_status(shown, healths, looked.addresses, evidence),
            exit_code=ExitCode.NOT_READY if problems else ExitCode.OK,
            problems=problems,
        )

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("status", screen, body, as_json=output is options.Output.JSON)
