"""Who speaks next: what a call would gain, given what is believed of the answers that stand.

Axes: B batch, N agents.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from econ_agents.networks.discussion import Said
from econ_agents.networks.records import Records
from econ_agents.networks.trust import CODES, Trust, Trusted


class Voices(NamedTuple):
    """What agents expect after some rounds of a decision."""

    trusted: Trusted
    """What they believe of the answers that stand."""
    gain_BN: Tensor
    """What the team gains if this agent alone speaks next instead of all being silent; the price of its call is taken
    off."""


class Voice(nn.Module):
    """Beliefs about the answers that stand, and the gain of a call.

    The gain of a call is the agent's gain from speaking in the game in which calls cost and one good reply serves all
    (the volunteer's dilemma), against silent others. A call can gain no more than is missing: the probability that the
    best answer is wrong. It gains a share of that, less its price. The share of the first call is the agent's record,
    the probability that it is right. Replies go wrong on the same problems, so later calls gain less: after n replies
    the odds of the share are those of the record times exp(a) n^b. Only a and b are learned by playing.

    What a call gains can also be learned from what each call changed. But that is -1, 0 or 1: whatever was fitted to it
    followed the noise, promised too much, and asked too often.

    Args:
        width: Numbers about a reply.
        constant: Evidence of a reply before anything is learned; see `Trust`.
    """

    def __init__(self, width: int, constant: float) -> None:
        super().__init__()
        self.trust = Trust(width, constant)
        self.records = Records(CODES)
        self.later = nn.Parameter(torch.zeros(2))

    def forward(self, said: Said) -> Voices:
        """What is believed and gained after what was said."""
        trusted = self.trust(said)
        return Voices(trusted, self.gains(trusted, said))

    def gains(self, trusted: Trusted, said: Said) -> Tensor:
        """The gain [B, N] of each agent's call, given what is believed; it teaches nothing about whom to believe."""
        n_agents = said.spoke_BN.shape[1]
        missing_B1 = 1.0 - trusted.share_BN.detach().max(dim=1, keepdim=True).values
        heard_B1 = said.spoke_BN.sum(dim=1, keepdim=True).to(missing_B1)
        later_B1 = torch.where(heard_B1 > 0, self.later[0] + self.later[1] * heard_B1.clamp(min=1.0).log(), 0.0)
        share_BN = torch.sigmoid(self.records.odds(n_agents) + later_B1)
        return share_BN * missing_B1 - self.costs(said)

    def costs(self, said: Said) -> Tensor:
        """What each agent's call [B, N] is expected to cost, in reward: the price that agents see, times an amount."""
        return said.price_B[:, None] * self.records.amounts(said.spoke_BN.shape[1])


def next_speaker(gain_BN: Tensor, may_BN: Tensor) -> Tensor:
    """The control `speak` [B, N], 1 or -1: the agent that gains most by speaking speaks, if anyone gains.

    This is a best response to silence and, as the others then hear it before they decide, an equilibrium of the wave:
    one volunteer, and nobody else gains by speaking before its reply is there.

    Args:
        gain_BN: What each agent's call would gain.
        may_BN: Who may speak.
    """
    allowed_BN = gain_BN.masked_fill(~may_BN, -torch.inf)
    best_B, who_B = allowed_BN.max(dim=1)
    speak_BN = torch.full_like(gain_BN, -1.0)
    speak_BN[torch.arange(len(gain_BN)), who_B] = torch.where(best_B > 0, 1.0, -1.0)
    return speak_BN


def some_of(spoke_BN: Tensor) -> Tensor:
    """Draws some of those that have spoken, a mask [B, N]: first how many, uniformly from one to all, then who."""
    place_BN = torch.rand(spoke_BN.shape, device=spoke_BN.device).masked_fill(~spoke_BN, 2.0).argsort(1).argsort(1)
    count_B1 = (torch.rand_like(place_BN[:, :1], dtype=torch.float32) * spoke_BN.sum(1, keepdim=True)).floor() + 1.0
    return spoke_BN & (place_BN < count_B1)


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
