"""Small games with known equilibria, to test refinement and policies.

Axes: B batch, N agents, M candidates, A controls in [-1, 1], S pure strategies.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class QuadraticGame:
    """Each agent has its own target, moved by the others: u_i = -|e_i - c_i - b mean_{j!=i} e_j|^2.

    Best responses are linear, so simultaneous undamped ones multiply the largest error by |b| or less per round, as
    long as nothing leaves the box. For |b| > 1 profiles move apart until they reach the box: with b > 1 they end in a
    corner, which is an equilibrium of the game in the box, but not the solution of the linear system; with b < -1 a
    common displacement jumps from corner to corner forever.

    Args:
        centre_BNA: c.
        coupling: b.
    """

    def __init__(self, centre_BNA: Tensor, coupling: float) -> None:
        self.centre_BNA = centre_BNA
        self.coupling = coupling

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, N, M]."""
        wish_BNA = self.centre_BNA + self.coupling * mean_of_others(profile_BNA)
        return -(candidates_BNMA - wish_BNA[:, :, None]).square().sum(-1)

    @property
    def equilibrium_BNA(self) -> Tensor:
        """Solution of e_i = c_i + b mean_{j!=i} e_j; the equilibrium if it lies in the box and |b| < 1."""
        equilibrium_BNA: Tensor = torch.linalg.solve(_coupled(self.centre_BNA, self.coupling), self.centre_BNA)
        return equilibrium_BNA

    @classmethod
    def with_equilibrium(cls, equilibrium_BNA: Tensor, coupling: float) -> QuadraticGame:
        """The game whose linear system this profile solves."""
        return cls(_coupled(equilibrium_BNA, coupling) @ equilibrium_BNA, coupling)


class TwoEquilibriaGame:
    """Agents may meet at either of two places: u_i = -sum_a ((e^2 - q^2)^2 + w (e - mean of the others)^2).

    All at +q and all at -q are strict equilibria, per control; the side on which the others' mean starts
    decides which one the responses reach.

    Args:
        place: q, in (0, 1].
        pull: w > 0.
    """

    def __init__(self, place: float = 0.5, pull: float = 0.5) -> None:
        self.place = place
        self.pull = pull

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, N, M]."""
        away = candidates_BNMA - mean_of_others(profile_BNA)[:, :, None]
        return -((candidates_BNMA.square() - self.place**2).square() + self.pull * away.square()).sum(-1)


class MatchingPennies:
    """Two agents mix heads and tails: u_0 = e_0 . e_1 = -u_1, where (1 + e) / 2 is the chance of heads.

    The only equilibrium is 0, and plain simultaneous best responses circle around it forever, with period 4. Quantal
    responses on a grid of g values approach it when their slope at 0, (g + 1) / (3 (g - 1) temperature), is below 1.
    """

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, 2, M]."""
        sign_N = torch.tensor([1.0, -1.0], dtype=profile_BNA.dtype)
        return sign_N[:, None] * (candidates_BNMA * profile_BNA.flip(1)[:, :, None]).sum(-1)


class VolunteersDilemma:
    """Someone must do it: u_i = b (1 - prod_j q_j) - c_i (1 - q_i), where q = (1 - a) / 2 is the chance to stay silent.

    The benefit b goes to all if at least one agent volunteers, and each volunteer pays its cost (Diekmann 1985, Journal
    of Conflict Resolution 29(4); with unequal costs Diekmann 1993, International Journal of Game Theory 22). For costs
    below b, each profile with exactly one sure volunteer is an equilibrium, and best for the team if its cost is the
    lowest. If all mix, equal agents are silent with probability (c / b)^(1 / (n - 1)).

    One agent's payoff is linear in its own action, so logit responses on the candidates -1 and 1 (`grid_size` 2) are
    those of the game with the two actions silent and volunteer. For equal costs its symmetric quantal equilibrium is
    the root of p = 1 / (1 + exp((c - b (1 - p)^(n - 1)) / temperature)). With g = p (1 - p)^(n - 1) b / temperature
    there, simultaneous responses from nearby approach it if g (n - 1) < 1, and with damping d if g < 1 and
    d > (g (n - 1) - 1) / (g (n - 1) + 1). For g > 1 it is unstable, and any small difference between agents grows.

    Args:
        costs_N: c, one for each agent.
        benefit: b > 0.
    """

    def __init__(self, costs_N: Sequence[float], benefit: float = 1.0) -> None:
        self.costs_N = torch.tensor(costs_N, dtype=torch.float64)
        self.benefit = benefit

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, N, M]; actions have one control."""
        silent_BN, tried_BNM = (1.0 - profile_BNA[..., 0]) / 2.0, (1.0 - candidates_BNMA[..., 0]) / 2.0
        own = torch.eye(silent_BN.shape[1], dtype=torch.bool, device=silent_BN.device)
        others_BN = torch.where(own, 1.0, silent_BN[:, None]).prod(-1)
        costs_N1 = self.costs_N.to(profile_BNA)[:, None]
        return self.benefit * (1.0 - others_BN[..., None] * tried_BNM) - costs_N1 * (1.0 - tried_BNM)

    def mixed_equilibrium(self, mixing: Sequence[int] | None = None) -> Tensor | None:
        """The equilibrium [N, 1] in which these agents mix and the others are silent; None if there is none.

        A mixing agent must find c_i = b prod_{j != i} q_j. So with P the product of their n chances of silence,
        P^(n - 1) = prod_i c_i / b^n and q_i = b P / c_i: the higher an agent's cost, the likelier it volunteers. No q_i
        may exceed 1, and no silent agent's cost may be below b P.

        Args:
            mixing: At least two agents; by default all.
        """
        chosen = list(range(len(self.costs_N)) if mixing is None else mixing)
        costs_n = self.costs_N[chosen]
        nobody = (costs_n / self.benefit).prod() ** (1.0 / (len(chosen) - 1))
        silent_N = torch.ones_like(self.costs_N)
        silent_N[chosen] = self.benefit * nobody / costs_n
        if bool((silent_N > 1.0).any()) or bool((self.costs_N < self.benefit * nobody)[silent_N == 1.0].any()):
            return None
        return (1.0 - 2.0 * silent_N)[:, None]

    def single_volunteer(self, agent: int) -> Tensor:
        """The profile [N, 1] in which this agent alone volunteers."""
        profile_N1 = torch.full((len(self.costs_N), 1), -1.0, dtype=torch.float64)
        profile_N1[agent] = 1.0
        return profile_N1


class MatrixGame:
    """Two agents mix over S pure strategies each; an action a of S controls stands for the mix (1 + a) / sum(1 + a).

    Args:
        row_SS: Payoffs of agent 0, by its own and the other's strategy.
        column_SS: Payoffs of agent 1, by agent 0's and its own strategy; by default the game is zero-sum.
    """

    def __init__(self, row_SS: Tensor, column_SS: Tensor | None = None) -> None:
        self.row_SS = row_SS
        self.column_SS = -row_SS if column_SS is None else column_SS

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, 2, M]."""
        row_SS, column_SS = self.row_SS.to(profile_BNA), self.column_SS.to(profile_BNA)
        played_BNS, tried_BNMS = self.mix(profile_BNA), self.mix(candidates_BNMA)
        worth_BS = torch.stack([played_BNS[:, 1] @ row_SS.mT, played_BNS[:, 0] @ column_SS], dim=1)
        return (tried_BNMS @ worth_BS[..., None]).squeeze(-1)

    @staticmethod
    def mix(action_A: Tensor) -> Tensor:
        """Actions [..., S] as probabilities; all -1 means uniform."""
        weight_S = action_A + 1.0
        total = weight_S.sum(-1, keepdim=True)
        return torch.where(
            total > 0, weight_S / total.clamp(min=1e-12), torch.full_like(weight_S, 1.0 / weight_S.shape[-1])
        )


def rock_paper_scissors() -> MatrixGame:
    """The usual game: the uniform mix is its only equilibrium; if both play rock, each could gain 1."""
    return MatrixGame(torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]))


def biased_rock_paper_scissors() -> MatrixGame:
    """Zero-sum with payoffs ((0, -25, 50), (25, 0, -5), (-50, 5, 0)): both mixing (1, 10, 5) / 16 is its equilibrium.

    Against that mix every pure strategy earns 0: -25 * 10 + 50 * 5 = 25 * 1 - 5 * 5 = -50 * 1 + 5 * 10 = 0.
    """
    return MatrixGame(torch.tensor([[0.0, -25.0, 50.0], [25.0, 0.0, -5.0], [-50.0, 5.0, 0.0]]))


def mean_of_others(profile_BNA: Tensor) -> Tensor:
    """For each agent the mean action [B, N, A] of all others; 0 for a single agent."""
    others = max(profile_BNA.shape[1] - 1, 1)
    return (profile_BNA.sum(1, keepdim=True) - profile_BNA) / others


def _coupled(profile_BNA: Tensor, coupling: float) -> Tensor:
    """The matrix [N, N] of e - b mean_{j!=i} e_j."""
    N = profile_BNA.shape[1]
    one = torch.eye(N, dtype=profile_BNA.dtype)
    return one - coupling * (torch.ones_like(one) - one) / max(N - 1, 1)
