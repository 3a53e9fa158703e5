"""What is known of each agent before it speaks: how often it was right, and what its calls come to.

Axes: B batch, N agents, C codes of agents.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

HORIZON = 20_000.0
"""Calls of an agent after which older ones begin to fade."""


class Records(nn.Module):
    """Means over the calls of each agent in training.

    Args:
        codes: Agents that are told apart; agents whose numbers differ by a multiple of it share a record.
    """

    count_C: Tensor
    right_C: Tensor
    amount_C: Tensor

    def __init__(self, codes: int) -> None:
        super().__init__()
        for name in ("count_C", "right_C", "amount_C"):
            self.register_buffer(name, torch.zeros(codes))

    @torch.no_grad()
    def observe(self, spoke_BN: Tensor, right_BN: Tensor, amount_BN: Tensor) -> None:
        """Add calls: who was asked (1 or 0), whether it was right, and what its call came to, in units of a price."""
        code_N = torch.arange(spoke_BN.shape[1], device=spoke_BN.device) % len(self.count_C)
        calls_C = torch.zeros_like(self.count_C).index_add_(0, code_N, spoke_BN.sum(0))
        total_C = self.count_C + calls_C
        for mean_C, value_BN in ((self.right_C, right_BN), (self.amount_C, amount_BN)):
            sum_C = torch.zeros_like(mean_C).index_add_(0, code_N, (value_BN * spoke_BN).sum(0))
            mean_C.add_((sum_C - calls_C * mean_C) / total_C.clamp(min=1.0))
        self.count_C.copy_(total_C.clamp(max=HORIZON))

    def odds(self, n_agents: int) -> Tensor:
        """Log odds [N] that an agent's next reply is right, by the rule of succession; 0 before its first call."""
        right_C, wrong_C = self.right_C * self.count_C, (1.0 - self.right_C) * self.count_C
        return self._of((right_C + 1.0).log() - (wrong_C + 1.0).log(), n_agents)

    def amounts(self, n_agents: int) -> Tensor:
        """What an agent's call [N] is expected to come to; 1 before its first call."""
        return self._of(torch.where(self.count_C > 0, self.amount_C, 1.0), n_agents)

    def _of(self, value_C: Tensor, n_agents: int) -> Tensor:
        return value_C[torch.arange(n_agents, device=value_C.device) % len(value_C)]
