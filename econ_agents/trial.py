"""Plays one test episode: reset, rounds and a submission for each decision; returns plain values.

Axes: N agents, D observation, A controls of one agent, K rounds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from econ_agents.config import BneConfig
from econ_agents.equilibrium import Acts, EquilibriumConfig, Hears, Outcome, Refiner, StopReason
from econ_agents.errors import ConfigError
from econ_agents.joint_env import Array, JointEnv, WaveEnv
from econ_agents.passes import Kind
from econ_agents.policy import EconPolicy
from econ_agents.together import Together


@runtime_checkable
class Seeded(Protocol):
    """A policy that draws random numbers; it needs each episode's seed to be reproducible."""

    def seeded(self, seed: int) -> Acts:
        """The same policy for one episode, drawing from this seed."""


@dataclass(frozen=True)
class Expected:
    """What the policy told before a round; None where nothing was expected."""

    right: list[float | None]
    """How likely each agent's standing reply is right, in [0, 1]; without meaning for an agent that has none."""
    gain: list[float | None]
    """What the team would gain if this agent alone spoke next, less the price of its call."""


@dataclass(frozen=True)
class Consultation:
    """The rounds of one decision, in plain values; nothing is submitted yet."""

    profiles: list[list[list[float]]]
    """Controls of each round played, [K, N, A], in the environment's units; the last ones are to be submitted."""
    answers: list[str | None]
    """The commitment's answer after each round; empty if the environment does not deliberate."""
    stop_reason: StopReason
    """Why refinement ended."""
    residuals: list[float]
    """Largest move of a control, in [-1, 1] units, that each response proposed."""
    gap_before: list[float] | None
    """Gain of each agent's best deviation from the first profile, in the policy's own game; None if not measured."""
    gap_after: list[float] | None
    """The same for the last profile, in the same game; None if not measured."""
    expected: list[Expected] | None
    """What was expected before each round, where executors may stay silent and the policy tells; else None. Where a
    round is a step, it is what was expected before the step; before a submission, of the replies that it counts."""

    @property
    def rounds(self) -> int:
        """How many rounds were played."""
        return len(self.profiles)


@dataclass(frozen=True)
class DecisionResult(Consultation):
    """One decision of an episode, in plain values: its rounds, the last of which was submitted, and its rewards."""

    reward: float
    """Reward of the team."""
    agent_rewards: list[float]
    """Reward of each agent."""
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
    """The decisions in order; incomplete if there was an error."""
    error: str | None = None
    """Why the episode could not be finished; None if it was."""
    seconds: float = field(default=0.0, compare=False)
    """Wall time."""

    @property
    def failed(self) -> bool:
        """Whether it ended in an error, or a decision got no valid reply."""
        return self.error is not None or any(decision.numbers.get("failed", 0.0) > 0 for decision in self.decisions)

    @property
    def reward(self) -> float:
        """Total reward of the team."""
        return sum(decision.reward for decision in self.decisions)

    @property
    def believed(self) -> list[float | None] | None:
        """How likely each reply was believed right when the team stopped, as `Expected.right`; None if untold."""
        told = self.decisions[-1].expected if self.decisions else None
        return None if told is None else told[-1].right


@dataclass(frozen=True)
class Trial:
    """A policy and how its decisions are refined, the same for all episodes of a test; pickled if the policy can be.

    Raises:
        ConfigError: `rounds` is below 1, or above 1 and the policy has no `game`.
    """

    policy: Acts
    """Chooses controls; for more than one round it must also have `game`. One that draws random numbers should have
    `seeded`. A network should be in eval mode."""
    _: KW_ONLY
    rounds: int = 3
    """K per decision; 1 means no refinement. If the environment has no `deliberate`, the K - 1 responses are made in
    the policy's own game."""
    config: EquilibriumConfig | None = None
    """Responses and stop rules; by default those that the policy was trained with, if known."""
    gaps: bool = True
    """Whether to measure best-response gaps (two more best responses per decision), if the policy has a `game`."""
    recoverable: tuple[type[Exception], ...] = ()
    """Errors that end only their episode; its result holds the reason."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError(f"rounds must be at least 1, got {self.rounds}")
        if self.rounds > 1 and not hasattr(self.policy, "game"):
            raise ConfigError(f"{type(self.policy).__name__} has no game(), which refinement needs; use rounds=1")

    @property
    def equilibrium(self) -> EquilibriumConfig:
        """The responses and stop rules that hold."""
        if self.config is not None:
            return self.config
        return self.policy.config.bne if isinstance(self.policy, EconPolicy) else BneConfig()

    @property
    def measures_gaps(self) -> bool:
        """Whether gaps are measured."""
        return self.gaps and hasattr(self.policy, "game")

    def together(self) -> Together:
        """What computes for all episodes in flight of a process, on one event loop."""
        return Together(self.policy, self.equilibrium)

    async def play(self, env: JointEnv, problem: int, seed: int, together: Together) -> EpisodeResult:
        """Play one episode on the caller's event loop; `evaluate` plays many.

        Args:
            env: Joint environment; shows the finished episode afterwards.
            problem: Index, given to the environment.
            seed: Seed of the episode, >= 0.
            together: Shared by all episodes in flight.

        Raises:
            Exception: An error that is not among `recoverable`.
        """
        policy = self._policy(seed, together, env)
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

    async def consult(self, env: JointEnv, problem: int, seed: int, together: Together) -> Consultation:
        """Play the rounds of an episode's first decision; nothing is submitted, so no gold answer is needed.

        Args:
            env: Joint environment; the next call would be `astep`.
            problem: Index, given to the environment.
            seed: Seed of the episode, >= 0.
            together: Shared by all episodes in flight.
        """
        policy = self._policy(seed, together, env)
        obs_ND, _ = await env.areset(seed=seed, options={"problem": problem})
        if isinstance(env, WaveEnv):
            return await _hear(policy, env, obs_ND, told=self.tells(env))
        return await _consult(self, policy, env, obs_ND)

    def _policy(self, seed: int, together: Together, env: JointEnv) -> Together:
        """What decides in an episode that starts in this environment now."""
        if isinstance(self.policy, Seeded):  # it draws for this episode alone
            together = Together(self.policy.seeded(seed), self.equilibrium)
        self.prepare(together, env, "propose", "hear", "respond" if self.rounds > 1 else "gap")
        return together

    def tells(self, env: JointEnv) -> bool:
        """Whether the policy is asked what it expects: where executors may stay silent, if it tells."""
        return isinstance(env, WaveEnv) and isinstance(self.policy, Hears)

    def prepare(self, together: Together, env: JointEnv, *kinds: Kind) -> None:
        """Get ready for those of these kinds that this trial needs, while models are being waited for."""
        refines = not isinstance(env, WaveEnv)
        needed = {"propose": True, "hear": self.tells(env), "respond": refines and self.rounds > 1}
        needed |= dict.fromkeys(("gap", "gaps"), refines and self.measures_gaps)
        team = env.team
        together.prepare([kind for kind in kinds if needed[kind]], team.n_agents, team.obs_dim, team.action_dim)


async def _decide(trial: Trial, policy: Together, env: JointEnv, obs_ND: Array) -> tuple[DecisionResult, Array, bool]:
    """Play K rounds, then submit; where a round is a step, play that."""
    done = await _consult(trial, policy, env, obs_ND)
    obs_ND, reward, terminated, truncated, info = await env.astep(np.asarray(done.profiles[-1], np.float32).ravel())
    decision = DecisionResult(
        **vars(done),
        reward=reward,
        agent_rewards=info["agent_rewards"].tolist(),
        numbers={name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in info.items()},
    )
    return decision, obs_ND, terminated or truncated


async def _hear(policy: Together, env: WaveEnv, obs_ND: Array, *, told: bool) -> Consultation:
    """Let agents speak until nobody does."""
    profiles, answers, over = [], [], False
    expected: list[Expected] = []
    while not over:
        seen_1ND = torch.as_tensor(obs_ND)[None]
        if told:
            expected.append(await _told(policy, seen_1ND))
        action = _action(env, await policy.propose(seen_1ND))
        obs_ND, over = await env.ahear(action)
        outcome = env.last_outcome
        profiles.append(action.reshape(env.team.n_agents, -1).tolist())
        answers.append(None if outcome is None else outcome.answer)
    reason: StopReason = "silence" if len(profiles) <= env.most or env.everyone_spoke else "max_rounds"
    return Consultation(profiles, answers, reason, [], None, None, _known(expected))


async def _told(policy: Together, obs_1ND: Tensor) -> Expected:
    """What the policy tells at these observations."""
    right_1N, gain_1N = await policy.hear(obs_1ND)
    return Expected(_plain(right_1N[0]), _plain(gain_1N[0]))


def _plain(told_N: Tensor) -> list[float | None]:
    return [None if math.isnan(value) else value for value in told_N.tolist()]


def _known(told: Sequence[Expected]) -> list[Expected] | None:
    """What was told; None if that is nothing."""
    return list(told) if any(value is not None for one in told for value in (*one.right, *one.gain)) else None


async def _consult(trial: Trial, policy: Together, env: JointEnv, obs_ND: Array) -> Consultation:
    """Play K rounds of one decision; where a round is a step, choose the controls of the step."""
    told = [await _told(policy, torch.as_tensor(obs_ND)[None])] if trial.tells(env) else []
    refiner = Refiner(await policy.propose(torch.as_tensor(obs_ND)[None]), trial.equilibrium, trial.rounds)
    if trial.rounds > 1:
        trial.prepare(policy, env, "gaps")  # not sooner: the profile would wait for it
    answers: list[str | None] = []
    while refiner.active:
        outcome: Outcome | None = None
        if env.can_deliberate:
            obs_ND, _ = await env.adeliberate(_action(env, refiner.profile_BNA))
            outcome = env.last_outcome
            answers.append(None if outcome is None else outcome.answer)
        refiner.observe([outcome])
        if refiner.active:
            refiner.move(await policy.respond(torch.as_tensor(obs_ND)[None], refiner.trajectory))
    before = after = None
    if trial.measures_gaps:
        seen_1ND = torch.as_tensor(obs_ND)[None]
        before, after = await policy.gaps(seen_1ND, refiner.trajectory[0], refiner.profile_BNA)
    played = [_action(env, profile_BNA) for profile_BNA in refiner.trajectory[: refiner.rounds[0]]]
    (reason,) = refiner.stop_reasons
    assert reason is not None
    return Consultation(
        profiles=[action.reshape(env.team.n_agents, -1).tolist() for action in played],
        answers=answers,
        stop_reason=reason,
        residuals=list(refiner.residuals[0]),
        gap_before=None if before is None else before.gain_BN[0].tolist(),
        gap_after=None if after is None else after.gain_BN[0].tolist(),
        expected=_known(told),
    )


def _action(env: JointEnv, profile_1NA: Tensor) -> Array:
    return env.to_env(profile_1NA[0].cpu().numpy())
