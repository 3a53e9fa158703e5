"""Small parallel environments with known best actions, with and without rounds inside a decision.

Axes: B batch, N agents, D observation. Both have two controls per agent.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import torch
from torch import Tensor

from econ_agents.joint_env import Infos, Observations, Transition
from econ_agents.testing.games import QuadraticGame, mean_of_others
from econ_agents.testing.small_env import CONTROLS, Array, RoundsEnv, TinyEnv


class CoordinationEnv(TinyEnv):
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


class QuadraticEnv(RoundsEnv):
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

    @property
    def game(self) -> QuadraticGame:
        """The current problem's game, a batch of one."""
        return QuadraticGame(torch.as_tensor(self._centre_NA)[None], self.coupling)

    def _begin(self, rng: np.random.Generator) -> None:
        super()._begin(rng)
        target = rng.uniform(-0.8, 0.8, (1, len(self.possible_agents), CONTROLS))
        centre = QuadraticGame.with_equilibrium(torch.as_tensor(target), self.coupling).centre_BNA
        self._centre_NA = centre[0].numpy().astype(np.float32)

    def _answer(self) -> str:
        return f"{float(self._last_NA.mean()):.{self.digits}f}"

    def _rewards(self) -> list[float]:
        miss = self._last_NA - self._centre_NA - self.coupling * self._others_mean()
        return [-float(m) for m in np.square(miss).sum(1)]

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
