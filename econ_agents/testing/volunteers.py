"""The volunteer's dilemma as a small parallel environment, in which agents really volunteer or stay silent.

Axes: N agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from econ_agents.testing.games import VolunteersDilemma
from econ_agents.testing.small_env import Array, RoundsEnv


class VolunteersEnv(RoundsEnv):
    """One decision of `VolunteersDilemma` with pure actions: an agent volunteers if its action in [-1, 1] is above 0.

    Its own payoff is b if somebody volunteers, minus its cost if it does so itself. The problem decides which agent has
    which cost; the team is paid most if one agent with the lowest cost volunteers alone. The observation is (own
    cost / b, own last action, share of the others who volunteered in the last round, rounds / 8), Box(-4, 4, [4]); the
    middle two are 0 before the first round. The answer of a round names the volunteers.

    Args:
        costs: c, one for each agent, dealt anew by each problem; at most 4 b.
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

    @property
    def best_payoff(self) -> float:
        """The highest payoff of the team, a mean over agents: one volunteer at the lowest cost, or none at all."""
        return max(0.0, self.benefit - min(self.costs) / len(self.costs))

    def pure(self, profile_NA: Array) -> Tensor:
        """The profile [1, N, 1] that is played: 1 for a volunteer, -1 for an agent that stays silent."""
        return torch.as_tensor(np.where(profile_NA > 0, 1.0, -1.0))[None]

    def _begin(self, rng: np.random.Generator) -> None:
        super()._begin(rng)
        self._costs_N = rng.permutation(np.array(self.costs))

    def _answer(self) -> str:
        return ", ".join(map(str, np.flatnonzero(self._last_NA[:, 0] > 0))) or "nobody"

    def _rewards(self) -> list[float]:
        played_1NA = self.pure(self._last_NA)
        own_N = self.game.utilities(played_1NA, played_1NA[:, :, None])[0, :, 0]
        paid_N = own_N.mean().expand_as(own_N) if self.credit == "team" else own_N
        paid: list[float] = paid_N.tolist()
        return paid

    def _rows(self) -> Array:
        volunteers_N = self._last_NA[:, 0] > 0
        others_N = (volunteers_N.sum() - volunteers_N) / max(len(self.costs) - 1, 1)
        counter_N = np.full(len(self.costs), min(self._rounds, 8) / 8)
        rows = np.stack([self._costs_N / self.benefit, self._last_NA[:, 0], others_N, counter_N], axis=1)
        return rows.astype(np.float32)
