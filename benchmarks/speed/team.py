"""Measures a team's time beyond its model calls, for one problem and for hundreds at once."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import openai

from benchmarks.speed.lines import Line
from econ_env import parallel_env
from econ_env.records import Problem
from econ_env.testing import FaultyServer

AGENTS, ROUNDS = 3, 3
CALLS = 1 + ROUNDS * (AGENTS + 1)
"""Calls per problem: the strategy, and in each round the replies and a commitment."""
DEPTH = 1 + 2 * ROUNDS
"""Sequential calls per problem."""
LATENCY = 0.2
IN_FLIGHT = 64
"""Maximum calls at once."""
ONE_BY_ONE = 4
"""Problems for the slowest program, which takes 2.6 s per problem."""


class Latency(NamedTuple):
    """Measurements of one problem."""

    wall: float
    """Median seconds."""
    calls: float
    """Calls per problem."""


def problem_latency(latency: float, executors: int, rounds: int, repeats: int) -> Latency:
    """Play problems in sequence against a server in this process.

    Args:
        latency: Seconds per call of the server.
        executors: Number of executors.
        rounds: Rounds K per problem.
        repeats: Number of problems, after a first one that opens the connections and does not count.
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


@contextmanager
def server(latency: float) -> Iterator[str]:
    """Start a server in a separate process; yields its base URL."""
    command = [sys.executable, "-m", "econ_env.testing.faulty_server", "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def latency() -> list[Line]:
    """Time of one problem, K = 3, against its critical path and against sequential calls."""
    taken = problem_latency(LATENCY, AGENTS, ROUNDS, repeats=5)
    path = DEPTH * LATENCY
    part = "team latency"
    return [
        Line(part, "one problem, 3 executors, K=3", taken.wall, "s", "its 7 calls in a row", path, "lower", 1.05),
        Line(part, "the same", taken.wall, "s", f"all {taken.calls:g} calls in a row", taken.calls * LATENCY, "lower"),
    ]


def throughput(sizes: tuple[int, ...] = (64, 512)) -> list[Line]:
    """Time of many problems in flight, K = 3, against the ideal for this concurrency and against simpler programs."""
    lines = []
    with server(LATENCY) as url:
        _ours(url, 8)  # warm-up: imports, connections, judge
        for problems in sizes:
            ideal = max(problems * CALLS * LATENCY / IN_FLIGHT, DEPTH * LATENCY)
            wall = _ours(url, problems)
            what = f"{problems} problems, K=3, {IN_FLIGHT} calls in flight"
            lines.append(Line("throughput", what, wall, "s", "ideal", ideal, "lower", 1.15))
            threads = _timed(partial(_threads, url, problems))
            lines.append(Line("throughput", "the same", wall, "s", "a thread for each call", threads, "lower"))
        one_by_one = _timed(partial(_one_by_one, url, ONE_BY_ONE)) / ONE_BY_ONE
        what = f"a problem, of {problems} in flight"
        lines.append(Line("throughput", what, wall / problems, "s", "its calls one by one", one_by_one, "lower"))
    return lines


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ours(url: str, problems: int) -> float:
    """Seconds for our environments, all on one event loop."""
    settings = {"concurrency": IN_FLIGHT, "cache": False}

    async def one(number: int) -> None:
        problem = Problem(f"What is {number} + {number}?", str(2 * number), str(number))
        env = parallel_env([problem], llm=url, n_agents=AGENTS, embedder="hash", config={"llm": settings})
        await env.areset(seed=0)
        for round_ in range(ROUNDS):
            actions = {agent: np.array([0.5 + 0.1 * round_, 1.1], np.float32) for agent in env.agents}
            await env.adeliberate(actions)
        await env.astep(actions)

    async def everything() -> None:
        await asyncio.gather(*(one(number) for number in range(problems)))

    return _timed(partial(asyncio.run, everything()))


def _ask(client: openai.OpenAI, text: str, temperature: float) -> str:
    reply = client.chat.completions.create(
        model="test-model", messages=[{"role": "user", "content": text}], temperature=temperature, max_tokens=64
    )
    return reply.choices[0].message.content or ""


def _one_by_one(url: str, problems: int) -> None:
    """A plain loop over problems, rounds and executors, like a first version of such a program."""
    client = openai.OpenAI(base_url=url, api_key="none")
    for number in range(problems):
        plan = _ask(client, f"Plan for: what is {number} + {number}?", 0.3)
        for round_ in range(ROUNDS):
            replies = [_ask(client, plan, 0.5 + 0.1 * round_) for _ in range(AGENTS)]
            _ask(client, "\n".join(replies), 0.3)


def _threads(url: str, problems: int) -> None:
    """The same calls in a thread pool; each problem waits in its own thread."""
    client = openai.OpenAI(base_url=url, api_key="none")
    with ThreadPoolExecutor(IN_FLIGHT) as calls, ThreadPoolExecutor(problems) as waiting:

        def one(number: int) -> None:
            plan = calls.submit(_ask, client, f"Plan for: what is {number} + {number}?", 0.3).result()
            for round_ in range(ROUNDS):
                asked = [calls.submit(_ask, client, plan, 0.5 + 0.1 * round_) for _ in range(AGENTS)]
                calls.submit(_ask, client, "\n".join(call.result() for call in asked), 0.3).result()

        for done in [waiting.submit(one, number) for number in range(problems)]:
            done.result()
