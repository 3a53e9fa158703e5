"""Plays test episodes: each problem once with refined controls, many at a time; reports each result when ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from pettingzoo import ParallelEnv

from econ_agents.concurrency import LoopThread, all_or_none, torch_threads
from econ_agents.config import BneConfig
from econ_agents.equilibrium import Acts, EquilibriumConfig
from econ_agents.errors import ConfigError
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.policy import EconPolicy
from econ_agents.trial import Consultation, EpisodeResult, Trial


@runtime_checkable
class PlaysEpisodes(Protocol):
    """An environment that plays whole test episodes itself, since it represents one in another process."""

    async def play(self, trial: Trial, problem: int, seed: int) -> tuple[EpisodeResult, Any]:
        """Play one episode; return its result and the site's report on it."""


def evaluate(
    policy: Acts,
    make_env: Callable[[], ParallelEnv[str, Any, Any] | JointEnv],
    problems: Sequence[int],
    *,
    rounds: int = 3,
    concurrency: int = 8,
    seed: int = 0,
    config: EquilibriumConfig | None = None,
    gaps: bool = True,
    on_episode: Callable[[EpisodeResult, Any], None] | None = None,
    recoverable: tuple[type[Exception], ...] = (),
) -> list[EpisodeResult]:
    """Play one episode per problem.

    Each episode has its own seed, derived from `seed` and the index of its problem, so that its result depends neither
    on the order nor on the concurrency. Environments without async methods are played one after another.

    Args:
        policy: Chooses controls; for more than one round it must also have `game`. One that draws random numbers should
            have `seeded`.
        make_env: Makes a parallel environment (or a joint one); called at most `concurrency` times, closed at the end.
        problems: Indices, given to the environment as `reset(options={"problem": index})`.
        rounds: K per decision; 1 means no refinement. Replaces `config.max_rounds`. If the environment has no
            `deliberate`, the K - 1 responses are made in the policy's own game.
        concurrency: Largest number of episodes at the same time.
        seed: Seed of the run, >= 0.
        config: Responses and stop rules; by default those that the policy was trained with, if known.
        gaps: Whether to measure best-response gaps (two more best responses per decision).
        on_episode: Called with each result in the order of completion, and with the parallel environment, which still
            shows that episode; for a worker's environment (`econ_agents.workers`), with the site's report instead. An
            error that it raises ends the test.
        recoverable: Errors that end only their episode; its result holds the reason.

    Returns:
        One result per problem, in the order of `problems`.

    Raises:
        ConfigError: `rounds` or `concurrency` is below 1, or `rounds` is above 1 and the policy has no `game`.
    """
    results: dict[int, EpisodeResult] = {}

    def keep(place: int, result: EpisodeResult, env: Any) -> None:
        results[place] = result
        if on_episode is not None:
            on_episode(result, env)

    trial = _trial(policy, rounds, config, gaps, recoverable)
    _evaluate(trial, make_env, problems, concurrency, seed, keep)
    return [results[place] for place in range(len(problems))]


def evaluate_each(
    policy: Acts,
    make_env: Callable[[], ParallelEnv[str, Any, Any] | JointEnv],
    problems: Iterable[int],
    on_episode: Callable[[EpisodeResult, Any], None],
    *,
    rounds: int = 3,
    concurrency: int = 8,
    seed: int = 0,
    config: EquilibriumConfig | None = None,
    gaps: bool = True,
    recoverable: tuple[type[Exception], ...] = (),
) -> None:
    """As `evaluate`, but keep nothing: memory does not grow with the number of problems.

    Args:
        policy: As in `evaluate`, like all other arguments.
        make_env: As in `evaluate`.
        problems: Taken one by one when an environment is free.
        on_episode: Called with each result when ready, and with the parallel environment that still shows it.
        rounds: K per decision.
        concurrency: Largest number of episodes at the same time.
        seed: Seed of the run, >= 0.
        config: Responses and stop rules.
        gaps: Whether to measure best-response gaps.
        recoverable: Errors that end only their episode.

    Raises:
        ConfigError: As `evaluate`.
    """
    trial = _trial(policy, rounds, config, gaps, recoverable)
    _evaluate(trial, make_env, problems, concurrency, seed, lambda _, result, env: on_episode(result, env))


async def play(
    policy: Acts,
    env: JointEnv,
    problem: int,
    *,
    seed: int,
    rounds: int = 1,
    config: EquilibriumConfig | None = None,
    gaps: bool = True,
    recoverable: tuple[type[Exception], ...] = (),
) -> EpisodeResult:
    """Play one episode on the caller's event loop; `evaluate` plays many.

    Args:
        policy: As in `evaluate`; a network should be in eval mode.
        env: Joint environment; shows the finished episode afterwards.
        problem: Index, given to the environment.
        seed: Seed of the episode, >= 0.
        rounds: K per decision.
        config: As in `evaluate`, like the arguments below.
        gaps: Whether to measure best-response gaps.
        recoverable: Errors that end only the episode.

    Raises:
        ConfigError: As `evaluate`.
    """
    return await _trial(policy, rounds, config, gaps, recoverable).play(env, problem, seed)


async def consult(
    policy: Acts,
    env: JointEnv,
    problem: int,
    *,
    seed: int,
    rounds: int = 1,
    config: EquilibriumConfig | None = None,
    gaps: bool = True,
) -> Consultation:
    """Play the rounds of an episode's first decision; nothing is submitted, so no gold answer is needed.

    Args:
        policy: As in `evaluate`; a network should be in eval mode.
        env: Joint environment; the next call would be `astep`.
        problem: Index, given to the environment.
        seed: Seed of the episode, >= 0.
        rounds: K.
        config: As in `evaluate`.
        gaps: As in `evaluate`.

    Raises:
        ConfigError: As `evaluate`.
    """
    return await _trial(policy, rounds, config, gaps, ()).consult(env, problem, seed)


def _trial(
    policy: Acts,
    rounds: int,
    config: EquilibriumConfig | None,
    gaps: bool,
    recoverable: tuple[type[Exception], ...],
) -> Trial:
    if rounds < 1:
        raise ConfigError(f"rounds must be at least 1, got {rounds}")
    if rounds > 1 and not hasattr(policy, "game"):
        raise ConfigError(f"{type(policy).__name__} has no game(), which refinement needs; use rounds=1")
    if config is None:
        own = policy.config.bne if isinstance(policy, EconPolicy) else BneConfig()
        config = own.equilibrium()
    config = config.model_copy(update={"max_rounds": rounds})
    return Trial(policy, config, gaps and hasattr(policy, "game"), recoverable)


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
    network = trial.policy if isinstance(trial.policy, torch.nn.Module) else torch.nn.Module()
    training = network.training
    network.eval()
    try:
        with torch_threads(1), LoopThread() as loop:
            loop.run(_play_all(trial, make_env, problems, concurrency, seed, on_result))
    finally:
        network.train(training)


async def _play_all(
    trial: Trial,
    make_env: Callable[[], Any],
    problems: Iterable[int],
    concurrency: int,
    seed: int,
    on_result: Callable[[int, EpisodeResult, Any], None],
) -> None:
    envs: list[JointEnv] = []
    todo = iter(enumerate(problems))

    async def worker() -> None:
        env = None
        for place, problem in todo:
            if env is None:
                env = as_joint(make_env())
                envs.append(env)
            own_seed = int(np.random.SeedSequence([seed, problem]).generate_state(1)[0])
            if isinstance(env, PlaysEpisodes):
                result, shown = await env.play(trial, problem, own_seed)
            else:
                result, shown = await trial.play(env, problem, own_seed), env.parallel_env
            on_result(place, result, shown)

    try:
        await all_or_none(worker() for _ in range(concurrency))
    finally:
        for env in envs:
            env.close()
