"""Measures the embedded model through our client against plain HTTP, and its prompt cache."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import numpy as np

from benchmarks.speed.lines import Line, in_turns
from econ_env import parallel_env
from econ_env.config import LLMConfig
from econ_env.llm import ChatRequest, Message, background, make_llm
from econ_env.problems import load_problems
from econ_env.testing import running_engine

IN_FLIGHT = (1, 4, 8, 16)
WRITTEN = 32
"""Tokens of an answer."""
REPEATS = 11
"""Repeats of each measurement: the engine's speed over a few seconds varies by a tenth."""
TEAM_PROBLEMS = 4
SETTINGS = LLMConfig(
    local_slots=max(IN_FLIGHT), local_context=512, concurrency=max(IN_FLIGHT), cache=False, timeout=600
)


def engine() -> list[Line]:
    """Tokens per second at several numbers of requests in flight, and the share of prompt tokens found in the cache."""
    with running_engine(SETTINGS) as (model, url):
        lines = []
        for in_flight in IN_FLIGHT:
            prompts = [f"Count to {number + 20}, in words." for number in range(max(4, in_flight))]
            ours, plain = in_turns(
                [lambda p=prompts, n=in_flight: _through_client(p, n),
                 lambda p=prompts, n=in_flight: _plainly(url, p, n)],
                repeats=REPEATS,
            )  # fmt: skip
            what = f"{model}, {in_flight} in flight"
            lines.append(Line("embedded model", what, ours, "tokens/s", "plain HTTP", plain, "higher", 0.95))
        return [*lines, _cached()]


def _through_client(prompts: list[str], in_flight: int) -> float:
    llm = make_llm("local", SETTINGS)
    waiting = iter(enumerate(prompts))

    async def worker() -> int:
        tokens = 0
        for number, prompt in waiting:
            request = ChatRequest(
                messages=(Message("user", prompt),), model="", temperature=0.7, repetition_penalty=1.1, top_p=0.95,
                max_tokens=WRITTEN, seed=number,
            )  # fmt: skip
            tokens += (await llm.complete(request)).usage.completion_tokens
        return tokens

    async def everything() -> int:
        return sum(await asyncio.gather(*(worker() for _ in range(in_flight))))

    start = time.perf_counter()
    return background.run(everything()) / (time.perf_counter() - start)


def _plainly(url: str, prompts: list[str], in_flight: int) -> float:
    waiting = iter(enumerate(prompts))

    async def worker(client: aiohttp.ClientSession) -> int:
        tokens = 0
        for number, prompt in waiting:
            body: dict[str, Any] = {
                "messages": [{"role": "user", "content": prompt}], "temperature": 0.7, "repeat_penalty": 1.1,
                "top_p": 0.95, "max_tokens": WRITTEN, "seed": number,
            }  # fmt: skip
            async with client.post(f"{url}/chat/completions", json=body) as reply:
                reply.raise_for_status()
                tokens += (await reply.json())["usage"]["completion_tokens"]
        return tokens

    async def everything() -> int:
        async with aiohttp.ClientSession() as client:
            return sum(await asyncio.gather(*(worker(client) for _ in range(in_flight))))

    start = time.perf_counter()
    return asyncio.run(everything()) / (time.perf_counter() - start)


def _cached() -> Line:
    """Prompt tokens of a team found in the engine's cache; prompts share instructions and question at the start."""
    problems = list(load_problems("bundled:2", limit=TEAM_PROBLEMS))
    config = {"llm": SETTINGS.model_copy(update={"local_slots": 4, "local_context": 2048}), "reply_max_tokens": 32,
              "commitment_max_tokens": 32}  # fmt: skip
    env = parallel_env(problems, llm="local", embedder="hash",
                       config=config)  # fmt: skip
    read = cached = 0
    for number in range(len(problems)):
        env.reset(seed=0, options={"problem": number})
        actions = dict.fromkeys(env.agents, np.array([0.5, 1.1], np.float32))
        for _ in range(3):
            env.deliberate(actions)
        env.step(actions)
        usage = env.episode.usage
        read, cached = read + usage.prompt_tokens, cached + usage.cached_prompt_tokens
    env.close()
    what = f"prompt tokens from the cache, {TEAM_PROBLEMS} problems, K=3"
    return Line("embedded model", what, cached, "tokens", "all prompt tokens", read, "higher")
