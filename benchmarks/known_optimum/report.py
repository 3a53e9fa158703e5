"""Makes tables and the curve of the known-optimum benchmark from the results of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from scipy import stats

from benchmarks.known_optimum.runs import NEAR, REFINEMENTS, first_reaching, tasks
from benchmarks.known_optimum.variants import COUPLING, VARIANTS, Variant

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""Results by name of the variant, one for each seed."""
FEWEST = 3
"""Minimum number of seeds for a verdict."""
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#5f6770")
"""From Okabe and Ito, distinct for colour-blind readers too."""


class Sheet(NamedTuple):
    """A table, for the terminal and for markdown."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and bounds of its 95% Student's t interval; the bounds are NaN for fewer than two values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean, mean - half, mean + half


def show(values: Sequence[float], signed: bool = False, digits: int = 3) -> str:
    """Mean and interval as text."""
    mean, low, high = interval(values)
    form = f"{'+' if signed else ''}.{digits}f"
    return f"{mean:{form}}" if np.isnan(low) else f"{mean:{form}} [{low:{form}}, {high:{form}}]"


def verdict(differences: Sequence[float]) -> str:
    """The verdict on paired differences to the defaults; none for fewer than `FEWEST` seeds."""
    if len(differences) < FEWEST:
        return "too few seeds"
    _, low, high = interval(differences)
    return "worse" if high < 0.0 else "better" if low > 0.0 else "no difference seen"


def sheets(results: Results, http: Mapping[str, Any] | None) -> list[Sheet]:
    """All tables for which there are results."""
    made = [_references()]
    if "default" in results:
        made += [_seeds(results["default"]), _checkpoints(results["default"])]
        made.append(_ablations(results))
        made.append(_peers(results))
    if "coupled" in results:
        made += _gaps(results["coupled"])
        made.append(coupled(results))
    if http is not None:
        made.append(_http(http))
    return [sheet for sheet in made if sheet.rows]


def _references() -> Sheet:
    rows = []
    for coupling in (0.0, COUPLING):
        task = tasks(coupling)[1]
        best = (task.oracle, task.best_fixed, task.best_fixed_profile)
        rows.append([f"{coupling:g}", *(f"{optimum.accuracy:.3f}" for optimum in best), f"{task.random_control:.3f}"])
    columns = ["coupling", "oracle", "best fixed", "best fixed profile", "random control"]
    return Sheet("Team accuracy, exact", columns, rows, "Shares below are shares of the oracle's accuracy.")


def _seeds(runs: Sequence[Mapping[str, Any]]) -> Sheet:
    rows = []
    for run in sorted(runs, key=lambda run: run["seed"]):
        firsts = [_first(run, level) for level in NEAR]
        times = [f"{run['seconds']:.0f}", f"{run['cpu_seconds']:.0f}"]
        rows.append([str(run["seed"]), *firsts, f"{run['share'][-1]:.3f}", f"{min(_tail(run)):.3f}", *times])
    columns = ["seed", "95% at", "98% at", f"at {runs[0]['episodes'][-1]}", "least after 320", "wall s", "CPU s"]
    note = "95% at, 98% at: episodes at the first checkpoint (every 16 episodes) with this share."
    return Sheet("The defaults, seed by seed", columns, rows, note)


def _checkpoints(runs: Sequence[Mapping[str, Any]]) -> Sheet:
    rows = []
    for place, episodes in enumerate(runs[0]["episodes"]):
        values = [run["share"][place] for run in runs]
        if episodes % 80 == 0 or episodes in (32, 128, 192, 256) or episodes == runs[0]["episodes"][-1]:
            rows.append([str(episodes), show(values), f"{min(values):.3f}"])
    return Sheet(f"The defaults, mean of {len(runs)} seeds", ["episodes", "share [95%]", "least"], rows)


def _ablations(results: Results) -> Sheet:
    rows = []
    for variant in _with_results(results, "ablation"):
        run_at = results[variant.name][0]["episodes"][-1]
        ends, areas = paired(results[variant.name], results["default"])
        mean = float(np.mean([run["share"][-1] for run in results[variant.name]]))
        rows.append([variant.label, str(len(ends)), f"{mean:.3f}", show(ends, True), show(areas, True), verdict(areas)])
    if not rows:
        return Sheet("", [], [])
    columns = ["switch", "seeds", f"at {run_at}", "less defaults' [95%]", "mean over curve [95%]", "curve"]
    note = "Differences are paired over seeds; the verdict is on the mean over the curve (sample efficiency)."
    return Sheet("One switch each", columns, rows, note)


def _peers(results: Results) -> Sheet:
    rows = []
    peers = _with_results(results, "peer")
    for variant in (*(v for v in VARIANTS if v.kind == "main"), *peers):
        runs = results[variant.name]
        _, areas = paired(runs, results["default"])
        reached = [first_reaching(run["episodes"], run["share"], NEAR[0]) for run in runs]
        times = [number for number in reached if number is not None]
        text = f"{len(times)}/{len(runs)}" + (f", {np.mean(times):.0f}" if times else "")
        rows.append([variant.label, show([run["share"][-1] for run in runs]), text, show(areas, True)])
    columns = ["learner", "share at end [95%]", "seeds at 95%, episode", "mean over curve less ECON's [95%]"]
    return Sheet("Peers on the same budget", columns, rows if peers else [])


def paired(runs: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Difference of runs to others with the same seed: at the last common checkpoint, and mean over common ones."""
    by_seed = {run["seed"]: dict(zip(run["episodes"], run["share"], strict=True)) for run in others}
    ends, areas = [], []
    for run in runs:
        other = by_seed.get(run["seed"])
        if other is None:
            continue
        mine = dict(zip(run["episodes"], run["share"], strict=True))
        last = max(mine)
        grid = [number for number in other if min(mine) <= number <= last]
        held = [mine[max(key for key in mine if key <= number)] for number in grid]  # a search has fewer checkpoints
        ends.append(mine[last] - other[max(grid)])
        areas.append(float(np.mean(np.array(held) - [other[number] for number in grid])))
    return ends, areas


def _gaps(runs: Sequence[Mapping[str, Any]]) -> list[Sheet]:
    along = []
    for place, episodes in enumerate(runs[0]["gap_episodes"]):
        along.append([str(episodes), *_beside([(run["gap"][place], run["gap_refined"][place]) for run in runs])])
    means = [(float(np.mean(run["gap"][1:])), float(np.mean(run["gap_refined"][1:]))) for run in runs]
    along.append(["mean after the first", *_beside(means)])
    end = []
    for name in REFINEMENTS:
        rows = [run["refined"][name] for run in runs]
        less = [row["gap"] - run["refined"]["K=1"]["gap"] for row, run in zip(rows, runs, strict=True)]
        values = [show([row["gap"] for row in rows], digits=4), show(less, True, 4)]
        share, rounds = (float(np.mean([row[key] for row in rows])) for key in ("share", "rounds"))
        end.append([name, *values, f"{share:.3f}", f"{rounds:.2f}"])
    title = f"True gap with coupling {COUPLING:g}, mean of {len(runs)} seeds"
    columns = ["refinement", "gap [95%]", "less K=1's [95%]", "share", "rounds"]
    note = "Gain in team accuracy from the best single deviation, computed by the simulator."
    return [
        Sheet(title, ["episodes", "K=1 [95%]", "K=3 [95%]", "K=3 less K=1 [95%]"], along, note),
        Sheet("True gap of what is submitted at the end", columns, end),
    ]


def coupled(results: Results) -> Sheet:
    """One switch each on the coupled task."""
    base = results["coupled"]
    gaps = {run["seed"]: run["refined"]["K=1"]["gap"] for run in base}
    ends = show([run["share"][-1] for run in base])
    rows = [["defaults", str(len(base)), ends, "", "", show(list(gaps.values())), "", ""]]
    for variant in _with_results(results, "coupled"):
        runs = [run for run in results[variant.name] if run["seed"] in gaps]
        last, areas = paired(runs, base)
        gap = [run["refined"]["K=1"]["gap"] for run in runs]
        more = [value - gaps[run["seed"]] for value, run in zip(gap, runs, strict=True)]
        share = show([run["share"][-1] for run in runs])
        compared = [show(last, True), show(areas, True), show(gap), show(more, True), verdict(areas)]
        rows.append([variant.label, str(len(runs)), share, *compared])
    columns = ["switch", "seeds", "share at the end", "less defaults'", "mean over curve", "true gap", "less defaults'"]
    note = "Means with 95% intervals; differences are paired over seeds; the verdict is on the mean over the curve."
    title = f"One switch each with coupling {COUPLING:g}, where agents depend on one another"
    return Sheet(title, [*columns, "curve"], rows if len(rows) > 1 else [], note)


def _beside(pairs: Sequence[tuple[float, float]]) -> list[str]:
    """Two measures and their paired difference."""
    one, other = zip(*pairs, strict=True)
    less = [second - first for first, second in pairs]
    return [show(one, digits=4), show(other, digits=4), show(less, True, 4)]


def _http(http: Mapping[str, Any]) -> Sheet:
    rows = [
        [str(n), str(row["most_in_flight"]), f"{row['seconds']:.1f}", f"{row['waiting']:.1f}"]
        for n, row in http["envs"].items()
    ]
    same = "equal to" if http["same"] else "different from"
    note = (
        f"Seed {http['seed']} over HTTP, {http['episodes']} episodes: the curve is {same} the one in process; "
        f"{http['calls']} calls, {http['seconds']:.0f} s. The rows: {http['timed']} episodes, each call "
        f"{http['latency']:g} s; the last column is the waiting time of episodes run one after another."
    )
    return Sheet("Over real HTTP", ["--train-envs", "most in flight", "wall s", "calls in a row s"], rows, note)


def print_sheets(made: Sequence[Sheet]) -> None:
    """Print tables, at most 80 columns wide."""
    console = Console(width=min(80, Console().width))
    for sheet in made:
        table = Table(*sheet.columns, title=sheet.title, title_justify="left", caption=sheet.note or None)
        table.caption_justify = "left"
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)


def markdown(made: Sequence[Sheet]) -> str:
    """The tables as markdown."""
    parts = []
    for sheet in made:
        lines = [sheet.columns, ["---"] * len(sheet.columns), *sheet.rows]
        parts.append(f"### {sheet.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
        if sheet.note:
            parts.append(f"{sheet.note}\n")
    return "\n".join(parts)


def draw(results: Results, file: Path) -> None:
    """Draw the defaults' curve with its interval, and the peers' mean curves, as a PNG file."""
    task = tasks(0.0)[1]
    drawn = [v for v in VARIANTS if v.name in results and v.kind in ("main", "peer")]
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        for number, variant in enumerate(drawn):
            runs, color = results[variant.name], COLORS[number % len(COLORS)]
            episodes, name = runs[0]["episodes"], "ECON" if variant.kind == "main" else variant.label
            label = f"{name}, {len(runs)} seed{'s' if len(runs) > 1 else ''}"
            bounds = np.array([interval(list(values)) for values in zip(*(run["share"] for run in runs), strict=True)])
            wide = 2.2 if variant.kind == "main" else 1.2
            axes.plot(episodes, bounds[:, 0], color=color, label=label, linewidth=wide)
            if variant.kind == "main" and len(runs) > 1:
                axes.fill_between(episodes, bounds[:, 1], np.minimum(bounds[:, 2], 1.0), color=color, alpha=0.2)
        levels = {"oracle": 1.0, "best fixed": task.best_fixed.accuracy, "random": task.random_control}
        for name, value in levels.items():
            share = value if name == "oracle" else value / task.oracle.accuracy
            axes.axhline(share, color="#9a9fa5", linewidth=0.8, linestyle=":")
            axes.annotate(name, (1.0, share), xycoords=("axes fraction", "data"), xytext=(3, 0),
                          textcoords="offset points", va="center", color="#5f6770")  # fmt: skip
        axes.set(xlabel="training episodes", ylabel="share of the oracle's accuracy", ylim=(0.0, 1.03), xlim=(0, None))
        axes.legend(frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.7))
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=160)


def _with_results(results: Results, kind: str) -> list[Variant]:
    return [variant for variant in VARIANTS if variant.kind == kind and variant.name in results]


def _first(run: Mapping[str, Any], level: float) -> str:
    number = first_reaching(run["episodes"], run["share"], level)
    return "never" if number is None else str(number)


def _tail(run: Mapping[str, Any]) -> list[float]:
    late = [share for episodes, share in zip(run["episodes"], run["share"], strict=True) if episodes >= 320]
    return late or [run["share"][-1]]
