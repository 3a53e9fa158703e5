"""Plays test episodes: each problem once with refined controls, many at a time; reports each result when ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from pettingzoo import ParallelEnv

from econ_agents.concurrency import LoopThread, all_or_none, torch_threads
from econ_agents.errors import ConfigError
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.trial import EpisodeResult, Trial


@runtime_checkable
class PlaysEpisodes(Protocol):
    """An environment that plays whole test episodes itself, since it represents one in another process."""

    async def play(self, trial: Trial, problem: int, seed: int) -> tuple[EpisodeResult, Any]:
        """Play one episode; return its result and the site's report on it."""


def evaluate(
    trial: Trial,
    make_env: Callable[[], ParallelEnv[str, Any, Any] | JointEnv],
    problems: Sequence[int],
    *,
    concurrency: int = 8,
    seed: int = 0,
    on_episode: Callable[[EpisodeResult, Any], None] | None = None,
) -> list[EpisodeResult]:
    """Play one episode per problem.

    Each episode has its own seed, derived from `seed` and the index of its problem, so that its result depends neither
    on the order nor on the concurrency. Environments without async methods are played one after another.

    Examples:
        >>> results = evaluate(Trial(policy, rounds=3), make_env, range(100))

    Args:
        trial: The policy, and how its decisions are refined.
        make_env: Makes a parallel environment (or a joint one); called at most `concurrency` times, closed at the end.
        problems: Indices, given to the environment as `reset(options={"problem": index})`.
        concurrency: Largest number of episodes at the same time.
        seed: Seed of the run, >= 0.
        on_episode: Called with each result in the order of completion, and with the parallel environment, which still
            shows that episode; for a worker's environment (`econ_agents.workers`), with the site's report instead. An
            error that it raises ends the test.

    Returns:
        One result per problem, in the order of `problems`.

    Raises:
        ConfigError: `concurrency` is below 1.
    """
    results: dict[int, EpisodeResult] = {}

    def keep(place: int, result: EpisodeResult, env: Any) -> None:
        results[place] = result
        if on_episode is not None:
            on_episode(result, env)

    _evaluate(trial, make_env, problems, concurrency, seed, keep)
    return [results[place] for place in range(len(problems))]


def evaluate_each(
    trial: Trial,
    make_env: Callable[[], ParallelEnv[str, Any, Any] | JointEnv],
    problems: Iterable[int],
    on_episode: Callable[[EpisodeResult, Any], None],
    *,
    concurrency: int = 8,
    seed: int = 0,
) -> None:
    """As `evaluate`, but keep nothing: memory does not grow with the number of problems.

    Args:
        trial: As in `evaluate`, like the other arguments.
        make_env: As in `evaluate`.
        problems: Taken one by one when an environment is free.
        on_episode: Called with each result when ready, and with the parallel environment that still shows it.
        concurrency: Largest number of episodes at the same time.
        seed: Seed of the run, >= 0.

    Raises:
        ConfigError: As `evaluate`.
    """
    _evaluate(trial, make_env, problems, concurrency, seed, lambda _, result, env: on_episode(result, env))


def _evaluate(
    trial: Trial,
    make_env: Callable[[], Any],
    problems: Iterable[int],
    concurrency: int,
    seed: int,
    on_result: Callable[[int, EpisodeResult, Any], None],
) -> None:
    """Play all problems; `on_result` also gets the problem's position."""
    if concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, got {concurrency}")
    todo = iter(enumerate(problems))
    start = next(todo, None)
    if start is None:
        return
    network = trial.policy if isinstance(trial.policy, torch.nn.Module) else torch.nn.Module()
    training = network.training
    network.eval()
    first = as_joint(make_env())
    try:
        with torch_threads(1), ExitStack() as stack:
            helper = stack.enter_context(ThreadPoolExecutor(1, "econ-agents-helper"))
            run = first.run_coroutine
            if run is None:
                run = stack.enter_context(LoopThread()).run
            run(_play_all(trial, first, make_env, chain([start], todo), concurrency, seed, on_result, helper))
    finally:
        network.train(training)


async def _play_all(
    trial: Trial,
    first: JointEnv,
    make_env: Callable[[], Any],
    todo: Iterator[tuple[int, int]],
    concurrency: int,
    seed: int,
    on_result: Callable[[int, EpisodeResult, Any], None],
    helper: ThreadPoolExecutor,
) -> None:
    """Play each (place, problem) on this loop; the helper's thread, which may block, makes environments and reports."""
    loop = asyncio.get_running_loop()
    envs, idle = [first], [first]
    together = trial.together()

    async def worker() -> None:
        env = idle.pop() if idle else None
        for place, problem in todo:
            if env is None:
                env = as_joint(await loop.run_in_executor(helper, make_env))
                envs.append(env)
            own_seed = int(np.random.SeedSequence([seed, problem]).generate_state(1)[0])
            if isinstance(env, PlaysEpisodes):
                result, shown = await env.play(trial, problem, own_seed)
            else:
                result, shown = await trial.play(env, problem, own_seed, together), env.parallel_env
            await loop.run_in_executor(helper, on_result, place, result, shown)

    try:
        await all_or_none(worker() for _ in range(concurrency))
    finally:
        together.close()
        for env in envs:
            env.close()
