"""Decisions by hand, for tests of who speaks and whom to believe."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from econ_agents.networks.discussion import Said


def row(*values: float) -> Tensor:
    """Numbers of the agents in one decision, [1, N]."""
    return torch.tensor([values], dtype=torch.float32)


def said(
    spoke: Sequence[int], answers: Sequence[int], numbers: Sequence[Sequence[float]] | None = None, price: float = 0.0
) -> Said:
    """What was said in one decision: who has spoken, and a number for each answer, -1 for none."""
    spoke_BN, answer_BN = torch.tensor([spoke], dtype=torch.bool), torch.tensor([answers])
    answered_BN = spoke_BN & (answer_BN >= 0)
    same_BNN = (answer_BN[:, :, None] == answer_BN[:, None, :]) & answered_BN[:, :, None] & answered_BN[:, None, :]
    given = torch.ones(1, len(spoke), 2) if numbers is None else torch.tensor([numbers], dtype=torch.float32)
    return Said(given * spoke_BN[..., None], spoke_BN, answered_BN, same_BNN, torch.tensor([price]))
