"""Who speaks next: what a call would gain, given what is believed of the answers that stand.

Axes: B batch, N agents.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents.networks.discussion import Said
from econ_agents.networks.trust import CODES, WIDE, Trust, Trusted, agent_code


class Voices(NamedTuple):
    """What agents expect after some rounds of a decision."""

    trusted: Trusted
    """What they believe of the answers that stand."""
    gain_BN: Tensor
    """What the team gains, until the end of the decision, if this agent alone speaks next instead of all being silent;
    the price of its call is taken off."""


class Voice(nn.Module):
    """Beliefs about the answers that stand, and the gain of a call.

    The gain of a call is the agent's gain from speaking in the game in which calls cost and one good reply serves all
    (the volunteer's dilemma), against silent others. It is linear in the probabilities of the best answer and of none,
    plus a number for the agent that is called, and one for each that has spoken: a call is worth little once an answer
    is believed, and how much that is differs by agent. What a call gains is known from few decisions, each of which
    says -1, 0 or 1, so networks with hidden layers fitted their noise, and stopped too early or too late.

    Args:
        width: Numbers about a reply.
        constant: Evidence of a reply before anything is learned; see `Trust`.
    """

    def __init__(self, width: int, constant: float) -> None:
        super().__init__()
        self.trust = Trust(width, constant)
        self.gain = nn.Linear(2, 1)
        self.own_gain = nn.Linear(CODES, 1, bias=False)
        self.spoken_gain = nn.Linear(CODES, 1, bias=False)
        for layer in (self.gain, self.own_gain, self.spoken_gain):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, said: Said) -> Voices:
        """What is believed and gained after what was said."""
        trusted = self.trust(said)
        code_NC = agent_code(said.spoke_BN.shape[1]).to(said.reply_BND)
        believed_B2 = torch.stack([trusted.share_BN.max(dim=1).values, trusted.none_B.exp()], dim=1).detach()
        spoken_BC = said.spoke_BN.to(code_NC) @ code_NC
        gain_BN = self.gain(2.0 * believed_B2 - 1.0) + self.spoken_gain(spoken_BC) + self.own_gain(code_NC).T
        return Voices(trusted, gain_BN)

    def penalty(self) -> Tensor:
        """Half the sum of squares of all weights, a scalar, as `Trust.penalty`."""
        own = self.own_gain.weight.square().sum() + self.spoken_gain.weight.square().sum()
        penalty: Tensor = self.trust.penalty() + 0.5 * (own + WIDE * self.gain.weight.square().sum())
        return penalty


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


def going_on(gain_BN: Tensor, may_BN: Tensor) -> Tensor:
    """Value [B] of deciding at this point: the largest gain of those who may speak, or 0 for silence."""
    return gain_BN.masked_fill(~may_BN, 0.0).max(dim=1).values.clamp(min=0.0)


def redrawn(spoke_BN: Tensor, called_BN: Tensor) -> tuple[Tensor, Tensor]:
    """Draws a call, one of the last ones, and who had spoken before it, from all that have spoken.

    Of those others a number is drawn uniformly, then who they are.

    Args:
        spoke_BN: Mask of those that have spoken, with the last ones.
        called_BN: Mask of those that spoke last.

    Returns:
        Masks [B, N] of the agents that had spoken before the call, and of the agent that is called; both are empty
        where nobody spoke last.
    """
    draw_BN = torch.rand_like(spoke_BN, dtype=torch.float32)
    call_BN = F.one_hot(draw_BN.masked_fill(~called_BN, -1.0).argmax(dim=1), spoke_BN.shape[1]).bool() & called_BN
    other_BN = spoke_BN & ~call_BN & called_BN.any(dim=1, keepdim=True)
    place_BN = torch.rand_like(draw_BN).masked_fill(~other_BN, 2.0).argsort(dim=1).argsort(dim=1)
    count_B1 = (torch.rand_like(draw_BN[:, :1]) * (other_BN.sum(dim=1, keepdim=True) + 1)).floor()
    return other_BN & (place_BN < count_B1), call_BN


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
