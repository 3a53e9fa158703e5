"""Whom to believe: how much each reply speaks for its answer, and how likely each answer is right.

Axes: B batch, N agents, D numbers about a reply, C code of an agent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents.networks.belief import ObservationNorm
from econ_agents.networks.discussion import Said

LARGEST_ODDS = 5.0
"""Log odds beyond this count as this."""

CODES = 16
"""Agents that are told apart; agents whose numbers differ by a multiple of it share what is learned of one."""

LARGEST_INPUT = 3.0
"""Normalised numbers about replies are clipped here."""

FIRST_OVERLAP = 0.1
"""Overlap of replies before anything is learned."""

WIDE = 0.1
"""How strongly weights that all agents share, and numbers of their own, are drawn to 0, as a share of the others."""


class Trusted(NamedTuple):
    """What is believed of the answers that stand."""

    evidence_BN: Tensor
    """How much each reply speaks for its own answer beside those that gave it, too, in nats, >= 0; 0 without one."""
    part_BN: Tensor
    """Logarithm of what each agent carries of the probability that its answer is right: each of the n agents that gave
    it carries 1 / n; -inf without an answer."""
    none_B: Tensor
    """Logarithm of the probability that no answer is right."""
    share_BN: Tensor
    """The probability that each agent's answer is right; equal for equal answers, 0 without one."""


class Trust(nn.Module):
    """Beliefs about the answers that stand.

    Each reply is evidence for its own answer, as much as its agent and its numbers (length, confidence, what the answer
    is) say. The evidence for an answer adds up over the n replies that gave it, as log odds of independent votes do
    (Nitzan and Paroush 1982), divided by 1 + (n - 1) r: replies repeat one another to some degree r, learned in [0, 1],
    and count as n / (1 + (n - 1) r) independent ones (the design effect, Kish 1965). A softmax over the answers and
    "none of them" gives their probabilities: so they are coherent, and few parameters are learned. They are trained by
    their log score, which is proper: it is best for the true probabilities alone (Gneiting and Raftery 2007,
    https://doi.org/10.1198/016214506000001437).

    Args:
        width: D.
        constant: c: the evidence of a reply is log odds plus this, so it starts at c.
    """

    def __init__(self, width: int, constant: float) -> None:
        super().__init__()
        self.norm = ObservationNorm(torch.arange(width))
        self.evidence = nn.Linear(width, 1)
        self.own_evidence = nn.Linear(CODES, width + 1, bias=False)
        self.doubt = nn.Linear(width, 1)
        self.own_doubt = nn.Linear(CODES, 1, bias=False)
        self.overlap = nn.Parameter(torch.tensor(math.log(FIRST_OVERLAP / (1.0 - FIRST_OVERLAP))))
        self.largest = LARGEST_ODDS + constant
        for layer in (self.evidence, self.own_evidence, self.doubt, self.own_doubt):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        # softplus(bias) = c; a constant of 0 would never be left again.
        nn.init.constant_(self.evidence.bias, math.log(math.expm1(max(constant, 0.1))))

    def observe(self, said: Said) -> None:
        """Add replies to the input statistics."""
        if bool(said.spoke_BN.any()):
            self.norm.update(said.reply_BND[said.spoke_BN])

    def forward(self, said: Said) -> Trusted:
        """What is believed after what was said."""
        code_NC = agent_code(said.spoke_BN.shape[1]).to(said.reply_BND)
        number_BND = self.norm(said.reply_BND).clamp(-LARGEST_INPUT, LARGEST_INPUT)
        agreeing_BN = said.same_BNN.sum(-1).clamp(min=1)
        evidence_BN = self._evidence(number_BND, code_NC) * said.answered_BN
        evidence_BN = evidence_BN / (1.0 + (agreeing_BN - 1) * torch.sigmoid(self.overlap))
        doubt_BN = self.doubt(number_BND).squeeze(-1) + self.own_doubt(code_NC).squeeze(-1)
        none_B1 = (doubt_BN * said.spoke_BN).sum(1, keepdim=True)
        answer_BN = (said.same_BNN * evidence_BN[:, None, :]).sum(-1)
        part_BN = (answer_BN - agreeing_BN.log()).masked_fill(~said.answered_BN, -torch.inf)
        total_B1 = torch.cat([part_BN, none_B1], dim=1).logsumexp(dim=1, keepdim=True)
        share_BN = (answer_BN - total_B1).exp().masked_fill(~said.answered_BN, 0.0)
        return Trusted(evidence_BN, part_BN - total_B1, (none_B1 - total_B1).squeeze(1), share_BN)

    def _evidence(self, number_BND: Tensor, code_NC: Tensor) -> Tensor:
        own_ND, bias_N1 = self.own_evidence(code_NC).split([number_BND.shape[-1], 1], dim=-1)
        raw_BN = self.evidence(number_BND).squeeze(-1) + (number_BND * own_ND).sum(-1) + bias_N1.squeeze(-1)
        return F.softplus(raw_BN).clamp(max=self.largest)

    def penalty(self) -> Tensor:
        """Half the sum of squares of all weights, a scalar; see `WIDE`.

        Agents tell little apart in a few hundred decisions: without it, weights of their own learn the decisions by
        heart. Doubt, which needs only to be the same for all, has none of its own but one number an agent.
        """
        own_xC = self.own_evidence.weight
        strong = own_xC[:-1].square().sum() + self.doubt.weight.square().sum()
        wide = self.evidence.weight.square().sum() + own_xC[-1].square().sum() + self.own_doubt.weight.square().sum()
        penalty: Tensor = 0.5 * (strong + WIDE * wide)
        return penalty

    def weights(self, evidence_BN: Tensor) -> Tensor:
        """The control `weight` [B, N] in [-1, 1]: the evidence as a share of the largest.

        So the answer with the largest sum of weights is the one that is most likely right.
        """
        return 2.0 * (evidence_BN / self.largest).clamp(0.0, 1.0) - 1.0


def agent_code(n_agents: int) -> Tensor:
    """1 [N, CODES] at the agent's own place, the same for every team size."""
    return F.one_hot(torch.arange(n_agents) % CODES, CODES)
