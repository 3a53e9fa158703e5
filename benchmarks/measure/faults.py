"""Runs the same problems on a working server and on one that fails on purpose, and compares the results.

Every kind of failure occurs, including hangs. Both runs have the same seeds, and the model is simulated over real HTTP.
So a problem must have exactly the same texts in both runs, unless an answer was lost for good (unusable twice) or the
model was asked again with another seed, because its text was empty or not JSON.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, get_args

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from econ_env import parallel_env
from econ_env.config import LLMConfig
from econ_env.episode import Episode
from econ_env.llm import MeterSnapshot, shared_meter
from econ_env.problems import ProblemSet, load_problems
from econ_env.records import Usage
from econ_env.testing import Fault, FaultyServer, SimulatedLLM
from econ_env.traces import read_lines

CONTROLS = np.array([1.0, 1.2], np.float32)
"""(T, p) of every executor: away from the best controls, so that right and wrong answers both occur."""


class Run(NamedTuple):
    """Results of all problems."""

    episodes: list[Episode]
    """One per problem, in their order."""
    account: MeterSnapshot
    """The cost of the calls."""
    seen: collections.Counter[Fault]
    """Failures by kind, as the server counted them."""
    calls: int
    """Calls that the server received."""
    asked: set[str]
    """Request bodies that the server received, as JSON."""
    rows: collections.Counter[str]
    """Lines of the trace by problem."""
    wall: float
    """Seconds."""


def play(problems: ProblemSet, share: float, timeout: float, concurrency: int, seed: int) -> Run:
    """Play all problems at once, each in its own environment.

    Args:
        problems: The problems to play.
        share: Share of the calls that fail, divided evenly among all kinds.
        timeout: Seconds an attempt may take; a hanging call takes this long.
        concurrency: Calls in flight.
        seed: Seed of all samples and failures.
    """
    kinds = get_args(Fault)
    faults: dict[Fault, float] = dict.fromkeys(kinds, share / len(kinds))
    model = SimulatedLLM(problems)
    with FaultyServer(model.serve_reply, faults=faults, seed=seed) as server, tempfile.TemporaryDirectory() as folder:
        settings = {
            "timeout": timeout,
            "retry_wait": 0.05,
            "retry_wait_max": 1.0,
            "concurrency": concurrency,
            "cache_dir": folder,
        }
        trace = Path(folder) / "rounds.jsonl"

        async def one(index: int) -> Episode:
            env = parallel_env(problems, llm=server.url, embedder="hash", trace=trace, config={"llm": settings})
            await env.areset(seed=seed, options={"problem": index})
            await env.astep(dict.fromkeys(env.possible_agents, CONTROLS))
            assert env.episode is not None
            return env.episode

        async def everything() -> list[Episode]:
            return await asyncio.gather(*(one(index) for index in range(len(problems))))

        start = time.perf_counter()
        episodes = asyncio.run(everything())
        wall = time.perf_counter() - start
        rows = collections.Counter(row["problem"] for row in read_lines(trace))
        account = shared_meter(LLMConfig(**settings)).snapshot()
        asked = {json.dumps(body) for body in server.seen.bodies}
        return Run(episodes, account, server.seen.faults, server.seen.calls, asked, rows, wall)


def verdict(episode: Episode) -> str:
    """The judge's verdict, or `failed`."""
    judgement = episode.decisions[-1].judgement
    return "failed" if judgement is None else judgement.verdict


def texts(episode: Episode) -> tuple[str | None, ...]:
    """Texts of all replies and the commitment; `None` for a failed call."""
    round_ = episode.last_round
    assert round_ is not None
    return (*(reply.text for reply in round_.replies), round_.commitment.text)


def untouched(calm: Run, rough: Run) -> list[bool]:
    """For each problem, whether no call was lost for good and no request changed its text or seed."""
    changed = "\n".join(rough.asked - calm.asked)
    same = []
    for episode in rough.episodes:
        round_ = episode.last_round
        assert round_ is not None
        complete = all(reply.valid for reply in round_.replies) and round_.commitment.source == "coordinator"
        same.append(complete and json.dumps(episode.problem.question)[1:-1] not in changed)
    return same


def problems_found(calm: Run, rough: Run, ids: list[str]) -> list[str]:
    """Descriptions of all errors found; empty if there are none."""
    found = []
    for name, run in (("fault-free", calm), ("faulty", rough)):
        if [episode.problem.id for episode in run.episodes] != ids:
            found.append(f"{name}: problems are lost or out of order")
        if run.rows != collections.Counter(ids):
            found.append(f"{name}: the trace does not hold every problem exactly once")
        if sum((episode.usage for episode in run.episodes), Usage()) != run.account.total:
            found.append(f"{name}: the usage summed over problems differs from the account")
        for episode in run.episodes:
            round_ = episode.last_round
            if verdict(episode) == "failed" and (round_ is None or not round_.commitment.error):
                found.append(f"{name}: {episode.problem.id} failed without a reason")
    for one, other, same in zip(calm.episodes, rough.episodes, untouched(calm, rough), strict=True):
        if same and (texts(one) != texts(other) or verdict(one) != verdict(other)):
            found.append(f"{one.problem.id} got the same requests in both runs but different results")
    return found


@click.command()
@click.option(
    "--problems",
    "count",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Number of problems, all in flight at once.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Share of the calls that fail, over all kinds of failure.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds an attempt may take.",
)
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Calls in flight.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all samples and failures.")
def main(count: int, share: float, timeout: float, concurrency: int, seed: int) -> None:
    """Print results with and without failures; exit with status 1 if anything was lost or miscounted."""
    problems = load_problems("bundled", limit=count)
    calm = play(problems, 0.0, max(timeout, 30.0), concurrency, seed)
    rough = play(problems, share, timeout, concurrency, seed)
    console = Console()
    table = Table("run", "problems", "judged", "failed", "accuracy", "invalid", "calls", "retries", "seconds")
    for name, run in (("fault-free", calm), ("faulty", rough)):
        verdicts = collections.Counter(verdict(episode) for episode in run.episodes)
        judged = sum(verdicts.values()) - verdicts["failed"]
        rounds = [episode.last_round for episode in run.episodes]
        invalid = sum(not reply.valid for round_ in rounds if round_ is not None for reply in round_.replies)
        table.add_row(
            name,
            str(len(run.episodes)),
            str(judged),
            str(verdicts["failed"]),
            f"{verdicts['correct'] / judged:.3f}" if judged else "-",
            str(invalid),
            str(run.calls),
            str(run.account.total.retries),
            f"{run.wall:.1f}",
        )
    console.print(table)
    failed = sum(rough.seen.values())
    console.print(f"{failed} of {rough.calls} calls failed: " + ", ".join(f"{k} {n}" for k, n in rough.seen.items()))
    pairs = list(zip(calm.episodes, rough.episodes, strict=True))
    alike = [texts(one) == texts(other) for one, other in pairs]
    both = [pair for pair in pairs if "failed" not in (verdict(pair[0]), verdict(pair[1]))]
    console.print(
        f"{sum(alike)} problems have exactly the same texts; {sum(untouched(calm, rough))} lost no call for good and "
        f"sent no changed request"
    )
    lost, won = (
        sum((verdict(one) == "correct", verdict(other) == "correct") == change for one, other in both)
        for change in ((True, False), (False, True))
    )
    chance = binomtest(lost, lost + won).pvalue if lost + won else 1.0
    console.print(
        f"of {len(both)} judged in both, {lost} turned wrong and {won} turned right (sign test p = {chance:.2f})"
    )
    found = problems_found(calm, rough, [problem.id for problem in problems])
    for line in found:
        console.print(line, style="red")
    console.print("nothing lost, nothing doubled, all sums agree" if not found else "errors found, see above")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
