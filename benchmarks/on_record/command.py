"""Defines the command: plays all folds in processes, prints the table, and writes rows, facts and the picture."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.on_record.calibration import Forecasts, calibration, draw_calibration
from benchmarks.on_record.contest import BOUNDS, Setup, play_fold
from benchmarks.on_record.frontier import draw
from benchmarks.on_record.intervals import Outcome, rows
from econ_env.answers import DEFAULT_RULE
from econ_env.errors import BankError
from econ_env.recorded import Bank, load_bank
from econ_env.traces import write_json

ONE_MODEL_SIZE = 10
"""Executors of a team of one model."""


@click.command()
@click.option("--bank", required=True, help="A Parquet file of recorded replies, or gsm8k-small7.")
@click.option("--models", help="Models of the team, separated by commas; by default all of the bank.")
@click.option(
    "--n-agents", type=click.IntRange(1), help=f"Executors, where all are one model. [default: {ONE_MODEL_SIZE}]"
)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts of the problems.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Splits, each with its own seed.")
@click.option(
    "--temperature",
    type=click.FloatRange(0.0, 2.0),
    default=0.7,
    show_default=True,
    help="Temperature of the rules of thumb.",
)
@click.option(
    "--episodes",
    type=click.IntRange(50),
    default=400,
    show_default=True,
    help="Training episodes of what learns sampling controls by playing.",
)
@click.option(
    "--voice-episodes",
    type=click.IntRange(50),
    default=2000,
    show_default=True,
    help="Training episodes of teams that learn who speaks and whom to believe.",
)
@click.option(
    "--price",
    "prices",
    type=click.FloatRange(0.0, 1.0),
    multiple=True,
    default=(0.005, 0.01, 0.02, 0.03, 0.04),
    show_default=True,
    help="What a call costs, in reward (a right answer pays 1); repeat it. One team learns for all prices.",
)
@click.option(
    "--without",
    type=click.Choice(["length", "numbers", "working"]),
    multiple=True,
    help="Hide the length of replies, what numbers the answers are, or the working from the learned teams; repeat it.",
)
@click.option("--rules-only", is_flag=True, help="Leave out what learns by playing; takes seconds.")
@click.option(
    "--sampling/--no-sampling",
    default=True,
    show_default=True,
    help="Search and learn sampling controls, too; where a bank has one reply a cell they can change nothing.",
)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File of the rows, .json; the picture and the facts of the run lie beside it.",
)
def recorded(
    bank: str,
    models: str | None,
    n_agents: int | None,
    folds: int,
    seeds: int,
    temperature: float,
    episodes: int,
    voice_episodes: int,
    prices: tuple[float, ...],
    without: tuple[str, ...],
    rules_only: bool,
    sampling: bool,
    jobs: int,
    out: Path,
) -> None:
    """Compare learned teams with rules of thumb on recorded replies, cross-validated over problems.

    Prints a table, and writes a row for each method, the facts of the run, and a picture of accuracy against calls; of
    what learned teams believe of replies, a reliability table and its picture.
    """
    replies = load_bank(bank)
    team = _team(replies, models, n_agents)
    if len(replies.problems) < 2 * folds:
        raise BankError(f"{replies.name} has {len(replies.problems)} problems, too few for {folds} folds")
    setup = Setup(bank, team, folds, temperature, episodes, voice_episodes, prices, rules_only, sampling, without)
    start = time.perf_counter()
    outcomes, beliefs = play(setup, len(replies.problems), seeds, jobs)
    found = rows(outcomes)
    facts = {
        "bank": replies.name,
        "manifest": asdict(replies.manifest),
        "problems": len(replies.problems),
        "seeds": seeds,
        "answer_rule": DEFAULT_RULE.name,
        "seconds": time.perf_counter() - start,
        **asdict(setup),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, found)
    write_json(out.with_suffix(".facts.json"), facts)
    about = f"{replies.name}: {len(replies.problems):,} problems, {folds} folds x {seeds} seeds"
    draw(found, about, out.with_suffix(".png"))
    console = Console()
    console.print(_table(found, about))
    written = [out.with_suffix(".png").name, out.with_suffix(".facts.json").name]
    if beliefs:
        tables, picture = out.with_suffix(".calibration.json"), out.with_suffix(".calibration.png")
        write_json(tables, beliefs)
        draw_calibration(beliefs, about, picture)
        written += [tables.name, picture.name]
        console.print(_beliefs(beliefs))
    console.print(
        f"bars and brackets: 95%, bootstrap over problems; {facts['seconds']:.0f} s\nwritten to {out}, "
        f"{', '.join(written)}",
        highlight=False,
        soft_wrap=True,
    )


def _team(bank: Bank, models: str | None, n_agents: int | None) -> tuple[str, ...]:
    """The model of each executor.

    Raises:
        BankError: A model is not in the bank, or a number of executors is given for several models.
    """
    names = bank.models if models is None else tuple(name.strip() for name in models.split(",") if name.strip())
    for name in names:
        bank.model(name)
    if len(names) == 1:
        return names * (n_agents or ONE_MODEL_SIZE)
    if n_agents not in (None, len(names)):
        raise BankError(f"--n-agents {n_agents} contradicts {len(names)} models; leave it out, or name one model")
    return names


def play(setup: Setup, problems: int, seeds: int, jobs: int) -> tuple[dict[str, Outcome], dict[str, dict[str, Any]]]:
    """Play all folds of all seeds in processes; the outcome of each method, and the calibration of beliefs."""
    tasks = list(itertools.product(range(seeds), range(setup.folds)))
    made: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    forecasts: dict[str, list[Forecasts]] = {}
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool,
        Progress(console=Console(stderr=True)) as progress,
    ):
        bar = progress.add_task("folds", total=len(tasks))
        waiting = {pool.submit(play_fold, setup, *task): task for task in tasks}
        for future in as_completed(waiting):
            seed, _ = waiting[future]
            fold = future.result()
            for name, (right, calls) in fold.played.items():
                if name not in made:
                    made[name] = np.zeros((seeds, problems), bool), np.full((seeds, problems), np.nan)
                made[name][0][seed, fold.places], made[name][1][seed, fold.places] = right, calls
            for name, own in fold.forecasts.items():
                forecasts.setdefault(name, []).append(own)
            progress.advance(bar)
    outcomes = {name: Outcome(*parts) for name, parts in made.items()}
    return outcomes, {name: calibration(_joined(parts)) for name, parts in sorted(forecasts.items())}


def _joined(parts: Sequence[Forecasts]) -> Forecasts:
    return np.concatenate([chance for chance, _ in parts]), np.concatenate([happened for _, happened in parts])


def _table(found: Sequence[dict[str, Any]], title: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for heading in ("method", "calls", "right %", "- majority", "- best_first"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for row in sorted(found, key=lambda row: (row["method"] in BOUNDS, row["calls"])):
        low, high = row["ci"]
        table.add_row(
            row["method"],
            f"{row['calls']:.2f}",
            f"{100 * row['accuracy']:.1f} [{100 * low:.0f},{100 * high:.0f}]",
            *(_points(row[name]) for name in ("less_majority", "less_best_first")),
            style="dim" if row["method"] in BOUNDS else None,
        )
    return table


def _beliefs(beliefs: Mapping[str, Mapping[str, Any]]) -> Table:
    title = "beliefs that replies are right, when the team stops"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for heading in ("method", "replies", "right %", "calibration error", "log score", "of the best constant"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for name, one in beliefs.items():
        scores = (f"{one[key]:.3f}" for key in ("error", "log_score", "constant_log_score"))
        table.add_row(name, f"{one['replies']:,}", f"{100 * one['right']:.1f}", *scores)
    return table


def _points(difference: Sequence[float] | None) -> str:
    if difference is None:
        return "-"
    mean, low, high = (100 * value for value in difference)
    return f"{mean:+.1f}[{low:.1f},{high:.1f}]"
