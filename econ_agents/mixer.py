"""The mixer: local values become the team's value, never falling when a local value rises.

Axes: B batch, N agents, A controls, E group, W width of the mixer, X width of a commitment.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents.belief import mlp


class Mixed(NamedTuple):
    """What the mixer makes of local values."""

    total_B: Tensor
    """Q_tot."""
    features_BNW: Tensor
    """F_i."""


class Mixer(nn.Module):
    """Self-attention over {e_i} gives w_i; (w_i, E) gives F_i; weights made from F_i mix Q_i monotonically into Q_tot.

    The mixing is that of QMIX (Rashid et al. 2018) with weights from each agent's features instead of a global state:
    h = ELU(mean_i softplus(U F_i) Q_i + b), Q_tot = softplus(V mean_i F_i) . h + v(mean_i F_i). Weights are not
    negative and ELU does not decrease, so dQ_tot / dQ_i >= 0. Q_tot also depends on the controls through F_i: what one
    agent's e_i is worth may depend on the others' (that coupling makes the choice of e a game).

    Args:
        action_dim: A.
        group_dim: E.
        dim: W.
        heads: Attention heads.
        commitment_dim: X, or 0 where observations show no commitment.
        learned: With False Q_tot is the plain mean of the Q_i (an ablation: agents then learn independently).
    """

    def __init__(
        self, action_dim: int, group_dim: int, *, dim: int, heads: int, commitment_dim: int, learned: bool
    ) -> None:
        super().__init__()
        self.learned = learned
        self.inward = nn.Linear(action_dim, dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.features = mlp([dim + group_dim, dim, dim])
        self.local_weight = nn.Linear(dim, dim)
        self.local_bias = nn.Linear(dim, dim)
        self.total_weight = nn.Linear(dim, dim)
        self.total_bias = nn.Linear(dim, 1)
        self.alignment = nn.Linear(dim, commitment_dim) if commitment_dim else None

    def forward(self, q_BN: Tensor, act_BNA: Tensor, group_BE: Tensor) -> Mixed:
        """Q_tot and features for local values [B, N], controls in [-1, 1] and a group representation."""
        n_agents = q_BN.shape[1]
        tokens = self.inward(act_BNA)
        attended, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        w_BNW = self.norm(tokens + attended)
        group_BNE = group_BE[:, None].expand(-1, n_agents, -1)
        features_BNW = torch.tanh(self.features(torch.cat([w_BNW, group_BNE], dim=-1)))
        if not self.learned:
            return Mixed(q_BN.mean(dim=1), features_BNW)
        return Mixed(self._mix(q_BN, features_BNW), features_BNW)

    def _mix(self, q_BN: Tensor, features_BNW: Tensor) -> Tensor:
        pooled_BW = features_BNW.mean(dim=1)
        local_BNW = F.softplus(self.local_weight(features_BNW))
        hidden_BW = F.elu((local_BNW * q_BN[..., None]).mean(dim=1) + self.local_bias(pooled_BW))
        total_BW = F.softplus(self.total_weight(pooled_BW))
        total_B: Tensor = (total_BW * hidden_BW).mean(dim=1) + self.total_bias(pooled_BW).squeeze(-1)
        return total_B

    def align(self, features_BNW: Tensor) -> Tensor | None:
        """Features in the space of commitments [B, N, X], or None where there are none."""
        if self.alignment is None:
            return None
        aligned: Tensor = self.alignment(features_BNW)
        return aligned
