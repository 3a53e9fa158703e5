"""Test episodes: each problem played once at refined controls, many at a time, results handed out as they come.

Axes: N agents, D observation, A controls of one agent, K rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from pettingzoo import ParallelEnv
from torch import Tensor

from econ_agents.concurrency import LoopThread, all_or_none, torch_threads
from econ_agents.config import BneConfig
from econ_agents.equilibrium import Acts, EquilibriumConfig, Game, Outcome, Refiner, Refines, StopReason
from econ_agents.errors import ConfigError
from econ_agents.joint_env import Array, JointEnv, as_joint


@runtime_checkable
class Seeded(Protocol):
    """A policy that draws random numbers, and so must be told each episode's seed to be reproducible."""

    def seeded(self, seed: int) -> Acts:
        """The same policy for one episode, drawing from this seed."""


@dataclass(frozen=True)
class Consultation:
    """The rounds of one decision, in plain values; nothing is submitted yet."""

    profiles: list[list[list[float]]]
    """Controls of each round played, [K][N][A], in the environment's units; the last are to be submitted."""
    answers: list[str | None]
    """The commitment's answer after each round; empty if the environment does not deliberate."""
    stop_reason: StopReason
    """Why refinement ended."""
    residuals: list[float]
    """Largest move of a control, in [-1, 1] units, that each response asked for."""
    gap_before: list[float] | None
    """What each agent could gain on its own from the first profile, by the policy's own game; None if not measured."""
    gap_after: list[float] | None
    """The same for the last profile, in the same game; None if not measured."""

    @property
    def rounds(self) -> int:
        """How many rounds were played."""
        return len(self.profiles)


@dataclass(frozen=True)
class DecisionResult(Consultation):
    """One decision of an episode, in plain values: its rounds, of which the last was submitted, and what it paid."""

    reward: float
    """What the team was paid."""
    agent_rewards: list[float]
    """What each agent was paid."""
    numbers: dict[str, Any]
    """The joint info of the step: floats, and lists with a value per agent."""


@dataclass(frozen=True)
class EpisodeResult:
    """One problem from reset to end."""

    problem: int
    """Index of the problem."""
    seed: int
    """Seed of the episode, derived from the run's seed and the index."""
    decisions: list[DecisionResult]
    """What was decided, in order; incomplete if there was an error."""
    error: str | None = None
    """Why the episode could not be finished."""
    seconds: float = field(default=0.0, compare=False)
    """Wall time."""

    @property
    def failed(self) -> bool:
        """Whether it ended in an error, or a decision in which nothing valid came back."""
        return self.error is not None or any(decision.numbers.get("failed", 0.0) > 0 for decision in self.decisions)

    @property
    def reward(self) -> float:
        """What the team was paid in all."""
        return sum(decision.reward for decision in self.decisions)


@dataclass(frozen=True)
class Trial:
    """What is the same for all episodes of a test; can be pickled if its policy can."""

    policy: Acts
    """Chooses controls."""
    config: EquilibriumConfig
    """Rounds, responses and stop rules."""
    gaps: bool
    """Whether best-response gaps are measured."""
    recoverable: tuple[type[Exception], ...]
    """Errors that end their episode only."""

    async def play(self, env: JointEnv, problem: int, seed: int) -> EpisodeResult:
        """One episode; an error that is not recoverable goes on."""
        policy = self.policy.seeded(seed) if isinstance(self.policy, Seeded) else self.policy
        decisions: list[DecisionResult] = []
        error = None
        start = time.perf_counter()
        try:
            obs_ND, _ = await env.areset(seed=seed, options={"problem": problem})
            ended = False
            while not ended:
                decision, obs_ND, ended = await _decide(self, policy, env, obs_ND)
                decisions.append(decision)
        except self.recoverable as raised:
            error = f"{type(raised).__name__}: {raised}"
        return EpisodeResult(problem, seed, decisions, error, time.perf_counter() - start)


@runtime_checkable
class PlaysEpisodes(Protocol):
    """An environment that plays whole test episodes itself, since it stands for one in another process."""

    async def play(self, trial: Trial, problem: int, seed: int) -> tuple[EpisodeResult, Any]:
        """One episode, and what is told of it beside its result."""


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

    Each episode has a seed of its own, derived from `seed` and its index, so that its result depends neither on the
    order nor on the concurrency. Environments without coroutine twins are played one after another.

    Args:
        policy: Chooses controls; for more than one round it must also have `game`. One that draws random numbers offers
            `seeded`.
        make_env: Makes a parallel environment (or a joint one); called at most `concurrency` times, closed at the end.
        problems: Indices, given to the environment as `reset(options={"problem": index})`.
        rounds: K per decision; 1 means no refinement. Takes the place of `config.max_rounds`. Where the environment
            does not deliberate, the K - 1 responses are made within the policy's own game.
        concurrency: Episodes in flight at once.
        seed: Of the run, >= 0.
        config: Responses and stop rules.
        gaps: Whether to measure best-response gaps (two more best responses per decision).
        on_episode: Called with each result as it comes, in the order of completion, and with the parallel environment
            while it still shows that episode; where that is in a worker (`econ_agents.workers`), with what its site
            reports. What it raises ends the run.
        recoverable: Errors that end their episode only; it is recorded with its reason.

    Returns:
        One result per problem, in the order of `problems`.

    Raises:
        ConfigError: `rounds` or `concurrency` is below 1, or several rounds are asked of a policy that has no `game`.
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
        policy: As in `evaluate`, as are all that follow.
        make_env: As in `evaluate`.
        problems: Taken one by one as there is room.
        on_episode: Called with each result as it comes, and with the parallel environment that still shows it.
        rounds: K per decision.
        concurrency: Episodes in flight at once.
        seed: Of the run, >= 0.
        config: Responses and stop rules.
        gaps: Whether to measure best-response gaps.
        recoverable: Errors that end their episode only.

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
        env: Shows the finished episode afterwards.
        problem: Index, given to the environment.
        seed: Of the episode, >= 0.
        rounds: K per decision.
        config: As in `evaluate`, as are the rest.
        gaps: Whether to measure best-response gaps.
        recoverable: Errors that end the episode only.

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
    """Start an episode and play the rounds of its first decision; nothing is submitted, so no answer need be known.

    Args:
        policy: As in `evaluate`; a network should be in eval mode.
        env: Stands where the next call would be `astep`.
        problem: Index, given to the environment.
        seed: Of the episode, >= 0.
        rounds: K.
        config: As in `evaluate`.
        gaps: As in `evaluate`.

    Raises:
        ConfigError: As `evaluate`.
    """
    trial = _trial(policy, rounds, config, gaps, ())
    obs_ND, _ = await env.areset(seed=seed, options={"problem": problem})
    return await _consult(trial, policy.seeded(seed) if isinstance(policy, Seeded) else policy, env, obs_ND)


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
        raise ConfigError(f"{type(policy).__name__} has no game() to refine its controls by: use rounds=1")
    config = (config or BneConfig().equilibrium()).model_copy(update={"max_rounds": rounds})
    return Trial(policy, config, gaps and hasattr(policy, "game"), recoverable)


def _evaluate(
    trial: Trial,
    make_env: Callable[[], Any],
    problems: Iterable[int],
    concurrency: int,
    seed: int,
    on_result: Callable[[int, EpisodeResult, Any], None],
) -> None:
    """Play all problems; `on_result` also gets the problem's place."""
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


async def _decide(trial: Trial, policy: Acts, env: JointEnv, obs_ND: Array) -> tuple[DecisionResult, Array, bool]:
    """K rounds, then the submission."""
    done = await _consult(trial, policy, env, obs_ND)
    obs_ND, reward, terminated, truncated, info = await env.astep(np.asarray(done.profiles[-1], np.float32).ravel())
    decision = DecisionResult(
        **vars(done),
        reward=reward,
        agent_rewards=info["agent_rewards"].tolist(),
        numbers={name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in info.items()},
    )
    return decision, obs_ND, terminated or truncated


async def _consult(trial: Trial, policy: Acts, env: JointEnv, obs_ND: Array) -> Consultation:
    """K rounds of one decision."""
    refiner = Refiner(_propose(policy, obs_ND), trial.config)
    answers: list[str | None] = []
    while refiner.active:
        outcome: Outcome | None = None
        if env.can_deliberate:
            obs_ND, _ = await env.adeliberate(_action(env, refiner.profile_BNA))
            outcome = env.last_outcome
            answers.append(None if outcome is None else outcome.answer)
        refiner.observe([outcome])
        if refiner.active:
            refiner.respond(_game(policy, obs_ND))
    result = refiner.result(_game(policy, obs_ND)) if trial.gaps else None
    played = [_action(env, profile_BNA) for profile_BNA in refiner.trajectory[: refiner.rounds[0]]]
    (reason,) = refiner.stop_reasons
    assert reason is not None
    return Consultation(
        profiles=[action.reshape(env.team.n_agents, -1).tolist() for action in played],
        answers=answers,
        stop_reason=reason,
        residuals=list(refiner.residuals[0]),
        gap_before=None if result is None else result.before.gain_BN[0].tolist(),
        gap_after=None if result is None else result.after.gain_BN[0].tolist(),
    )


@torch.no_grad()
def _propose(policy: Acts, obs_ND: Array) -> Tensor:
    return policy.propose(torch.as_tensor(obs_ND)[None])


@torch.no_grad()
def _game(policy: Acts, obs_ND: Array) -> Game:
    return cast(Refines, policy).game(torch.as_tensor(obs_ND)[None])


def _action(env: JointEnv, profile_1NA: Tensor) -> Array:
    return env.to_env(profile_1NA[0].cpu().numpy())
