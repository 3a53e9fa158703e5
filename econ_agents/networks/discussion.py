"""Reads what was said in a decision out of observations: who has spoken, which answers are the same, and each reply.

Axes: B batch, N agents, D numbers about a reply.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from econ_agents.team_spec import DISCUSSION, TeamSpec

SPOKEN, ANSWERED, LENGTH, CONFIDENCE, PRICE, ANSWER = 0, 1, 7, 10, 12, 13
"""Places in the part `discussion`: has it spoken, has its reply an answer, how long is the reply, how sure were its
tokens, what does a call cost, and a number that agents with the same answer share."""

PRICE_SCALE = 0.1
"""A price p is seen as p / (p + this), as the environment shows it."""

REPLY_PARTS = ("answer_numbers", "reply_confidence", "working")
"""Parts of an observation that describe the agent's own reply alone."""


class Said(NamedTuple):
    """What was said so far."""

    reply_BND: Tensor
    """Numbers that describe each agent's reply; 0 where it has not spoken."""
    spoke_BN: Tensor
    """Whether each agent has spoken."""
    answered_BN: Tensor
    """Whether its reply has an answer."""
    same_BNN: Tensor
    """Whether two agents, who may be one, have the same answer."""
    price_B: Tensor
    """What a call, or another unit of what calls come to, costs, in reward."""

    def rows(self, mask_B: Tensor) -> Said:
        """Some of the decisions alone."""
        return Said(*(part[mask_B] for part in self))

    def of(self, heard_BN: Tensor) -> Said:
        """The same if only these agents, a mask, had spoken."""
        return Said(
            self.reply_BND * heard_BN[..., None],
            self.spoke_BN & heard_BN,
            self.answered_BN & heard_BN,
            self.same_BNN & heard_BN[:, :, None] & heard_BN[:, None, :],
            self.price_B,
        )


class DiscussionReader:
    """Reads observations of a team.

    Args:
        spec: The team's shape; its observations have the part `discussion`.
    """

    def __init__(self, spec: TeamSpec) -> None:
        start = _start(spec)
        parts = [spec.part(name) for name in REPLY_PARTS]
        described = [place for part in parts if part is not None for place in range(*part)]
        self._reply = torch.tensor([start + ANSWERED, start + LENGTH, start + CONFIDENCE, *described])
        self._spoken, self._answered, self._answer = start + SPOKEN, start + ANSWERED, start + ANSWER
        self._price = start + PRICE

    @property
    def width(self) -> int:
        """D."""
        return len(self._reply)

    def silent(self, obs_BND: Tensor) -> Tensor:
        """Mask [B, N] of the agents that have not spoken in this decision."""
        return obs_BND[..., self._spoken] < 0.5

    def __call__(self, obs_BND: Tensor) -> Said:
        """What observations [B, N, x] say."""
        answered_BN = obs_BND[..., self._answered] > 0.5
        answer_BN = obs_BND[..., self._answer]
        seen_B = obs_BND[:, 0, self._price].clamp(max=1.0 - 1e-6)  # the same for all agents
        both_BNN = answered_BN[:, :, None] & answered_BN[:, None, :]
        return Said(
            obs_BND[..., self._reply.to(obs_BND.device)],
            ~self.silent(obs_BND),
            answered_BN,
            both_BNN & (answer_BN[:, :, None] == answer_BN[:, None, :]),
            PRICE_SCALE * seen_B / (1.0 - seen_B),
        )


def has_discussion(spec: TeamSpec) -> bool:
    """Whether a team's observations say what was said, as `DiscussionReader` needs it."""
    part = spec.part(DISCUSSION)
    return part is not None and part[1] - part[0] > ANSWER


def _start(spec: TeamSpec) -> int:
    part = spec.part(DISCUSSION)
    assert part is not None
    return part[0]
