"""Measures how long one problem takes: three executors, K rounds, against a server that answers in 0.2 s.

The critical path is the strategy, and in each round one reply and one commitment: executors do not wait for others.
"""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from econ_env import parallel_env
from econ_env.records import Problem
from econ_env.testing import FaultyServer


class Latency(NamedTuple):
    """What a problem took."""

    wall: float
    """Seconds, median."""
    calls: float
    """Calls of a problem."""


def problem_latency(latency: float, executors: int, rounds: int, repeats: int) -> Latency:
    """Play problems one after another against a server in this process.

    Args:
        latency: Seconds that it takes for each call.
        executors: Of the team.
        rounds: K.
        repeats: Problems, after a first one which also opens the connections and does not count.
    """
    problems = [Problem(f"What is {number} + {number}?", str(2 * number), str(number)) for number in range(repeats + 1)]
    walls = []
    with FaultyServer(latency=latency) as server:
        env = parallel_env(
            problems, n_agents=executors, llm=server.url, embedder="hash",
            config={"llm": {"cache": False, "concurrency": 64}},
        )  # fmt: skip
        for number in range(repeats + 1):
            start = time.perf_counter()
            env.reset(seed=0, options={"problem": number})
            for round_ in range(rounds):
                actions = {agent: np.array([0.5 + 0.1 * round_, 1.1], np.float32) for agent in env.agents}
                env.deliberate(actions)
            env.step(actions)
            walls.append(time.perf_counter() - start)
        calls = server.seen.calls / (repeats + 1)
        env.close()
    return Latency(statistics.median(walls[1:]), calls)


@click.command()
@click.option(
    "--latency",
    type=click.FloatRange(0),
    default=0.2,
    show_default=True,
    help="Seconds that the server takes for each call.",
)
@click.option("--executors", type=click.IntRange(1), default=3, show_default=True, help="Executors of the team.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="K.")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Problems, one after another.")
def main(latency: float, executors: int, rounds: int, repeats: int) -> None:
    """Print the wall time of a problem, the critical path, and their ratio."""
    wall, calls = problem_latency(latency, executors, rounds, repeats)
    path = (1 + 2 * rounds) * latency
    table = Table("", "seconds")
    table.add_row(f"wall, median of {repeats}", f"{wall:.3f}")
    table.add_row(f"critical path of {1 + 2 * rounds} calls", f"{path:.3f}")
    table.add_row(f"all {calls:g} calls one after another", f"{calls * latency:.3f}")
    table.add_row("ratio of wall to critical path", f"{wall / path:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
