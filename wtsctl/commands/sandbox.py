"""`wtsctl sandbox`: a Kubernetes on this machine, to try wtsctl on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

app = typer.Typer(
    help="Run a Kubernetes on this machine, to try wtsctl on. Whoever has kind, minikube or another cluster uses that.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[
    str,
    typer.Option("--name", metavar="NAME", help="Which sandbox; each has its own data."),
]
NoNode = Annotated[bool, typer.Option("--no-node", help="The control plane alone: no root needed, no pod runs.")]
ApiPort = Annotated[
    int | None,
    typer.Option(
        "--api-port", metavar="PORT", min=1, max=65535, help="With --no-node: the API server's port on 127.0.0.1."
    ),
]
Timeout = Annotated[
    str,
    typer.Option("--timeout", metavar="DURATION", help="How long the start may take, without compiling and building."),
]
Merge = Annotated[
    bool, typer.Option("--merge", help="Also add the context wtsctl-NAME to your own kubeconfig and make it current.")
]
Install = Annotated[
    bool, typer.Option("--install-packages", help="Install missing Debian packages with apt-get; needs root.")
]
Purge = Annotated[
    bool,
    typer.Option("--purge", help="Also remove its data, and the compiled programs and images that sandboxes share."),
]
KeepCache = Annotated[bool, typer.Option("--keep-cache", help="With --purge: keep the programs and images.")]

DEFAULT_NAME = "wtsctl"


@app.command()
def up(
    *,
    name: Name = DEFAULT_NAME,
    no_node: NoNode = False,
    api_port: ApiPort = None,
    timeout: Timeout = "180s",
    merge: Merge = False,
    install_packages: Install = False,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Start the sandbox; repair it if part of it is down; do nothing if it is up.

    The first start compiles Kubernetes and builds the model server's image, which takes some ten minutes; later
    starts take seconds. Without root only the control plane runs.
    """
    from wtsctl.commands.inputs import seconds, terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.report.result import Result
        from wtsctl.report.sandbox import sandbox_data, show_up
        from wtsctl.report.steps import steps
        from wtsctl.sandbox import lifecycle
        from wtsctl.sandbox.layout import Layout

        layout = Layout.of(name)
        within = seconds(timeout, "--timeout")
        node = _node(screen, no_node=no_node, api_port=api_port)
        with steps(screen) as progress:
            status = lifecycle.up(
                layout, progress, node=node, api_port=api_port, timeout=within, install=install_packages
            )
            if merge:
                target = lifecycle.merge(layout)
                progress(f"added the context wtsctl-{name} to {target} and made it the current one")
        return Result(data=sandbox_data(status), show=lambda shown: show_up(shown, status))

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("sandbox up", screen, body, as_json=output is options.Output.JSON)


def _node(screen: Terminal, *, no_node: bool, api_port: int | None) -> bool:
    """Whether there will be a node; says what is lost when there will not."""
    from wtsctl.errors import UsageError
    from wtsctl.sandbox.launch import without_node

    reason = without_node()
    if not no_node and not reason:
        if api_port is not None:
            raise UsageError(
                "--api-port goes with --no-node",
                hint="with a node the API server has an address of its own, where every port is free",
            )
        return True
    if not no_node:
        screen.warn(
            f"{reason}, so the control plane runs without a node: manifests are validated and stored, but no pod "
            "runs, so no model starts and no smoke prompt is answered; run it as root for a node"
        )
    return False


@app.command()
def down(
    *,
    name: Name = DEFAULT_NAME,
    purge: Purge = False,
    keep_cache: KeepCache = False,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Stop the sandbox. Its data stays for the next `up`; --purge removes every file too."""
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.errors import UsageError
        from wtsctl.report.result import Result
        from wtsctl.report.steps import steps
        from wtsctl.sandbox import lifecycle
        from wtsctl.sandbox.layout import Layout

        if keep_cache and not purge:
            raise UsageError("--keep-cache goes with --purge", hint="without --purge the cache stays anyway")
        layout = Layout.of(name)
        others: tuple[str, ...] = ()
        with steps(screen) as progress:
            ran = lifecycle.down(layout, progress)
            if purge:
                others = lifecycle.purge(layout, progress, keep_cache=keep_cache)
        text = f"The sandbox {name!r} {'was stopped' if ran else 'was not running'}"
        if not purge:
            text += f"; its data is kept in {layout.state} (--purge removes it)." if layout.state.exists() else "."
        elif others:
            text += f" and its data removed; the cache stays, since {', '.join(others)} runs from it."
        else:
            text += " and its data removed." if keep_cache else "; its data and the cache were removed."
        data = {"name": name, "stopped": ran, "purged": purge, "cacheKeptFor": list(others)}
        return Result(data=data, show=lambda shown: shown.write(f"{text}\n"))

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("sandbox down", screen, body, as_json=output is options.Output.JSON)


@app.command()
def status(
    *,
    name: Name = DEFAULT_NAME,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show the sandbox's processes, node, versions and images. Exit code 5 when any of it is down."""
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(_screen: Terminal) -> Result:
        from wtsctl.errors import ExitCode
        from wtsctl.report.result import Result
        from wtsctl.report.sandbox import problems, sandbox_data, show_status
        from wtsctl.sandbox import status as sandbox_status
        from wtsctl.sandbox.layout import Layout

        found = sandbox_status.read(Layout.of(name))
        wrong = problems(found)
        return Result(
            data=sandbox_data(found),
            show=lambda shown: show_status(shown, found),
            exit_code=ExitCode.NOT_READY if wrong else ExitCode.OK,
            problems=wrong,
        )

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("sandbox status", screen, body, as_json=output is options.Output.JSON)


@app.command()
def env(
    *,
    name: Name = DEFAULT_NAME,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Print what a shell needs to use the sandbox: eval "$(wtsctl sandbox env)"."""
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.report.result import Result
        from wtsctl.report.sandbox import show_environment
        from wtsctl.sandbox import launch, lifecycle
        from wtsctl.sandbox.layout import Layout

        layout = Layout.of(name)
        variables = lifecycle.environment(layout)
        if not launch.running(layout):
            screen.warn(f"the sandbox {name!r} does not run; start it with: wtsctl sandbox up --name {name}")
        return Result(data={"variables": variables}, show=lambda shown: show_environment(shown, variables))

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("sandbox env", screen, body, as_json=output is options.Output.JSON)
