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

    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from wtsctl.latency.budget import BudgetResult
    from wtsctl.latency.outcome import ModelOutcome, PromptOutcome
    from wtsctl.report.terminal import Terminal

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow", Verdict.SKIP: "dim"}
_P90_FROM = needed(PERCENTILES["p90"])
_P50_FROM = needed(PERCENTILES["p50"])


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt as text, before it is laid out for a width."""

    model: str
    prompt: str
    verdict: Verdict
    via: str = "-"
    answered: str = "-"
    checks: str = "-"
    ttft: str = "-"
    ttft_high: str = "-"
    tpot: str = "-"
    total: str = "-"
    total_high: str = "-"
    rate: str = "-"
    budget: str = "-"


def show_smoke(terminal: Terminal, outcomes: Sequence[ModelOutcome], measured: int, warm_up: int) -> None:
    """Write the table and its footer on stdout, as wide as it needs unless a screen is narrower."""
    from rich.measure import Measurement

    rows = list(_rows(outcomes, measured))
    console = terminal.console()
    table = _wide(rows, measured)
    if console.is_terminal and Measurement.get(console, console.options, table).maximum > console.width:
        table = _stacked(rows, measured)
    terminal.print(table)
    for line in footer(outcomes, measured, warm_up):
        terminal.print(line)


def footer(outcomes: Sequence[ModelOutcome], measured: int, warm_up: int) -> Iterator[str]:
    """What the numbers are, line by line: how they were taken, from where, and which budgets are open."""
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
        yield f"Asked from this machine through the API server at {server}, which is part of each time."
    openings = [model.opening for model in outcomes if model.opening is not None]
    if openings:
        tls = [opening.tls for opening in openings if opening.tls is not None]
        cost = f"connect {duration(median_low(one.tcp for one in openings))}"
        cost += f", TLS {duration(median_low(tls))}" if tls else ""
        yield f"Opening a connection ({cost}, median of {len(openings)}) is not."
    if measured < _P50_FROM:
        yield f"p50 takes {_P50_FROM} samples, p90 {_P90_FROM}: with fewer, the largest time is shown."


def _rows(outcomes: Sequence[ModelOutcome], measured: int) -> Iterator[Row]:
    high = "p90" if measured >= _P90_FROM else "max"
    for model in outcomes:
        if not model.prompts:
            yield Row(model=model.name, prompt="(no prompts)", verdict=Verdict.SKIP)
        for prompt in model.prompts:
            yield _row(model, prompt, high)


def _row(model: ModelOutcome, prompt: PromptOutcome, high: str) -> Row:
    summary = prompt.summary
    held = sum(not one.failed for one in prompt.checks)
    rate = summary.tokens_per_second.percentile("p50")

    def highest(of: str) -> str:
        values = summary.ttft if of == "ttft" else summary.total
        return duration(values.percentile("p90") if high == "p90" else values.maximum)

    return Row(
        model=model.name,
        prompt=prompt.name,
        via=model.via,
        answered=f"{summary.answered}/{summary.requests}",
        checks=f"{held}/{len(prompt.checks)}" if summary.answered else "-",
        ttft=duration(summary.ttft.percentile("p50")),
        ttft_high=highest("ttft"),
        tpot=duration(summary.tpot.percentile("p50")),
        total=duration(summary.total.percentile("p50")),
        total_high=highest("total"),
        rate="-" if rate is None else f"{rate:.1f}",
        budget="; ".join(_budget(one) for one in prompt.budgets) or "-",
        verdict=prompt.verdict,
    )


def _budget(budget: BudgetResult) -> str:
    """`ttft p50 <= 2 s: 97 % left`."""
    if budget.headroom is None:
        return f"{_limit(budget)}: open" if budget.verdict is Verdict.INCONCLUSIVE else f"{_limit(budget)}: missed"
    # Rounded down, so that 100 % left is never claimed and a budget that is missed shows as more than 1.
    if budget.headroom >= 0:
        return f"{_limit(budget)}: {math.floor(budget.headroom * 100)} % left"
    return f"{_limit(budget)}: {1 - budget.headroom:.3g} times that"


def _limit(budget: BudgetResult) -> str:
    return f"{budget.metric} {budget.stat} <= {limit(budget.limit)}"


def _verdict(verdict: Verdict) -> Text:
    from rich.text import Text

    return Text(verdict.value, style=_STYLES[verdict])


def _table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _wide(rows: Sequence[Row], measured: int) -> Table:
    """A line a prompt."""
    high = "p90" if measured >= _P90_FROM else "max"
    table = _table()
    for name in ("MODEL", "PROMPT", "VIA", "OK/N", "ASSERT"):
        table.add_column(name, no_wrap=True)
    for name in ("TTFT p50", f"TTFT {high}", "TPOT p50", "TOTAL p50", f"TOTAL {high}", "TOK/S"):
        table.add_column(name, no_wrap=True, justify="right")
    for name in ("BUDGET", "VERDICT"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        cells: list[RenderableType] = [row.model, row.prompt, row.via, row.answered, row.checks]
        cells += [row.ttft, row.ttft_high, row.tpot, row.total, row.total_high, row.rate, row.budget]
        table.add_row(*cells, _verdict(row.verdict))
    return table


def _stacked(rows: Sequence[Row], measured: int) -> Table:
    """Two lines a prompt, which fit 80 columns; the budget gets a line of its own."""
    from rich.text import Text

    high = "p90" if measured >= _P90_FROM else "max"
    table = _table()
    table.add_column("MODEL\n  PROMPT", ratio=1, overflow="fold")
    table.add_column("OK/N\nASSERT", no_wrap=True)
    table.add_column(f"TTFT p50\n{high}", no_wrap=True, justify="right")
    table.add_column("TPOT p50\nTOK/S", no_wrap=True, justify="right")
    table.add_column(f"TOTAL p50\n{high}", no_wrap=True, justify="right")
    table.add_column("VERDICT\nVIA", no_wrap=True)
    for row in rows:
        name = f"{row.model}\n  {row.prompt}" + "".join(f"\n  {one}" for one in row.budget.split("; ") if one != "-")
        table.add_row(
            Text(name),
            f"{row.answered}\n{row.checks}",
            f"{row.ttft}\n{row.ttft_high}",
            f"{row.tpot}\n{row.rate}",
            f"{row.total}\n{row.total_high}",
            _verdict(row.verdict) + f"\n{row.via}",
        )
    return table
