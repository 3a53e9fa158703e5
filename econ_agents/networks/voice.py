"""Who speaks next, and whom to believe: what a call would gain, and how likely each reply is right.

Axes: B batch, N agents, H belief, E token of the encoder.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents.networks.layers import mlp

LARGEST_ODDS = 5.0
"""Log odds beyond this count as this."""


class Voices(NamedTuple):
    """What agents expect after some rounds of a decision."""

    odds_BN: Tensor
    """Log odds that each agent's reply is right, given all that it has seen."""
    gain_BN: Tensor
    """What the team gains, until the end of the decision, if this agent alone speaks next instead of all being silent;
    the price of its call is taken off."""


class Voice(nn.Module):
    """Two readings of an agent's belief and of its token of the group: P(my reply is right), and the gain of a call.

    The first is trained by its log score, the binary cross-entropy with TS, a proper score: it is best for the true
    probability alone (Gneiting and Raftery 2007, https://doi.org/10.1198/016214506000001437). The second is the agent's
    gain from speaking in the game in which calls cost and one good reply serves all (the volunteer's dilemma), against
    silent others.

    Args:
        belief_dim: H.
        group_dim: E.
        hidden_dim: Width of the hidden layers.
        constant: c, which is added to the log odds to make weights.
        dropout: Share of hidden units dropped in training, in [0, 1).
    """

    def __init__(self, belief_dim: int, group_dim: int, hidden_dim: int, constant: float, dropout: float) -> None:
        super().__init__()
        self.constant = constant
        self.trust = mlp([belief_dim + group_dim, hidden_dim, 1], dropout)
        self.gain = mlp([belief_dim + group_dim, hidden_dim, 1], dropout)

    def forward(self, belief_BNH: Tensor, tokens_BNE: Tensor) -> Voices:
        """Odds and gains at beliefs [B, N, H] and tokens [B, N, E]."""
        seen = torch.cat([F.silu(belief_BNH), tokens_BNE], dim=-1)
        return Voices(self.trust(seen).squeeze(-1), self.gain(seen).squeeze(-1))

    def weights(self, odds_BN: Tensor) -> Tensor:
        """The control `weight` [B, N] in [-1, 1]: log odds plus c, not below 0, as a share of the largest.

        Log odds are the best weights of independent votes between two answers (Nitzan and Paroush 1982); they turn
        negative below one half. With more answers such a voter still speaks for its own, so c is added.
        """
        largest = LARGEST_ODDS + self.constant
        share_BN = (odds_BN.clamp(-LARGEST_ODDS, LARGEST_ODDS) + self.constant) / largest
        return 2.0 * share_BN.clamp(0.0, 1.0) - 1.0


def next_speaker(gain_BN: Tensor, may_BN: Tensor | None) -> Tensor:
    """The control `speak` [B, N], 1 or -1: the agent that gains most by speaking speaks, if anyone gains.

    This is a best response to silence and, as the others then hear it before they decide, an equilibrium of the wave:
    one volunteer, and nobody else gains by speaking before its reply is there.

    Args:
        gain_BN: What each agent's call would gain.
        may_BN: Who may speak; by default all.
    """
    allowed_BN = gain_BN if may_BN is None else gain_BN.masked_fill(~may_BN, -torch.inf)
    best_B, who_B = allowed_BN.max(dim=1)
    speak_BN = torch.full_like(gain_BN, -1.0)
    speak_BN[torch.arange(len(gain_BN)), who_B] = torch.where(best_B > 0, 1.0, -1.0)
    return speak_BN


def going_on(gain_BN: Tensor, may_BN: Tensor) -> Tensor:
    """Value [B] of deciding at this point: the largest gain of those who may speak, or 0 for silence."""
    return gain_BN.masked_fill(~may_BN, 0.0).max(dim=1).values.clamp(min=0.0)


def answer_right(label_BN: Tensor, right_BN: Tensor, weight_BN: Tensor) -> Tensor:
    """Whether [B] the team's answer is right, 0 or 1: the answer with the largest sum of weights, the first of equals.

    Args:
        label_BN: Numbers of the standing answers, equal for equal answers; -1 for none.
        right_BN: 1 where the answer is right.
        weight_BN: Weight of each reply, >= 0.
    """
    same_BNN = (label_BN[:, :, None] == label_BN[:, None, :]) & (label_BN[:, None, :] >= 0)
    votes_BN = (same_BNN * weight_BN[:, None, :]).sum(-1).masked_fill(label_BN < 0, -1.0)
    first_B1 = votes_BN.argmax(dim=1, keepdim=True)
    answered_B1 = label_BN.gather(1, first_B1) >= 0
    return (right_BN.gather(1, first_B1) * answered_B1).squeeze(1)
