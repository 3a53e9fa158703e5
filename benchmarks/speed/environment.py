"""Measures the environment with an instant model, and the embedding of texts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from benchmarks.speed.lines import Line, in_turns
from econ_env import EconParallelEnv, parallel_env
from econ_env.embedding import SentenceEmbedder, TextEncoder, make_embedder
from econ_env.llm import background
from econ_env.testing import ScriptedLLM

DECISIONS = 1_000
TEAMS = 64
AIM_PER_SECOND = 1_500.0
TEXTS = 768
"""Texts to embed; a quarter are repetitions."""
CALLERS = 64
"""Coroutines that request embeddings at the same time, like problems in flight."""


def overhead() -> list[Line]:
    """Decisions per second, n = 3: reset and step, one environment and many on one loop."""
    part, aim = "environment", "1,500 decisions/s"
    single, pinned, many = in_turns([_one_after_another, _on_one_core, _at_once], repeats=3)
    return [
        Line(part, "decisions, one environment", single, "1/s", aim, AIM_PER_SECOND, "higher", 1.0),
        Line(part, "the same, all threads on one core", pinned, "1/s", aim, AIM_PER_SECOND, "higher", 1.0),
        Line(part, f"decisions, {TEAMS} environments at once", many, "1/s", aim, AIM_PER_SECOND, "higher", 1.0),
    ]


def _team() -> EconParallelEnv:
    instant = ScriptedLLM(lambda request: "I add what is given. The answer is 4.")
    return parallel_env("bundled:1", llm=instant, embedder="hash", n_agents=3)


def _one_after_another() -> float:
    env = _team()
    actions = dict.fromkeys(env.possible_agents, np.array([0.7, 1.1], np.float32))
    env.reset(seed=0)
    start = time.perf_counter()
    for _ in range(DECISIONS):
        env.reset()
        env.step(actions)
    return DECISIONS / (time.perf_counter() - start)


def _on_one_core() -> float:
    """The same on one core: waking another core of an idle machine takes longer than the work itself."""
    with _one_core():
        return _one_after_another()


@contextmanager
def _one_core() -> Iterator[None]:
    """Move all current threads to one core; does nothing if the system can't (only Linux can)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = {thread: os.sched_getaffinity(thread) for thread in map(int, os.listdir("/proc/self/task"))}
    core = min(os.sched_getaffinity(0))
    for thread in before:
        os.sched_setaffinity(thread, {core})
    try:
        yield
    finally:
        for thread, cores in before.items():
            if Path(f"/proc/self/task/{thread}").exists():
                os.sched_setaffinity(thread, cores)


def _at_once() -> float:
    envs = [_team() for _ in range(TEAMS)]
    each = DECISIONS // TEAMS

    async def play(env: EconParallelEnv) -> None:
        actions = dict.fromkeys(env.possible_agents, np.array([0.7, 1.1], np.float32))
        for _ in range(each):
            await env.areset()
            await env.astep(actions)

    async def everything() -> None:
        await asyncio.gather(*(play(env) for env in envs))

    start = time.perf_counter()
    background.run(everything())
    return TEAMS * each / (time.perf_counter() - start)


def embedding() -> list[Line]:
    """Texts per second through the shared encoder, against one call of the model on the same texts."""
    embedder = make_embedder("minilm")
    assert isinstance(embedder, SentenceEmbedder)
    embedder.encode(["loaded"])
    raw = SentenceTransformer(embedder.source, device="cpu")
    distinct = [
        f"{number} apples and {number + 3} pears lie in basket {number % 7}. " * (1 + number % 4)
        for number in range(TEXTS * 3 // 4)
    ]
    texts = [distinct[number % len(distinct)] for number in range(TEXTS)]

    def through_encoder() -> float:
        encoder = TextEncoder(embedder)

        async def caller(number: int) -> None:
            for place in range(number, TEXTS, CALLERS):
                await encoder.aencode([texts[place]])

        async def everything() -> None:
            await asyncio.gather(*(caller(number) for number in range(CALLERS)))

        start = time.perf_counter()
        background.run(everything())
        return TEXTS / (time.perf_counter() - start)

    def plain() -> float:
        start = time.perf_counter()
        raw.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return TEXTS / (time.perf_counter() - start)

    ours, theirs = in_turns([through_encoder, plain], repeats=3)
    what = f"{TEXTS} texts of {CALLERS} callers, a quarter repeated"
    reference = "one SentenceTransformer.encode over all"
    return [Line("embedding", what, ours, "texts/s", reference, theirs, "higher", 0.9)]
