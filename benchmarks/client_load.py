"""Measures the client under load: many problems in flight against a server with a fixed latency, in its own process.

Each problem is an environment of its own: a strategy, three replies and a commitment, over real HTTP. The ideal is the
time in which the server could have answered all calls if every slot had been busy from first to last.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from econ_env import parallel_env
from econ_env.problems import load_problems
from econ_env.records import Problem

AGENTS = 3
CALLS = AGENTS + 2
"""Calls of a problem: strategy, replies, commitment."""
STAGES = 3
"""Calls of a problem that must follow one another."""


class Measured(NamedTuple):
    """What one run took."""

    wall: float
    """Seconds from the first call to the last answer."""
    cpu: float
    """Seconds of processor time of this process."""
    server_cpu: float
    """Seconds of processor time of the server, its start included."""
    calls: int
    """Calls that the server saw."""
    most: int
    """The most it saw at once."""
    judged: int
    """Problems that ended judged."""


@contextmanager
def server(latency: float) -> Iterator[str]:
    """A server in a process of its own; gives its base URL."""
    command = [sys.executable, "-m", "econ_env.faulty_server", "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


async def solve(problems: list[Problem], url: str, concurrency: int, cache_dir: str | None) -> list[bool]:
    """All problems at once; whether each was judged."""
    settings = {"concurrency": concurrency, "cache": cache_dir is not None, "cache_dir": cache_dir}

    async def one(problem: Problem) -> bool:
        env = parallel_env([problem], llm=url, n_agents=AGENTS, embedder="hash", config={"llm": settings})
        await env.areset(seed=0)
        await env.astep(dict.fromkeys(env.possible_agents, np.array([0.7, 1.1], np.float32)))
        return env.episode is not None and env.episode.decisions[-1].judgement is not None

    return list(await asyncio.gather(*(one(problem) for problem in problems)))


def measure(n_problems: int, latency: float, concurrency: int, cache: bool) -> Measured:
    """One run on a fresh server and a fresh cache."""
    problems = [
        Problem(f"Tom has {number} apples and buys {number + 3} more. How many are there?", "4", f"apples-{number}")
        for number in range(n_problems)
    ]
    before_server = resource.getrusage(resource.RUSAGE_CHILDREN)
    with server(latency) as url, tempfile.TemporaryDirectory() as folder:
        warm = load_problems("bundled:1", limit=1)
        asyncio.run(solve(list(warm), url, concurrency, folder if cache else None))  # imports, connections, judge
        before = json.loads(urllib.request.urlopen(url.replace("/v1", "/seen")).read())["calls"]
        start, cpu = time.perf_counter(), time.process_time()
        judged = asyncio.run(solve(problems, url, concurrency, folder if cache else None))
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        seen = json.loads(urllib.request.urlopen(url.replace("/v1", "/seen")).read())
    after_server = resource.getrusage(resource.RUSAGE_CHILDREN)
    server_cpu = after_server.ru_utime + after_server.ru_stime - before_server.ru_utime - before_server.ru_stime
    return Measured(wall, cpu, server_cpu, seen["calls"] - before, seen["most_in_flight"], sum(judged))


@click.command()
@click.option("--problems", type=click.IntRange(1), default=1000, show_default=True, help="Problems in flight at once.")
@click.option(
    "--latency",
    type=click.FloatRange(0),
    default=0.2,
    show_default=True,
    help="Seconds that the server takes for each answer.",
)
@click.option(
    "--concurrency",
    "levels",
    multiple=True,
    type=click.IntRange(1),
    default=(16, 64, 128),
    show_default=True,
    help="Calls in flight allowed.",
)
@click.option("--cache/--no-cache", default=True, show_default=True, help="Whether answers are kept on disk.")
def main(problems: int, latency: float, levels: tuple[int, ...], cache: bool) -> None:
    """Print wall time against the ideal, calls per second and peak memory for each allowed concurrency."""
    table = Table(
        "allowed", "seen", "calls", "judged", "wall s", "ideal s", "ratio", "calls/s", "CPU s", "server CPU s"
    )
    for concurrency in levels:
        run = measure(problems, latency, concurrency, cache)
        ideal = max(problems * CALLS * latency / concurrency, STAGES * latency)
        counts = (str(concurrency), str(run.most), str(run.calls), str(run.judged))
        times = (f"{run.wall:.2f}", f"{ideal:.2f}", f"{run.wall / ideal:.3f}")
        table.add_row(*counts, *times, f"{run.calls / run.wall:.0f}", f"{run.cpu:.1f}", f"{run.server_cpu:.1f}")
    console = Console()
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(
        f"peak memory of this process: {peak:.0f} MiB; {problems} problems in flight at {latency:g} s latency"
    )


if __name__ == "__main__":
    main()
