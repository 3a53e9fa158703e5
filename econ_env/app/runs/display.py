"""Shows a run on the terminal: progress with accuracy, tokens and calls so far, and the final table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from econ_env.llm.meter import LeftOut, ServerCount

console = Console(soft_wrap=False)


def progress() -> Progress:
    """A progress display whose tasks have a field `note`; one line each, fits 80 columns."""
    return Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=6),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
    )


class PhaseTally:
    """Counts the finished episodes of a phase and shows the counts next to its bar.

    Args:
        bars: The progress display.
        name: Name of the phase.
        total: Episodes in the phase.
        done: Episodes that an earlier run has finished.
    """

    def __init__(self, bars: Progress, name: str, total: int, done: int = 0) -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task(name, total=total, completed=done, note="")
        self._correct = self._judged = self._tokens = self._calls = 0

    def start_at(self, done: int) -> None:
        """Show episodes that an earlier run has finished."""
        self._bars.update(self._task, completed=done)

    def count(self, verdict: str, tokens: int, calls: int) -> None:
        """Add one finished episode."""
        self._judged += verdict != "failed"
        self._correct += verdict == "correct"
        self._tokens += tokens
        self._calls += calls
        share = f"{self._correct / self._judged:.0%}" if self._judged else "-"
        note = f"right {share} · {short(self._tokens)} tok · {short(self._calls)} calls"
        self._bars.update(self._task, advance=1, note=note)


def short(count: int) -> str:
    """A count as short text, such as 9,999, 12.3k or 4.56M."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1e3:.1f}k" if count < 999_950 else f"{count / 1e6:.2f}M"


def print_summary(lines: Mapping[str, dict[str, Any]], json_rate: float | None, text_replies: bool) -> None:
    """Print the final lines and table.

    Args:
        lines: Summary of each method, by its display name.
        json_rate: Share of replies that parsed as JSON, over all methods.
        text_replies: Whether replies were requested as text; then there is no JSON to parse.
    """
    console.print()
    for name, part in lines.items():
        share = "nothing judged" if part["accuracy"] is None else f"{part['accuracy']:.1%}"
        failed = f"  ({part['failed']} failed, not counted)" if part["failed"] else ""
        console.print(f"{name + ':':<22}{part['correct']}/{part['n']} = {share}{failed}", highlight=False)
    shown = "not asked for (text replies)" if text_replies else "-" if json_rate is None else f"{json_rate:.0%}"
    console.print(f"{'P0 Metadata:':<22}JSON={shown}", highlight=False)
    console.print("P0 labels the test with BNE rounds, after the reference code's first version.", style="dim")
    table = Table(box=None, pad_edge=False)
    thinks = any(part["thought_tokens"] for part in lines.values())
    priced = any(part.get("price_per_problem") for part in lines.values())
    further = [*(["price/problem"] if priced else []), "seconds"]
    for heading in ("", "tokens/problem", *(("thought",) if thinks else ()), "calls", "rounds/problem", *further):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, part in lines.items():
        total = part["n"] + part["failed"]
        per_problem = "-" if part["tokens_per_problem"] is None else f"{part['tokens_per_problem']:,.0f}"
        rounds = f"{part['rounds'] / total:.2f}" if total else "-"
        thought = [f"{part['thought_tokens'] / total:,.0f}" if total else "-"] if thinks else []
        cost = [f"{part['price_per_problem']:.3f}" if total else "-"] if priced else []
        table.add_row(name, per_problem, *thought, f"{part['calls']:,}", rounds, *cost, f"{part['wall_seconds']:.1f}")
    console.print()
    console.print(table)


Counts = dict[str, dict[str, int]]


def count_servers(counted: Mapping[str, ServerCount], earlier: Mapping[str, Mapping[str, int]]) -> Counts:
    """Counts of each server for `summary.json`: `answers`, `tokens` and `faults`.

    Args:
        counted: Counts of this process, by address without credentials.
        earlier: Counts from an interrupted part of the run; a part that was killed wrote none.
    """
    names = [*earlier, *(name for name in counted if name not in earlier)]
    return {
        name: counted.get(name, ServerCount()).plus(ServerCount(**earlier.get(name, {})))._asdict() for name in names
    }


def print_dead_controls(left_out: Mapping[tuple[str, str], LeftOut]) -> None:
    """Print a line per model for which a server refused a control."""
    for (server, model), what in left_out.items():
        if what.dead:
            names = " and ".join(name.replace("_", " ") for name in what.dead)
            line = f"{names} had no effect on {model}: {server} refuses it"
            console.print(line, style="bold red", highlight=False, markup=False)


def print_recorded(played: Mapping[str, int] | None) -> None:
    """Print a line on what was played from a bank, if anything was; see `sum_recorded`."""
    if played is not None:
        console.print()
        console.print(f"recorded {recorded_words(played)}", highlight=False, soft_wrap=True)


def recorded_words(played: Mapping[str, int]) -> str:
    """What was played from a bank, in words."""
    return (
        f"{played['replies']:,} replies; {played['clipped']:,} with controls outside the recorded ones, "
        f"{played['reused']:,} played again in an episode"
    )


def print_servers(servers: Mapping[str, Mapping[str, int]]) -> None:
    """Print a line per server, if there is more than one."""
    if len(servers) < 2:
        return
    console.print()
    for name, count in servers.items():
        faults = f", {short(count['faults'])} failed attempts" if count["faults"] else ""
        line = f"{name}: {short(count['answers'])} answers, {short(count['tokens'])} tokens{faults}"
        console.print(line, highlight=False, markup=False)
