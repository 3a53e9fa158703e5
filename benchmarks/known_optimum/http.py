"""Trains on the known-optimum task over real HTTP: compares the curve with training in process, and measures time."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.known_optimum.runs import Result, learn, tasks
from benchmarks.known_optimum.variants import BY_NAME
from econ_agents.train import train
from econ_env import EconParallelEnv, parallel_env
from econ_env.simulation import KnownOptimum
from econ_env.testing import FaultyServer

LATENCY = 0.01
"""Seconds per call when the curve is compared."""
TIMED_LATENCY = 0.2
"""Seconds per call when wall time is measured."""
TIMED_EPISODES = 64
CALLS_IN_A_ROW = 3
"""Sequential calls of an episode: strategy, executors (in parallel), commitment."""


def over_http(task: KnownOptimum, url: str) -> EconParallelEnv:
    """A team that uses a server through the real client, without a cache."""
    settings = {"llm": {"cache": False, "concurrency": 128}}
    return parallel_env(task.problems, llm=url, embedder="hash", config=settings)


def run_http(seed: int, episodes: int, in_process: dict[str, Any]) -> dict[str, Any]:
    """Train over HTTP, compare with the same seed in process, and measure time for 1, 8 and 32 environments."""
    task = tasks(0.0)[0]
    variant = BY_NAME["default"]
    start = time.perf_counter()
    with FaultyServer(task.llm.serve_reply, latency=LATENCY) as server:
        result = Result(variant.name, seed, variant.key(seed, episodes))
        learn(partial(over_http, task, server.url), variant, seed, episodes, result)
        calls = server.seen.calls
    seconds = time.perf_counter() - start
    known = dict(zip(in_process["episodes"], in_process["share"], strict=True))
    same = result.share == [known[number] for number in result.episodes]
    envs = {}
    for n in (1, 8, 32):
        config = variant.config().model_copy(update={"num_envs": n})
        with FaultyServer(task.llm.serve_reply, latency=TIMED_LATENCY) as server:
            start = time.perf_counter()
            train(partial(over_http, task, server.url), config, episodes=TIMED_EPISODES, seed=seed)
            took = time.perf_counter() - start
            most = server.seen.most_in_flight
        waiting = TIMED_EPISODES * CALLS_IN_A_ROW * TIMED_LATENCY
        envs[str(n)] = {"seconds": took, "most_in_flight": most, "waiting": waiting}
    return {
        "seed": seed,
        "episodes": episodes,
        "same": same,
        "share": result.share,
        "calls": calls,
        "seconds": seconds,
        "latency": TIMED_LATENCY,
        "timed": TIMED_EPISODES,
        "envs": envs,
    }
