"""Measures how well and how fast ECON learns on a task with a known optimum: ablations, peers and true gaps.

    python -m benchmarks.known_optimum --seeds 5

trains the default learner, ablations (one setting changed) and other learners, all on one simulated task with the same
episodes. It writes results.jsonl (one line per run; a stopped benchmark continues from it), results.json, results.md
and curve.png.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from benchmarks.known_optimum.http import run_http
from benchmarks.known_optimum.report import draw, markdown, print_sheets, sheets
from benchmarks.known_optimum.runs import run, warm_up
from benchmarks.known_optimum.variants import BY_NAME, VARIANTS, Variant
from econ_env.traces import read_lines, write_json

Job = tuple[Variant, int, int]
"""Learner, seed, episodes."""


def plan(variants: Sequence[Variant], seeds: int, episodes: int, short: int, gap_seeds: int) -> list[Job]:
    """All runs: the defaults first, then seed by seed, so a stopped benchmark has equally many runs per learner."""
    first = [(v, seed, episodes) for v in variants if v.kind == "main" for seed in range(seeds)]
    rest = [v for v in variants if v.kind != "main"]
    return first + [
        (v, seed, short if v.kind in ("ablation", "gap", "coupled") else episodes)
        for seed in range(max(seeds, gap_seeds))
        for v in sorted(rest, key=lambda v: ("peer", "gap", "ablation", "coupled").index(v.kind))
        if seed < (gap_seeds if v.kind == "gap" else seeds)
    ]


def collect(jobs: Sequence[Job], kept: Path, workers: int) -> list[dict[str, Any]]:
    """Results of all jobs: reads stored ones and runs the others; with 0 workers, only stored results."""
    known = {row["key"]: row for row in read_lines(kept)} if kept.exists() else {}
    keys = [variant.key(seed, episodes) for variant, seed, episodes in jobs]
    todo = [job for job, key in zip(jobs, keys, strict=True) if key not in known]
    if workers == 0:
        return [known[key] for key in keys if key in known]
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, mp_context=context, initializer=warm_up) as pool,
        kept.open("a", encoding="utf-8") as file,
        Progress(console=Console(stderr=True)) as progress,
    ):
        bar = progress.add_task("runs", total=len(jobs), completed=len(jobs) - len(todo))
        for future in as_completed([pool.submit(run, *job) for job in todo]):
            row = future.result()
            known[row["key"]] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            progress.advance(bar)
    return [known[key] for key in keys]


@click.command()
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Runs per learner.")
@click.option("--episodes", default=500, show_default=True, type=click.IntRange(64), help="For defaults and peers.")
@click.option(
    "--short-episodes", "short", default=240, show_default=True, type=click.IntRange(64), help="For ablations, gaps."
)
@click.option("--gap-seeds", default=10, show_default=True, type=click.IntRange(0), help="Runs that measure true gaps.")
@click.option(
    "--jobs", "workers", default=2, show_default=True, type=click.IntRange(0), help="Processes; 0 only reports."
)
@click.option("--only", multiple=True, type=click.Choice(sorted(BY_NAME)), help="Only these learners; repeatable.")
@click.option("--http", is_flag=True, help="Also train over real HTTP, and measure the time.")
@click.option("--http-episodes", default=160, show_default=True, type=click.IntRange(64), help="For the HTTP curve.")
@click.option(
    "--out",
    default="known_optimum_results",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of results; results in it are not run again.",
)
def main(
    seeds: int,
    episodes: int,
    short: int,
    gap_seeds: int,
    workers: int,
    only: tuple[str, ...],
    http: bool,
    http_episodes: int,
    out: Path,
) -> None:
    """Train on a task with a known optimum, and report the results."""
    out.mkdir(parents=True, exist_ok=True)
    chosen = [variant for variant in VARIANTS if not only or variant.name in only]
    if http and BY_NAME["default"] not in chosen:
        raise click.UsageError("--http compares with the default learner in process: add --only default")
    rows = collect(plan(chosen, seeds, episodes, short, gap_seeds), out / "results.jsonl", workers)
    results: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        results[row["name"]].append(row)
    if "default" not in results and workers == 0:
        raise click.UsageError(f"{out} has no results of the default learner: run without --jobs 0 first")
    report = None
    if http:
        warm_up()
        report = run_http(0, min(http_episodes, episodes), results["default"][0])
    made = sheets(results, report)
    print_sheets(made)
    write_json(out / "results.json", {"runs": rows, "http": report})
    (out / "results.md").write_text(markdown(made), encoding="utf-8")
    draw(results, out / "curve.png")


if __name__ == "__main__":
    main()
