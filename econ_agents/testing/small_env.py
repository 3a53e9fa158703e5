"""Bases of the small parallel environments: spaces, problems, the order of an episode, rounds inside a decision.

Environments made from them are deterministic given seed and problem, and can be pickled.
Axes: N agents, A controls of one agent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from econ_agents.joint_env import Infos, Observations, Transition

Array = NDArray[np.float32]
CONTROLS = 2


class TinyEnv(ParallelEnv[str, Array, Array]):  # type: ignore[misc] # pettingzoo ships no type information
    """Base of the small environments: spaces, problems, the order of an episode.

    Args:
        n_agents: N.
        obs_dim: D.
        obs_bound: Observations lie in [-obs_bound, obs_bound].
        horizon: Decisions of an episode.
        low: Lowest value of every control.
        high: Highest value of every control.
        controls: A.
    """

    def __init__(
        self,
        n_agents: int,
        obs_dim: int,
        obs_bound: float,
        horizon: int,
        low: float,
        high: float,
        controls: int = CONTROLS,
    ) -> None:
        self.metadata = {"render_modes": [], "name": "tiny_v0"}
        self.render_mode = None
        self.possible_agents = [f"agent_{i}" for i in range(n_agents)]
        self.agents: list[str] = []
        self.observation_spaces = dict.fromkeys(
            self.possible_agents, Box(-obs_bound, obs_bound, (obs_dim,), np.float32)
        )
        self.action_spaces = dict.fromkeys(self.possible_agents, Box(low, high, (controls,), np.float32))
        self.horizon = horizon
        self.low, self.high = low, high
        self.decision = 0
        self._order: np.random.Generator | None = None

    def observation_space(self, agent: str) -> Box:
        """The same Box for every agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Box:
        """The same Box for every agent."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, Infos]:
        """Start an episode; `options={"problem": index}` chooses the problem, which decides all random draws."""
        if seed is not None or self._order is None:
            self._order = np.random.default_rng(seed)
        drawn = int(self._order.integers(2**31))
        problem = (options or {}).get("problem", drawn)
        self.agents = list(self.possible_agents)
        self.decision = 0
        self._begin(np.random.default_rng(problem))
        return self._observe(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Array]) -> Transition:
        """Submit the actions and return the rewards."""
        names = self.possible_agents
        rewards = self._pay(self._profile(actions))
        self.decision += 1
        done = self.decision >= self.horizon
        if done:
            self.agents = []
        ends, cut = dict.fromkeys(names, done), dict.fromkeys(names, False)
        infos = {agent: self._info(rewards) for agent in names}
        return self._observe(), dict(zip(names, rewards, strict=True)), ends, cut, infos

    def state(self) -> Array:
        """All observations, one after another."""
        return np.concatenate(list(self._observe().values()))

    def render(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""

    def _profile(self, actions: dict[str, Array]) -> Array:
        """Actions as rows [N, A] in [-1, 1]."""
        rows = np.clip(
            np.stack([np.asarray(actions[a], np.float32) for a in self.possible_agents]), self.low, self.high
        )
        return (2.0 * (rows - self.low) / (self.high - self.low) - 1.0).astype(np.float32)

    def _begin(self, rng: np.random.Generator) -> None:
        raise NotImplementedError

    def _pay(self, profile_NA: Array) -> list[float]:
        raise NotImplementedError

    def _rows(self) -> Array:
        raise NotImplementedError

    def _info(self, rewards: list[float]) -> dict[str, Any]:
        return {}

    def _observe(self) -> Observations:
        return dict(zip(self.possible_agents, self._rows().copy(), strict=True))


class TinyOutcome(NamedTuple):
    """Outcome of a round of a small environment."""

    answer: str | None
    """What the environment makes of the profile played: the mean action, or who volunteered."""
    failed: bool
    """Always False."""


class RoundsEnv(TinyEnv):
    """Base of the small environments with rounds inside a decision.

    Attributes:
        rounds_played: Rounds so far in all episodes; a submission that repeats the last round adds none.
    """

    rounds_played = 0

    @property
    def last_outcome(self) -> TinyOutcome | None:
        """Outcome of the last round of the current decision; None before its first round."""
        return None if self._rounds == 0 else TinyOutcome(self._answer(), False)

    def deliberate(self, actions: dict[str, Array]) -> tuple[Observations, Infos]:
        """Play one round: then each agent sees something of the others."""
        self._play(self._profile(actions))
        return self._observe(), {agent: {"rounds": float(self._rounds), "failed": 0.0} for agent in self.agents}

    def _begin(self, rng: np.random.Generator) -> None:
        agents = self.possible_agents
        self._last_NA = np.zeros((len(agents), *self.action_space(agents[0]).shape), np.float32)
        self._rounds = 0

    def _play(self, profile_NA: Array) -> None:
        self._last_NA = profile_NA
        self._rounds += 1
        self.rounds_played += 1

    def _pay(self, profile_NA: Array) -> list[float]:
        if self._rounds == 0 or not np.array_equal(profile_NA, self._last_NA):
            self._play(profile_NA)
        self._paid_rounds, self._rounds = self._rounds, 0
        return self._rewards()

    def _info(self, rewards: list[float]) -> dict[str, Any]:
        team = float(np.mean(rewards))
        return {"team_reward": team, "failed": 0.0, "valid": 1.0, "rounds": float(self._paid_rounds)}

    def _answer(self) -> str:
        raise NotImplementedError

    def _rewards(self) -> list[float]:
        raise NotImplementedError
