"""Who speaks next, and whom to believe: what a call would gain, and how likely each answer is right.

Axes: B batch, N agents, D numbers about a reply, X inputs of the evidence, C code of an agent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents.networks.belief import ObservationNorm
from econ_agents.networks.discussion import Said
from econ_agents.networks.layers import mlp

LARGEST_ODDS = 5.0
"""Log odds beyond this count as this."""

CODES = 16
"""Agents that are told apart; agents whose numbers differ by a multiple of it share what is learned of one."""

LARGEST_INPUT = 3.0
"""Normalised numbers about replies are clipped here."""

SURE = 1e-4
"""Least probability of an answer to be right, and to be wrong."""

SUMMARY = 5
"""Numbers that sum up beliefs: see `Voice`."""


class Voices(NamedTuple):
    """What agents expect after some rounds of a decision."""

    odds_BN: Tensor
    """Log odds that each agent's answer is right, given all that was said; equal for agents with the same answer."""
    evidence_BN: Tensor
    """How much each reply speaks for its own answer, in nats, >= 0; 0 without an answer."""
    gain_BN: Tensor
    """What the team gains, until the end of the decision, if this agent alone speaks next instead of all being silent;
    the price of its call is taken off."""


class Voice(nn.Module):
    """Beliefs about the answers that stand, and the gain of a call.

    Each reply is evidence for its own answer, as much as its agent and its numbers (length, confidence, what the answer
    is) say. The evidence for an answer adds up over the replies that gave it, as log odds of independent votes do
    (Nitzan and Paroush 1982), and a softmax over the answers and "none of them" gives their probabilities: so they are
    coherent, and few parameters are learned. They are trained by their log score, the binary cross-entropy with TS, a
    proper score: it is best for the true probability alone (Gneiting and Raftery 2007,
    https://doi.org/10.1198/016214506000001437).

    The gain of a call is the agent's gain from speaking in the game in which calls cost and one good reply serves all
    (the volunteer's dilemma), against silent others. It is read from the probabilities of the two best answers and of
    none, the log odds of the best, the share of the team that has spoken, and who that was.

    Args:
        width: D.
        hidden_dim: Width of the hidden layers.
        constant: c: the evidence of a reply is log odds plus this, so it starts at c.
        dropout: Share of hidden units dropped in training, in [0, 1).
    """

    def __init__(self, width: int, hidden_dim: int, constant: float, dropout: float) -> None:
        super().__init__()
        inputs = 2 * width
        self.constant = constant
        self.norm = ObservationNorm(torch.arange(width))
        self.summary_norm = ObservationNorm(torch.arange(SUMMARY))
        self.evidence = nn.Linear(inputs, 1)
        self.own_evidence = nn.Linear(CODES, inputs + 1, bias=False)
        self.doubt = nn.Linear(inputs + CODES, 1)
        self.seen = mlp([SUMMARY + CODES, hidden_dim, hidden_dim], dropout)
        self.gain = nn.Sequential(nn.LayerNorm(hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, 1 + CODES))
        for layer in (self.evidence, self.own_evidence, self.doubt, self.gain[-1]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        # softplus(bias) = c; a constant of 0 would never be left again.
        nn.init.constant_(self.evidence.bias, math.log(math.expm1(max(constant, 0.1))))

    def observe(self, said: Said) -> None:
        """Add replies to the input statistics."""
        if bool(said.spoke_BN.any()):
            self.norm.update(said.reply_BND[said.spoke_BN])

    def forward(self, said: Said) -> Voices:
        """Odds, evidence and gains, all [B, N]."""
        code_NC = agent_code(said.spoke_BN.shape[1]).to(said.reply_BND)
        input_BNX = self._inputs(said)
        evidence_BN = self._evidence(input_BNX, code_NC) * said.answered_BN
        share_BN, none_B1 = self._probabilities(said, evidence_BN, input_BNX, code_NC)
        summary_Bx = _summary(said, share_BN.detach(), none_B1.detach())
        if self.training:
            self.summary_norm.update(summary_Bx)
        gain_BN = self._gain(said, summary_Bx, code_NC)
        return Voices(torch.logit(share_BN.clamp(SURE, 1.0 - SURE)), evidence_BN, gain_BN)

    def _inputs(self, said: Said) -> Tensor:
        number_BND = self.norm(said.reply_BND).clamp(-LARGEST_INPUT, LARGEST_INPUT)
        both_BNX = torch.cat([number_BND, number_BND.square() - 1.0], dim=-1)
        return both_BNX * said.spoke_BN[..., None]

    def _evidence(self, input_BNX: Tensor, code_NC: Tensor) -> Tensor:
        own_NX, bias_N1 = self.own_evidence(code_NC).split([input_BNX.shape[-1], 1], dim=-1)
        raw_BN = self.evidence(input_BNX).squeeze(-1) + (input_BNX * own_NX).sum(-1) + bias_N1.squeeze(-1)
        return F.softplus(raw_BN).clamp(max=LARGEST_ODDS + self.constant)

    def _probabilities(
        self, said: Said, evidence_BN: Tensor, input_BNX: Tensor, code_NC: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How likely each agent's answer is right, [B, N], and that none is, [B, 1]."""
        spoke_BN1 = said.spoke_BN[..., None].to(evidence_BN)
        doubt_BNx = torch.cat([input_BNX, code_NC.expand(len(input_BNX), -1, -1)], dim=-1) * spoke_BN1
        none_B1 = self.doubt(doubt_BNx.sum(dim=1))
        answer_BN = (said.same_BNN * evidence_BN[:, None, :]).sum(-1)
        # Each of the n agents with an answer carries 1 / n of it.
        part_BN = answer_BN - said.same_BNN.sum(-1).clamp(min=1).log()
        all_BN = torch.cat([part_BN.masked_fill(~said.answered_BN, -torch.inf), none_B1], dim=1)
        total_B1 = all_BN.logsumexp(dim=1, keepdim=True)
        share_BN = (answer_BN - total_B1).exp().masked_fill(~said.answered_BN, 0.0)
        return share_BN, (none_B1 - total_B1).exp()

    def _gain(self, said: Said, summary_Bx: Tensor, code_NC: Tensor) -> Tensor:
        who_BC = said.spoke_BN.to(summary_Bx) @ code_NC
        seen_Bx = torch.cat([self.summary_norm(summary_Bx), who_BC], dim=1)
        common_B1, own_BC = self.gain(self.seen(seen_Bx)).split([1, CODES], dim=1)
        gain_BN: Tensor = common_B1 + own_BC @ code_NC.T
        return gain_BN

    def weights(self, evidence_BN: Tensor) -> Tensor:
        """The control `weight` [B, N] in [-1, 1]: the evidence as a share of the largest.

        So the answer with the largest sum of weights is the one that is most likely right.
        """
        share_BN = evidence_BN / (LARGEST_ODDS + self.constant)
        return 2.0 * share_BN.clamp(0.0, 1.0) - 1.0


def _summary(said: Said, share_BN: Tensor, none_B1: Tensor) -> Tensor:
    """Probabilities of the two best answers and of none, log odds of the best, share of the team that has spoken."""
    first_B1 = share_BN.max(dim=1, keepdim=True).values
    second_B1 = share_BN.masked_fill(share_BN >= first_B1, 0.0).max(dim=1, keepdim=True).values
    odds_B1 = torch.logit(first_B1.clamp(SURE, 1.0 - SURE))
    spoken_B1 = said.spoke_BN.to(share_BN).mean(dim=1, keepdim=True)
    return torch.cat([first_B1, second_B1, none_B1, odds_B1, spoken_B1], dim=1)


def agent_code(n_agents: int) -> Tensor:
    """1 [N, CODES] at the agent's own place, the same for every team size."""
    return F.one_hot(torch.arange(n_agents) % CODES, CODES)


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
