"""`wtsctl smoke-test`: ask each model its prompts, check the answers, show how long they took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.catalog.workload import Workload
    from wtsctl.cluster.config import Connection
    from wtsctl.errors import ClusterError, Problem
    from wtsctl.latency.outcome import ModelOutcome
    from wtsctl.probe.target import Target, Timeouts
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

# Five samples are the fewest that can decide a p50 at 95 % (docs/adr/0008).
REPEAT = 5

Repeat = Annotated[int, typer.Option("--repeat", metavar="N", min=1, max=10_000, help="Measured requests per prompt.")]
WarmUp = Annotated[
    int, typer.Option("--warmup", metavar="N", min=0, max=1000, help="Requests before them, in no statistic.")
]
Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long one request may take, such as 90s or 5m.")
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        metavar="MODEL=URL",
        help="Ask a model at this base URL, ending in /v1, instead of through the cluster; can be repeated.",
        show_default=False,
    ),
]
Samples = Annotated[bool, typer.Option("--samples", help="With -o json: every request, not only the summaries.")]
List = Annotated[bool, typer.Option("--list", help="Show what would be asked, and ask nothing.")]


@dataclass(frozen=True, slots=True)
class _Settings:
    """The command line, as far as it is about asking."""

    kubeconfig: Path | None
    context: str | None
    repeat: int
    warm_up: int
    timeout: str
    urls: tuple[str, ...]
    samples: bool


def smoke_test(
    *,
    models: options.Models = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    repeat: Repeat = REPEAT,
    warm_up: WarmUp = 1,
    timeout: Timeout = "120s",
    url: Urls = None,
    listing: List = False,
    samples: Samples = False,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Ask each model its prompts, check and time the answers.

    Requests go one after another through the API server's service proxy, which any kubeconfig can use. Exit code
    5: some request got no complete answer; 6: an answer was wrong; 7: a latency budget was missed; the smallest
    of those that apply.
    """
    from wtsctl.commands.inputs import read_catalog, terminal
    from wtsctl.report.result import finish

    settings = _Settings(kubeconfig, context, repeat, warm_up, timeout, tuple(url or ()), samples)

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.selection import select

        loaded = read_catalog(file, profile)
        chosen = select(loaded.workloads, models or ())
        if listing:
            return _listed(chosen)
        return _asked(loaded, chosen, settings, screen)

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("smoke-test", screen, body, as_json=output is options.Output.JSON)


def _listed(chosen: Sequence[Workload]) -> Result:
    from wtsctl.report.result import Result
    from wtsctl.report.smoke_list import list_data, show_list

    models = [workload.spec for workload in chosen]
    return Result(data=list_data(models), show=lambda terminal: show_list(terminal, models))


def _asked(loaded: LoadedCatalog, chosen: Sequence[Workload], settings: _Settings, screen: Terminal) -> Result:
    from wtsctl.errors import ClusterError, ExitCode, Problem, SelectionError
    from wtsctl.latency.outcome import exit_code
    from wtsctl.report.result import Result
    from wtsctl.report.smoke_data import smoke_data
    from wtsctl.report.smoke_table import show_smoke

    if not any(workload.spec.smoke for workload in chosen):
        hint = "add `smoke:` to a model in the catalog; docs/reference/models-yaml.md shows how"
        raise SelectionError("none of the selected models has a smoke prompt", hint=hint)
    outcomes: list[ModelOutcome] = []
    problems: list[Problem] = []
    stopped: ExitCode | None = None
    try:
        for workload, outcome in _outcomes(chosen, settings, Path(loaded.filename), screen):
            outcomes.append(outcome)
            problems += _problems(loaded, workload, outcome)
    except KeyboardInterrupt:
        stopped = ExitCode.INTERRUPTED
        problems.append(Problem("interrupted", f"interrupted after {_done(outcomes, chosen)}"))
    except ClusterError as error:
        if not outcomes:
            raise
        stopped = error.exit_code
        problems += [*error.problems, Problem(error.code, f"stopped after {_done(outcomes, chosen)}")]
    return Result(
        data=smoke_data(outcomes, _shown(settings), samples=settings.samples),
        show=lambda terminal: show_smoke(terminal, outcomes, settings.repeat, settings.warm_up),
        exit_code=exit_code(outcomes) if stopped is None else stopped,
        problems=tuple(problems),
    )


def _outcomes(
    chosen: Sequence[Workload], settings: _Settings, catalog: Path, screen: Terminal
) -> Iterator[tuple[Workload, ModelOutcome]]:
    """Ask one model after another.

    Raises:
        KeyboardInterrupt: after the outcome of the model that it hit, if that had finished a prompt.
        ClusterError: the API server cannot be spoken to; after the outcome of a model that had been asked by then.
    """
    from wtsctl.probe.smoke import Repeats, smoke

    targets = _targets(chosen, settings, catalog)
    repeats = Repeats(settings.warm_up, settings.repeat)
    with screen.drawing() as live:
        for workload in chosen:
            progress = _progress(workload.name, settings, screen, live)
            outcome = smoke(workload.spec, targets[workload.name], repeats, progress)
            lost = _lost_cluster(outcome)
            if outcome.asked or not (outcome.interrupted or lost):
                yield workload, outcome
            if outcome.interrupted:
                raise KeyboardInterrupt
            if lost:
                raise lost


def _lost_cluster(outcome: ModelOutcome) -> ClusterError | None:
    """The error of an API server that cannot be spoken to, which is on the way to the other models as well."""
    from wtsctl.errors import ClusterUnauthorized, ClusterUnreachable

    failure = outcome.failure
    if failure is None or outcome.via != "proxy":
        return None
    if failure.unauthorized:
        hint = "log in again or get a new kubeconfig; tokens and client certificates expire"
        return ClusterUnauthorized(failure.message, hint=hint)
    if failure.no_connection:
        hint = "check the kubeconfig, and whether the cluster runs; for the sandbox: `wtsctl sandbox status`"
        return ClusterUnreachable(f"no way to the API server: {failure.message}", hint=hint)
    return None


def _done(outcomes: Sequence[ModelOutcome], chosen: Sequence[Workload]) -> str:
    """`1 of 3 models and 1 of 2 prompts of NAME; the others are not in the result`."""
    half = next((outcome for outcome in outcomes if outcome.interrupted), None)
    text = f"{len(outcomes) - (half is not None)} of {len(chosen)} models"
    if half is not None:
        prompts = next(len(workload.spec.smoke) for workload in chosen if workload.name == half.name)
        text += f" and {len(half.prompts)} of {prompts} prompts of {half.name}"
    return f"{text}; the others are not in the result"


def _targets(chosen: Sequence[Workload], settings: _Settings, catalog: Path) -> dict[str, Target]:
    """Where each model is asked: at the address given for it, else through the API server."""
    from wtsctl.commands.endpoints import way_to
    from wtsctl.probe.target import Timeouts

    timeouts = Timeouts(total=_seconds(settings.timeout))
    targets = _direct(chosen, settings, timeouts, catalog)
    others = [workload for workload in chosen if workload.name not in targets and workload.spec.smoke]
    # Without a model to ask through it, no cluster is needed.
    connection = _connection(settings) if others else None
    for workload in chosen:
        if connection is not None and workload.name not in targets:
            targets[workload.name] = way_to(connection, workload.endpoint, timeouts, catalog)
    return targets


def _connection(settings: _Settings) -> Connection:
    from wtsctl.cluster.config import connect

    return connect(settings.kubeconfig, settings.context)


def _direct(chosen: Sequence[Workload], settings: _Settings, timeouts: Timeouts, catalog: Path) -> dict[str, Target]:
    from wtsctl.commands.endpoints import with_key
    from wtsctl.errors import UsageError
    from wtsctl.probe.target import direct

    targets: dict[str, Target] = {}
    for given in settings.urls:
        name, _, url = given.partition("=")
        model = next((one for one in chosen if name in one.names), None)
        if model is None:
            known = ", ".join(one.name for one in chosen)
            raise UsageError(f"--url {name}: no selected model has this name", hint=f"selected: {known}")
        if model.name in targets:
            raise UsageError(f"--url {name}: given twice")
        try:
            target = direct(url, timeouts)
        except ValueError as error:
            raise UsageError(f"--url {name}: {error}", hint="--url MODEL=http://127.0.0.1:8000/v1") from error
        targets[model.name] = with_key(target, model.endpoint, lambda: _connection(settings), catalog)
    return targets


def _seconds(timeout: str) -> float:
    from wtsctl.catalog.quantity import parse_duration
    from wtsctl.errors import UsageError

    try:
        return parse_duration(timeout)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from error


def _shown(settings: _Settings) -> dict[str, Any]:
    from wtsctl.probe.chat import SEED, TEMPERATURE

    return {
        "repeat": settings.repeat,
        "warmUp": settings.warm_up,
        "timeout": _seconds(settings.timeout),
        "concurrency": 1,
        "temperature": TEMPERATURE,
        "seed": SEED,
    }


def _progress(model: str, settings: _Settings, screen: Terminal, live: Any) -> Callable[[str, int, int], None]:
    """Say what is about to be asked, between requests only: drawing during one would delay its stamps."""

    def say(prompt: str, number: int, of: int) -> None:
        if live is not None:
            live.update(f"{model} {prompt}: request {number} of {of}", refresh=True)
        elif number == 1:
            warm_up = f", {settings.warm_up} of them to warm up" if settings.warm_up else ""
            screen.note(f"asking {model}: {prompt}, {of} requests{warm_up}")

    return say


def _problems(loaded: LoadedCatalog, workload: Workload, outcome: ModelOutcome) -> Iterator[Problem]:
    from wtsctl.report.smoke_problems import smoke_problems

    endpoint = workload.endpoint
    asked = outcome.address if outcome.via == "url" else f"{endpoint.namespace}/Service/{endpoint.service}"
    at = loaded.workloads.index(workload)
    return smoke_problems(outcome, asked, lambda *path: loaded.where("models", at, *path))
