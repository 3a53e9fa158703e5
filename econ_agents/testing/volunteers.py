"""The volunteer's dilemma as a small parallel environment, with real volunteers.

Axes: N agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from econ_agents.testing.games import VolunteersDilemma
from econ_agents.testing.small_env import Array, RoundsEnv


class VolunteersEnv(RoundsEnv):
    """One decision of `VolunteersDilemma`: an action in [-1, 1] is the chance (1 + a) / 2 that the agent volunteers.

    Each round draws from these chances who volunteers, and the last round pays: b to all if somebody did, minus its
    own cost to each who did. The problem decides the draws, and which agent has which of the costs. The observation is
    (own cost / b, own last action, share of the others who volunteered in the last round, rounds / 8), Box(-4, 4, [4]);
    the middle two are 0 before the first round. The answer of a round names the volunteers.

    Args:
        costs: c, one for each agent, dealt anew by each problem.
        benefit: b.
        credit: Whether each agent is paid its own payoff or the team's mean.
    """

    observation_layout = {  # noqa: RUF012 # read only
        "cost": slice(0, 1),
        "controls": slice(1, 2),
        "others": slice(2, 3),
        "counters": slice(3, 4),
    }

    def __init__(
        self, costs: Sequence[float] = (0.4, 0.4, 0.4), benefit: float = 1.0, credit: Literal["own", "team"] = "own"
    ) -> None:
        super().__init__(len(costs), 4, 4.0, 1, -1.0, 1.0, controls=1)
        self.costs = tuple(costs)
        self.benefit = benefit
        self.credit = credit

    @property
    def game(self) -> VolunteersDilemma:
        """The current problem's game."""
        return VolunteersDilemma(self._costs_N.tolist(), self.benefit)

    def _begin(self, rng: np.random.Generator) -> None:
        super()._begin(rng)
        self._draws = rng
        self._costs_N = rng.permutation(np.array(self.costs))
        self._volunteers_N = np.zeros(len(self.costs), bool)

    def _play(self, profile_NA: Array) -> None:
        super()._play(profile_NA)
        self._volunteers_N = self._draws.random(len(self.costs)) < (1.0 + profile_NA[:, 0]) / 2.0

    def _answer(self) -> str:
        return ", ".join(map(str, np.flatnonzero(self._volunteers_N))) or "nobody"

    def _rewards(self) -> list[float]:
        own_N = self.benefit * self._volunteers_N.any() - self._costs_N * self._volunteers_N
        paid_N = np.full_like(own_N, own_N.mean()) if self.credit == "team" else own_N
        return [float(paid) for paid in paid_N]

    def _rows(self) -> Array:
        others_N = (self._volunteers_N.sum() - self._volunteers_N) / max(len(self.costs) - 1, 1)
        counter_N = np.full(len(self.costs), min(self._rounds, 8) / 8)
        rows = np.stack([self._costs_N / self.benefit, self._last_NA[:, 0], others_N, counter_N], axis=1)
        return rows.astype(np.float32)
