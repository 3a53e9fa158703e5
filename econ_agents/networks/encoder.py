"""The belief encoder: all agents' beliefs become one group representation E by multi-head attention.

Axes: B batch, N agents, H belief, E group, A controls.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from econ_agents.networks.attention import encoder_block
from econ_agents.networks.clusters import attend_local_to_global
from econ_agents.networks.layers import mlp


class GroupBelief(NamedTuple):
    """Output of the encoder."""

    tokens_BNE: Tensor
    """Each agent's belief after attention to the others'."""
    group_BE: Tensor
    """E, their mean; within one cluster it does not depend on the order of the agents."""


class BeliefEncoder(nn.Module):
    """Transformer blocks over {b_i}, and a readout of each agent's value from its token and controls.

    Args:
        belief_dim: H.
        action_dim: A.
        dim: E, width of tokens and group representation.
        heads: Attention heads; keys are dim / heads wide.
        blocks: Number of blocks.
        ffn_dim: Width of the blocks' feed-forward layers.
        dropout: Share of units dropped in training, in [0, 1).
        attention: If False, agents are only averaged (an ablation).
        cluster_size: Largest number of agents that attend to one another directly (see `clusters`); 0 for all.
    """

    def __init__(
        self,
        belief_dim: int,
        action_dim: int,
        *,
        dim: int,
        heads: int,
        blocks: int,
        ffn_dim: int,
        dropout: float,
        attention: bool,
        cluster_size: int = 0,
    ) -> None:
        super().__init__()
        self.cluster_size = cluster_size
        self.inward = nn.Linear(belief_dim, dim)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(dim, heads, ffn_dim, dropout, batch_first=True, norm_first=True)
            for _ in range(blocks if attention else 0)
        )
        self.norm = nn.LayerNorm(dim)
        self.readout = mlp([dim + action_dim, dim, 1])

    def forward(self, belief_BNH: Tensor) -> GroupBelief:
        """Tokens and group representation of beliefs [B, N, H]."""
        tokens = attend_local_to_global(self._attend, self.inward(belief_BNH), self.cluster_size)
        tokens_BNE = self.norm(tokens)
        return GroupBelief(tokens_BNE, tokens_BNE.mean(dim=1))

    def _attend(self, tokens: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = encoder_block(cast(nn.TransformerEncoderLayer, block), tokens)
        return tokens

    def values(self, group: GroupBelief, act_BNA: Tensor) -> Tensor:
        """Each agent's value [B, N], read from its token and controls; used only by the encoder's own loss."""
        inputs = torch.cat([group.tokens_BNE, act_BNA], dim=-1)
        values_BN: Tensor = self.readout(inputs).squeeze(-1)
        return values_BN
