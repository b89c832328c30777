"""The latency table of `smoke-test`: a row a prompt, and below it what the numbers are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wtsctl.latency.budget import Verdict
from wtsctl.latency.statistics import needed
from wtsctl.latency.summary import PERCENTILES
from wtsctl.report.duration import duration, limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table
    from rich.text import Text

    from wtsctl.latency.budget import BudgetResult
    from wtsctl.latency.outcome import ModelOutcome
    from wtsctl.latency.summary import Distribution
    from wtsctl.report.terminal import Terminal

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow", Verdict.SKIP: "dim"}
_P50_FROM = needed(PERCENTILES["p50"])
_P90_FROM = needed(PERCENTILES["p90"])
_UNBOUNDED = 10_000


@dataclass(frozen=True, slots=True)
class _Row:
    """A prompt as text, before it is laid out for a width; a time column may hold two values."""

    model: str
    prompt: str
    verdict: Verdict
    via: str
    answered: str
    checks: str
    ttft: tuple[str, ...]
    tpot: str
    total: tuple[str, ...]
    rate: str
    budgets: tuple[str, ...]


def show_smoke(terminal: Terminal, outcomes: Sequence[ModelOutcome], measured: int, warm_up: int) -> None:
    """Write the table and its footer on stdout, a line a prompt unless the screen is too narrow for that."""
    stats = _statistics(measured)
    rows = [row for model in outcomes for row in _rows(model, stats)]
    console = terminal.console()
    table = _wide(rows, stats)
    # Measured without the screen's own width, to which rich would cut the answer.
    if console.measure(table, options=console.options.update(width=_UNBOUNDED)).maximum > console.width:
        table = _stacked(rows, stats)
    terminal.print(table)
    for line in footer(outcomes, measured, warm_up):
        terminal.print(line)


def footer(outcomes: Sequence[ModelOutcome], measured: int, warm_up: int) -> Iterator[str]:
    """What the numbers are, line by line: which budgets are open, how the times were taken, and from where."""
    for model in outcomes:
        for prompt in model.prompts:
            for budget in prompt.budgets:
                if budget.verdict is Verdict.INCONCLUSIVE and prompt.samples:
                    yield f"{model.name} {prompt.name}: {_limit(budget)} is open: {budget.reason}"
    requests = f"{measured} request{'s' * (measured != 1)} per prompt after {warm_up} to warm up"
    yield f"{requests}, one at a time: unloaded latency, which says nothing about capacity."
    ways = {model.via: urlsplit(model.address) for model in outcomes if model.prompts}
    if "proxy" in ways:
        server = f"{ways['proxy'].scheme}://{ways['proxy'].netloc}"
        yield f"Asked from this machine through the API server at {server}, which is part of every time."
    openings = [model.opening for model in outcomes if model.opening is not None]
    if openings:
        tls = [opening.tls for opening in openings if opening.tls is not None]
        cost = f"connect {duration(median_low(one.tcp for one in openings))}"
        cost += f", TLS {duration(median_low(tls))}" if tls else ""
        cost += f"; median of {len(openings)}" if len(openings) > 1 else ""
        yield f"Opening a connection ({cost}) is part of no time."
    resent = sum(sample.resent for model in outcomes for prompt in model.prompts for sample in prompt.samples)
    if resent:
        yield f"Sent a second time, because the first met a connection that was being closed: {resent}."
    if measured < _P50_FROM:
        yield f"p50 takes {_P50_FROM} samples, p90 {_P90_FROM}; with fewer, the worst one is shown."


def _statistics(measured: int) -> tuple[str, ...]:
    """What so many samples can show of a time: the median and the worst, or only the worst."""
    if measured < _P50_FROM:
        return ("max",)
    return ("p50", "p90" if measured >= _P90_FROM else "max")


def _rows(model: ModelOutcome, stats: tuple[str, ...]) -> Iterator[_Row]:
    if not model.prompts:
        none = ("-",) * len(stats)
        yield _Row(
            model.name,
            "(no prompts)",
            Verdict.SKIP,
            "-",
            "-",
            "-",
            ttft=none,
            tpot="-",
            total=none,
            rate="-",
            budgets=(),
        )
    for prompt in model.prompts:
        summary = prompt.summary
        held = sum(not one.failed for one in prompt.checks)
        rates = summary.tokens_per_second
        rate = rates.minimum if stats[0] == "max" else rates.percentile(stats[0])
        yield _Row(
            model=model.name,
            prompt=prompt.name,
            verdict=prompt.verdict,
            via=model.via,
            answered=f"{summary.answered}/{summary.requests}",
            checks=f"{held}/{len(prompt.checks)}" if summary.answered else "-",
            ttft=_times(summary.ttft, stats),
            tpot=_times(summary.tpot, stats)[0],
            total=_times(summary.total, stats),
            rate="-" if rate is None else f"{rate:.1f}",
            budgets=tuple(_budget(one) for one in prompt.budgets),
        )


def _times(times: Distribution, stats: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(duration(times.maximum if stat == "max" else times.percentile(stat)) for stat in stats)


def _budget(budget: BudgetResult) -> str:
    """`ttft p50 <= 2 s: 97 % left`."""
    if budget.headroom is None:
        return f"{_limit(budget)}: {'missed' if budget.verdict is Verdict.FAIL else 'open'}"
    # Rounded down, so that what is left is never overstated.
    percent = math.floor(budget.headroom * 100)
    stands = f"{percent} % left" if budget.headroom >= 0 else f"{-percent} % over"
    return f"{_limit(budget)}: {stands}{', open' * (budget.verdict is Verdict.INCONCLUSIVE)}"


def _limit(budget: BudgetResult) -> str:
    return f"{budget.metric} {budget.stat} <= {limit(budget.limit)}"


def _verdict(verdict: Verdict) -> Text:
    from rich.text import Text

    return Text(verdict.value, style=_STYLES[verdict])


def _table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _wide(rows: Sequence[_Row], stats: tuple[str, ...]) -> Table:
    """A line a prompt."""
    table = _table()
    for name in ("MODEL", "PROMPT", "VIA", "OK/N", "ASSERT"):
        table.add_column(name, no_wrap=True)
    ttft, total = ([f"{name} {stat}" for stat in stats] for name in ("TTFT", "TOTAL"))
    for name in (*ttft, f"TPOT {stats[0]}", *total, "TOK/S"):
        table.add_column(name, no_wrap=True, justify="right")
    for name in ("BUDGET", "VERDICT"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        times = (*row.ttft, row.tpot, *row.total, row.rate)
        budgets = "; ".join(row.budgets) or "-"
        table.add_row(row.model, row.prompt, row.via, row.answered, row.checks, *times, budgets, _verdict(row.verdict))
    return table


def _stacked(rows: Sequence[_Row], stats: tuple[str, ...]) -> Table:
    """Two lines a prompt and one for each budget, which fits 80 columns."""
    from rich.text import Text

    table = _table()
    table.add_column("MODEL\n  PROMPT", overflow="fold")
    table.add_column("OK/N\nASSERT", no_wrap=True)
    for name in ("TTFT ", f"TPOT {stats[0]}\nTOK/S", "TOTAL "):
        table.add_column(name + "\n".join(stats) * name.endswith(" "), no_wrap=True, justify="right")
    table.add_column("VERDICT\n  VIA", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row.model}\n  {row.prompt}",
            f"{row.answered}\n{row.checks}",
            "\n".join(row.ttft),
            f"{row.tpot}\n{row.rate}",
            "\n".join(row.total),
            Text.assemble(_verdict(row.verdict), f"\n  {row.via}"),
        )
        for budget in row.budgets:
            table.add_row(f"  {budget}")
    return table
