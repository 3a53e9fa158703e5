"""Small parallel environments with known best actions, with and without rounds inside a decision.

Axes: B batch, N agents, D observation. All have two controls per agent, are deterministic given seed and problem, and
can be pickled.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import ParallelEnv
from torch import Tensor

from econ_agents.joint_env import Infos, Observations, Transition
from econ_agents.testing.games import QuadraticGame, mean_of_others

Array = NDArray[np.float32]
CONTROLS = 2


class _TinyEnv(ParallelEnv[str, Array, Array]):  # type: ignore[misc] # pettingzoo ships no type information
    """Base of the small environments: spaces, problems, the order of an episode.

    Args:
        n_agents: N.
        obs_dim: D.
        obs_bound: Observations lie in [-obs_bound, obs_bound].
        horizon: Decisions of an episode.
        low: Lowest value of both controls.
        high: Highest value of both controls.
    """

    def __init__(self, n_agents: int, obs_dim: int, obs_bound: float, horizon: int, low: float, high: float) -> None:
        self.metadata = {"render_modes": [], "name": "tiny_v0"}
        self.render_mode = None
        self.possible_agents = [f"agent_{i}" for i in range(n_agents)]
        self.agents: list[str] = []
        self.observation_spaces = dict.fromkeys(
            self.possible_agents, Box(-obs_bound, obs_bound, (obs_dim,), np.float32)
        )
        self.action_spaces = dict.fromkeys(self.possible_agents, Box(low, high, (CONTROLS,), np.float32))
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
        """Actions as rows [N, 2] in [-1, 1]."""
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


class CoordinationEnv(_TinyEnv):
    """A team that must spread around a place that all agents see; no deliberation, no infos.

    The place m is drawn uniformly from [-1, 1]^2. Agent i should go to t_i = 0.6 m + 0.3 s_i, with s_i evenly spaced
    from -1 to 1. Its reward is 1 - mean((e_i - t_i)^2), at best 1 per decision. Its observation is (m, the team's last
    mean, share of decisions done), Box(-1, 1, [5]).

    Args:
        n_agents: N.
        horizon: Decisions of an episode.
        revealed_late: Whether m is hidden (zeros) until after the first decision, which then has reward 0.
        low: Lowest value of both controls.
        high: Highest value of both controls.
    """

    def __init__(
        self, n_agents: int = 3, horizon: int = 1, *, revealed_late: bool = False, low: float = -1.0, high: float = 1.0
    ) -> None:
        super().__init__(n_agents, 5, 1.0, horizon, low, high)
        self.revealed_late = revealed_late

    def best_profile(self) -> Array:
        """Where each agent should go now, [N, 2] in [-1, 1]."""
        spread = np.linspace(-1.0, 1.0, len(self.possible_agents)) if len(self.possible_agents) > 1 else np.zeros(1)
        return (0.6 * self._place + 0.3 * spread[:, None]).astype(np.float32)

    def _begin(self, rng: np.random.Generator) -> None:
        self._place = rng.uniform(-1.0, 1.0, CONTROLS).astype(np.float32)
        self._mean = np.zeros(CONTROLS, np.float32)

    def _pay(self, profile_NA: Array) -> list[float]:
        self._mean = profile_NA.mean(0)
        if self.revealed_late and self.decision == 0:
            return [0.0] * len(profile_NA)
        return [float(1.0 - miss) for miss in np.square(profile_NA - self.best_profile()).mean(1)]

    def _rows(self) -> Array:
        hidden = self.revealed_late and self.decision == 0
        place = np.zeros(CONTROLS) if hidden else self._place
        row = np.concatenate([place, self._mean, [self.decision / self.horizon]]).astype(np.float32)
        return np.tile(row, (len(self.possible_agents), 1))


class TinyOutcome(NamedTuple):
    """Outcome of a round of `QuadraticEnv`."""

    answer: str | None
    """The team's mean action, rounded."""
    failed: bool
    """Always False."""


class QuadraticEnv(_TinyEnv):
    """A quadratic game (see `QuadraticGame`) in which agents see the others' mean only after a round.

    The observation of agent i is (c_i, its own last action, the last mean of the others, rounds / 8), Box(-4, 4, [7]);
    its reward is -|e_i - c_i - b mean_{j!=i} e_j|^2, in units of [-1, 1]. The problem decides c, such that the
    equilibrium lies in [-0.8, 0.8].

    Args:
        n_agents: N.
        coupling: b.
        horizon: Decisions of an episode.
        low: Lowest value of both controls.
        high: Highest value of both controls.
        digits: Decimal places of the answer; fewer make it repeat sooner.

    Attributes:
        rounds_played: Rounds so far in all episodes; a submission that repeats the last round adds none.
    """

    observation_layout = {  # noqa: RUF012 # read only
        "question": slice(0, 2),
        "controls": slice(2, 4),
        "commitment": slice(4, 6),
        "counters": slice(6, 7),
    }

    def __init__(
        self,
        n_agents: int = 3,
        coupling: float = 0.5,
        horizon: int = 1,
        *,
        low: float = -1.0,
        high: float = 1.0,
        digits: int = 6,
    ) -> None:
        super().__init__(n_agents, 7, 4.0, horizon, low, high)
        self.coupling = coupling
        self.digits = digits
        self.rounds_played = 0

    @property
    def last_outcome(self) -> TinyOutcome | None:
        """Outcome of the last round of the current decision; None before its first round."""
        if self._rounds == 0:
            return None
        return TinyOutcome(f"{float(self._last_NA.mean()):.{self.digits}f}", False)

    @property
    def game(self) -> QuadraticGame:
        """The current problem's game, a batch of one."""
        return QuadraticGame(torch.as_tensor(self._centre_NA)[None], self.coupling)

    def deliberate(self, actions: dict[str, Array]) -> tuple[Observations, Infos]:
        """Play one round: then each agent sees the others' mean."""
        self._play(self._profile(actions))
        return self._observe(), {agent: {"rounds": float(self._rounds), "failed": 0.0} for agent in self.agents}

    def _begin(self, rng: np.random.Generator) -> None:
        target = rng.uniform(-0.8, 0.8, (1, len(self.possible_agents), CONTROLS))
        centre = QuadraticGame.with_equilibrium(torch.as_tensor(target), self.coupling).centre_BNA
        self._centre_NA = centre[0].numpy().astype(np.float32)
        self._last_NA = np.zeros_like(self._centre_NA)
        self._rounds = 0

    def _play(self, profile_NA: Array) -> None:
        self._last_NA = profile_NA
        self._rounds += 1
        self.rounds_played += 1

    def _pay(self, profile_NA: Array) -> list[float]:
        if self._rounds == 0 or not np.array_equal(profile_NA, self._last_NA):
            self._play(profile_NA)
        self._paid_rounds, self._rounds = self._rounds, 0
        miss = profile_NA - self._centre_NA - self.coupling * self._others_mean()
        return [-float(m) for m in np.square(miss).sum(1)]

    def _info(self, rewards: list[float]) -> dict[str, Any]:
        team = float(np.mean(rewards))
        return {"team_reward": team, "failed": 0.0, "valid": 1.0, "rounds": float(self._paid_rounds)}

    def _others_mean(self) -> Array:
        mean: Array = mean_of_others(torch.as_tensor(self._last_NA)[None])[0].numpy()
        return mean

    def _rows(self) -> Array:
        counter = np.full((len(self._centre_NA), 1), min(self._rounds, 8) / 8, np.float32)
        return np.concatenate([self._centre_NA, self._last_NA, self._others_mean(), counter], axis=1)


class AsyncQuadraticEnv(QuadraticEnv):
    """`QuadraticEnv` with async methods that wait `delay` seconds."""

    delay = 0.0

    async def areset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Async `reset`."""
        await asyncio.sleep(self.delay)
        return self.reset(seed, options)

    async def adeliberate(self, actions: dict[str, Array]) -> tuple[Observations, Infos]:
        """Async `deliberate`."""
        await asyncio.sleep(self.delay)
        return self.deliberate(actions)

    async def astep(self, actions: dict[str, Array]) -> Transition:
        """Async `step`."""
        await asyncio.sleep(self.delay)
        return self.step(actions)


class QuadraticPolicy:
    """Knows the game of `QuadraticEnv`; proposes the same start for all agents.

    Args:
        coupling: b of the environment.
        start: Both controls of every agent, in [-1, 1].
    """

    def __init__(self, coupling: float = 0.5, start: float = 0.0) -> None:
        self.coupling = coupling
        self.start = start

    def propose(self, obs_BND: Tensor) -> Tensor:
        """The start, [B, N, 2]."""
        return torch.full((*obs_BND.shape[:2], CONTROLS), self.start)

    def game(self, obs_BND: Tensor) -> QuadraticGame:
        """The game that the observations describe."""
        return QuadraticGame(obs_BND[..., :CONTROLS], self.coupling)
