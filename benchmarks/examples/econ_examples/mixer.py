"""A mixer: the mean of the local values, with weights from each agent's controls and the group representation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents.networks import MixerShape
from econ_agents.testing import check_mixer


class WeightedMean(nn.Module):
    """Q_tot = mean_i softplus(w . (e_i, E)) Q_i + v . E; with positive weights, so Q_tot rises with every Q_i.

    Args:
        shape: Sizes of its inputs.
    """

    def __init__(self, shape: MixerShape) -> None:
        super().__init__()
        self.weigh = nn.Linear(shape.action_dim + shape.group_dim, 1)
        self.offset = nn.Linear(shape.group_dim, 1)

    def forward(self, q_BN: Tensor, act_BNA: Tensor, group_BE: Tensor) -> Tensor:
        """Q_tot [B]."""
        group_BNE = group_BE[:, None].expand(-1, q_BN.shape[1], -1)
        weight_BN = F.softplus(self.weigh(torch.cat([act_BNA, group_BNE], dim=-1))).squeeze(-1)
        offset_B: Tensor = self.offset(group_BE).squeeze(-1)
        return (weight_BN * q_BN).mean(dim=1) + offset_B


if __name__ == "__main__":
    check_mixer(WeightedMean)
