"""A joint view in which every round of a decision is a step: who speaks next is decided after each wave of replies.

It is the view of environments whose executors may stay silent (control `speak`). Axes: N agents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from econ_agents.joint_view import Array, Deliberates, Infos, JointEnv, JointTransition, Transition, deliberates
from econ_agents.team_spec import SPEAK

WAVE_NUMBERS = (
    "agreement", "failed", "rounds", "prompt_tokens", "completion_tokens", "thought_tokens", "calls", "team_answered",
)  # fmt: skip
"""Numbers of the team that are known after every wave."""


class Waves(Deliberates, Protocol):
    """A parallel environment whose executors may stay silent."""

    control_names: tuple[str, ...]

    @property
    def prospect(self) -> float:
        """Team reward that a `step` would pay now, without its price."""

    @property
    def price(self) -> float:
        """What a call, or another unit of `amounts`, costs, in reward."""

    @property
    def amounts(self) -> Sequence[float]:
        """What each agent's calls in the running decision came to so far, in calls or another unit."""

    @property
    def standing_right(self) -> Sequence[bool | None]:
        """Whether each agent's standing reply is right; None for an agent without one."""

    @property
    def standing_labels(self) -> Sequence[int]:
        """Numbers of the standing answers, equal for equal answers; -1 for none."""


def has_waves(env: object) -> TypeGuard[Waves]:
    """Whether an environment's executors may stay silent."""
    return deliberates(env) and hasattr(env, "control_names") and SPEAK in env.control_names


class WaveEnv(JointEnv):
    """A joint view with a step for each wave.

    A step in which an agent speaks plays a round; one in which nobody does submits what stands, with the weights of its
    action. The first step always plays a round. An agent speaks at most once in a decision: what it says later about
    speaking is ignored. After `most` rounds the next step submits.

    The rewards of a decision add up to the team reward. Each step pays by how much it changed the reward that would be
    paid now, less what its calls cost: a potential (Ng, Harada, Russell 1999, "Policy invariance under reward
    transformations"), so stopping is worth about 0 and a call about what it changes. All agents are paid alike.

    Infos hold `agent_rewards` [N], `correct` and `valid` [N] of the standing replies, `team_correct`, `team_reward` so
    far, `WAVE_NUMBERS`, and for a learner the parts `wave_*` (see `econ_agents.batches.Wave`).

    Args:
        env: The parallel environment.
        most: Most rounds of a decision; by default N.
    """

    def __init__(self, env: Any, most: int | None = None) -> None:
        super().__init__(env)
        self._waves: Waves = env
        self._speak = self.team.controls.index(SPEAK)
        self._silence = self.team.action_low[self._speak]
        self._speech = self.team.action_high[self._speak]
        self.most = self.team.n_agents if most is None else most
        self._begin()

    @property
    def can_deliberate(self) -> bool:
        """Never: rounds are steps here."""
        return False

    @property
    def everyone_spoke(self) -> bool:
        """Whether every agent has spoken in the running decision."""
        return bool(self._asked_N.all())

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """As in `JointEnv`."""
        self._begin()
        return super().reset(seed=seed, options=options)

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Async `reset`."""
        self._begin()
        return await super().areset(seed=seed, options=options)

    def step(self, action: ArrayLike) -> JointTransition:
        """Play a wave, or submit what stands; see the class."""
        if self._plays(action):
            return self._wave(*self._waves.deliberate(self._asking(action)))
        return self._submitted(self.parallel_env.step(self._split(action)))

    async def astep(self, action: ArrayLike) -> JointTransition:
        """Async `step`; blocks if the parallel environment has no async methods."""
        if not self.is_concurrent:
            return self.step(action)
        if self._plays(action):
            return self._wave(*await self.parallel_env.adeliberate(self._asking(action)))
        return self._submitted(await self.parallel_env.astep(self._split(action)))

    async def ahear(self, action: ArrayLike) -> tuple[Array, bool]:
        """Play a wave, or count what stands with the weights of this action; judges nothing, so no gold is needed.

        Returns:
            The new observation [N, D], and whether nobody spoke: `last_outcome` is then the team's answer.
        """
        plays = self._plays(action)
        if plays:
            self._rounds += 1
        asking = self._asking(action)
        obs, _ = await self.parallel_env.adeliberate(asking) if self.is_concurrent else self._waves.deliberate(asking)
        return self._stack(obs), not plays

    def _begin(self) -> None:
        self._rounds, self._paid = 0, 0.0
        self._amount_N = np.zeros(self.team.n_agents, np.float32)
        self._asked_N = np.zeros(self.team.n_agents, bool)
        self._labels = np.full(self.team.n_agents, -1.0, np.float32)

    def _plays(self, action: ArrayLike) -> bool:
        """Whether a step with this joint action plays a round; notes who speaks."""
        speak_N = np.asarray(action, np.float32).reshape(self.team.n_agents, -1)[:, self._speak]
        spoke_N = (speak_N >= (self._silence + self._speech) / 2.0) & ~self._asked_N
        if self._rounds == 0 and not spoke_N.any():
            spoke_N[speak_N.argmax()] = True
        plays = self._rounds < self.most and bool(spoke_N.any())
        self._spoke_N = (spoke_N if plays else np.zeros_like(spoke_N)).astype(np.float32)
        self._asked_N = self._asked_N | (self._spoke_N > 0)
        return plays

    def _asking(self, action: ArrayLike) -> dict[str, Array]:
        """The agents' actions, with those speaking that are asked."""
        rows_NA = np.array(action, np.float32).reshape(self.team.n_agents, -1)
        rows_NA[:, self._speak] = np.where(self._spoke_N > 0, self._speech, self._silence)
        return self._split(rows_NA)

    def _wave(self, obs: dict[str, Array], infos: Infos) -> JointTransition:
        self._rounds += 1
        amounts = self._waves.amounts
        reward = self._pay(self._waves.prospect - self._waves.price * math.fsum(amounts))
        right = [float(bool(said)) for said in self._waves.standing_right]
        before_N, self._amount_N = self._amount_N, np.array(amounts, np.float32)
        labels = np.array(self._waves.standing_labels, np.float32)
        info = self._told(infos, right, labels, self._amount_N - before_N, reward, self._waves.prospect)
        return self._stack(obs), reward, False, False, info

    def _submitted(self, transition: Transition) -> JointTransition:
        obs, _, terminations, _, infos = transition
        first = infos[self._agents[0]]
        reward = self._pay(float(first["team_reward"]))
        right = [float(infos[agent]["correct"]) for agent in self._agents]
        nothing_N = np.zeros_like(self._amount_N)
        info = self._told(infos, right, self._labels, nothing_N, reward, float(first["team_correct"]))
        self._begin()
        return self._stack(obs), reward, all(terminations.values()), False, info

    def _pay(self, total: float) -> float:
        """What is still to be paid of the decision's reward so far."""
        reward, self._paid = total - self._paid, total
        return reward

    def _told(
        self, infos: Infos, right: Sequence[float], labels: Array, amount_N: Array, reward: float, team: float
    ) -> dict[str, Any]:
        rows = [infos[agent] for agent in self._agents]
        valid_N = np.array([row["valid"] for row in rows], np.float32)
        right_N = np.array(right, np.float32)
        self._labels = labels
        return {
            **{name: float(rows[0][name]) for name in WAVE_NUMBERS},
            "valid": valid_N,
            "answered": np.array([row["answered"] for row in rows], np.float32),
            "correct": right_N,
            "agent_rewards": np.full(self.team.n_agents, reward, np.float32),
            "team_correct": team,
            "team_reward": self._paid,
            "wave_spoke": self._spoke_N.copy(),
            "wave_amount": amount_N,
            "wave_label": labels,
            "wave_right": right_N,
            "wave_valid": valid_N,
        }
