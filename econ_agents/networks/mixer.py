"""The mixer: combines local values into the team's value, which never falls when a local value rises.

Axes: B batch, N agents, M candidates, A controls, E group, W width of the mixer, X width of a commitment, K clusters,
C members of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents import plugins
from econ_agents.errors import ConfigError, TeamError
from econ_agents.networks.attention import self_attention
from econ_agents.networks.clusters import attend_within, equal_clusters
from econ_agents.networks.layers import mlp

LEAK = 0.1
"""Slope of the mixing function far below 0, so that it is not flat there."""


class Mixed(NamedTuple):
    """Output of the mixer."""

    total_B: Tensor
    """Q_tot."""
    features_BNW: Tensor | None = None
    """F_i; None where the mixer has none."""


class MixerShape(NamedTuple):
    """Sizes that a mixer is made for."""

    n_agents: int
    """N. A mixer whose parameters do not depend on N also works for other team sizes, if agents share parameters."""
    action_dim: int
    """A."""
    group_dim: int
    """E."""
    dim: int
    """W, the width that `network.mixer_dim` asks for."""


class TeamMixer(Protocol):
    """Mixes local values into the team's value; a torch module, trained with the coordinator's step size.

    `econ_agents.testing.check_mixer` tests all requirements.

    Example:
        >>> class Sum(nn.Module):
        ...     def __init__(self, shape: MixerShape) -> None:
        ...         super().__init__()
        ...     def forward(self, q_BN: Tensor, act_BNA: Tensor, group_BE: Tensor) -> Tensor:
        ...         return q_BN.sum(dim=1)
    """

    def forward(self, q_BN: Tensor, act_BNA: Tensor, group_BE: Tensor) -> Tensor:
        """Q_tot [B], which must not fall when any Q_i rises, whatever the parameters are.

        Args:
            q_BN: Local values.
            act_BNA: Controls in [-1, 1].
            group_BE: The group representation.
        """


MakesMixer = Callable[[MixerShape], nn.Module]
"""The object registered under a mixer's name: its class, or a function that makes a `TeamMixer`."""


class Mixer(nn.Module):
    """Self-attention over {e_i} gives w_i; (w_i, E) gives F_i; weights made from F_i mix Q_i monotonically into Q_tot.

    The mixing is that of QMIX (Rashid et al. 2018) with weights from each agent's features instead of a global state:
    h = f(mean_i softplus(U F_i) Q_i + b), Q_tot = softplus(V mean_i F_i) . h + v(mean_i F_i). Weights are not negative
    and f(x) = ELU(x) + x / 10 rises everywhere, so dQ_tot / dQ_i > 0; ELU alone would be flat far below 0 and could not
    distinguish large negative returns. Q_tot also depends on the controls through F_i: the value of one agent's e_i may
    depend on the others' (this coupling makes the choice of e a game).

    With clusters, agents attend only to their neighbours, and the means over agents join clusters (a mean field, as in
    Yang et al. 2018, arXiv:1802.05438): a deviation changes the features of its own cluster and the means.

    Args:
        action_dim: A.
        group_dim: E.
        dim: W.
        heads: Attention heads.
        commitment_dim: X, or 0 if observations hold no commitment.
        learned: If False, Q_tot is the plain mean of the Q_i (an ablation: agents then learn independently).
        cluster_size: Largest number of agents that attend to one another; 0 for all.
    """

    def __init__(
        self,
        action_dim: int,
        group_dim: int,
        *,
        dim: int,
        heads: int,
        commitment_dim: int,
        learned: bool,
        cluster_size: int = 0,
    ) -> None:
        super().__init__()
        self.cluster_size = cluster_size
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
        features_BNW = self._features(act_BNA, group_BE)
        if not self.learned:
            return Mixed(q_BN.mean(dim=1), features_BNW)
        weighed_BNW = self._weighed(q_BN, features_BNW)
        return Mixed(self._mix(weighed_BNW.mean(dim=1), features_BNW.mean(dim=1)), features_BNW)

    def deviations(
        self, q_BN: Tensor, act_BNA: Tensor, tried_BNM: Tensor, candidates_BNMA: Tensor, group_BE: Tensor
    ) -> Tensor:
        """Q_tot [B, N, M] when agent n alone plays candidate m; computes only its cluster again, at a cost linear in N.

        Args:
            q_BN: Local values of the profile.
            act_BNA: The profile.
            tried_BNM: Local values of the candidates.
            candidates_BNMA: Actions that each agent considers.
            group_BE: The group representation.
        """
        n_agents = q_BN.shape[1]
        if not self.learned:
            return (q_BN.sum(dim=1)[:, None, None] - q_BN[..., None] + tried_BNM) / n_agents
        features_BNW = self._features(act_BNA, group_BE)
        # The inputs of the means, side by side: weighted values and features.
        kept_BNx = torch.cat([self._weighed(q_BN, features_BNW), features_BNW], dim=-1)
        joined = torch.cat([kept_BNx, q_BN[..., None], act_BNA, tried_BNM, candidates_BNMA.flatten(2)], dim=-1)
        widths = [kept_BNx.shape[-1], 1, act_BNA.shape[-1], tried_BNM.shape[-1], candidates_BNMA[0, 0].numel()]
        sum_Bx = kept_BNx.sum(dim=1)
        parts = []
        for cluster in equal_clusters(joined, self.cluster_size):
            kept, q, act, tried, candidates = torch.split(cluster, widths, dim=-1)
            candidates = candidates.reshape(*tried.shape, -1)
            moved = self._moved(q.squeeze(-1), act, tried, candidates, group_BE)
            others = sum_Bx[:, None] - kept.sum(dim=2)
            parts.append((others[:, :, None, None] + moved).flatten(1, 2))
        weighed_BNMW, pooled_BNMW = (torch.cat(parts, dim=1) / n_agents).chunk(2, dim=-1)
        return self._mix(weighed_BNMW, pooled_BNMW)

    def _moved(self, q_BKC: Tensor, act_BKCA: Tensor, tried: Tensor, candidates: Tensor, group_BE: Tensor) -> Tensor:
        """Sums [B, K, C, M, 2W] over clusters in which one member at a time plays its candidates [B, K, C, M, A]."""
        B, K, C, M = tried.shape
        own = torch.eye(C, dtype=torch.bool, device=tried.device)[:, None]  # [C, 1, C]: deviating member, any member
        q = torch.where(own, tried[..., None], q_BKC[:, :, None, None])
        act = torch.where(own[..., None], candidates[..., None, :], act_BKCA[:, :, None, None])
        group = group_BE[:, None, None, None].expand(B, K, C, M, -1)
        features = self._features(act.flatten(0, 3), group.flatten(0, 3))
        both = torch.cat([self._weighed(q.flatten(0, 3), features), features], dim=-1)
        return both.sum(dim=1).view(B, K, C, M, -1)

    def _features(self, act_BNA: Tensor, group_BE: Tensor) -> Tensor:
        tokens = self.inward(act_BNA)
        w_BNW = self.norm(tokens + attend_within(partial(self_attention, self.attention), tokens, self.cluster_size))
        group_BNE = group_BE[:, None].expand(-1, act_BNA.shape[1], -1)
        return torch.tanh(self.features(torch.cat([w_BNW, group_BNE], dim=-1)))

    def _weighed(self, q_BN: Tensor, features_BNW: Tensor) -> Tensor:
        return F.softplus(self.local_weight(features_BNW)) * q_BN[..., None]

    def _mix(self, weighed_xW: Tensor, pooled_xW: Tensor) -> Tensor:
        """Q_tot from the means over agents of weighted local values and of features."""
        mixed_xW = weighed_xW + self.local_bias(pooled_xW)
        hidden_xW = F.elu(mixed_xW) + LEAK * mixed_xW
        total_xW = F.softplus(self.total_weight(pooled_xW))
        total_x: Tensor = (total_xW * hidden_xW).mean(dim=-1) + self.total_bias(pooled_xW).squeeze(-1)
        return total_x

    def align(self, features_BNW: Tensor) -> Tensor | None:
        """Features in the space of commitments [B, N, X], or None where there are none."""
        if self.alignment is None:
            return None
        aligned: Tensor = self.alignment(features_BNW)
        return aligned


class PluggedMixer(nn.Module):
    """A third-party mixer in place of `Mixer`; it has no features, so the similarity loss does not apply.

    Args:
        inner: A `TeamMixer`.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, q_BN: Tensor, act_BNA: Tensor, group_BE: Tensor) -> Mixed:
        """Q_tot for local values [B, N], controls in [-1, 1] and a group representation.

        Raises:
            TeamError: The mixer's output has another shape.
        """
        total_B: Tensor = self.inner(q_BN, act_BNA, group_BE)
        if total_B.shape != q_BN.shape[:1]:
            raise TeamError(f"a mixer must return a value per row, {tuple(q_BN.shape[:1])}, got {tuple(total_B.shape)}")
        return Mixed(total_B)

    def align(self, features_BNW: Tensor) -> None:
        """Always None: it has no features."""


def make_mixer(
    name: str, shape: MixerShape, *, heads: int, commitment_dim: int, cluster_size: int
) -> Mixer | PluggedMixer:
    """Make the mixer with this name.

    Args:
        name: `attention`, `mean`, the name of a registered mixer, or `module:attribute`.
        shape: Sizes.
        heads: As for `Mixer`; like the arguments below, used only there.
        commitment_dim: As for `Mixer`.
        cluster_size: As for `Mixer`.

    Raises:
        ConfigError: The name is unknown, the import fails, or the object makes no torch module.
    """
    if name in plugins.BUILT_IN[plugins.MIXERS]:
        return Mixer(
            shape.action_dim,
            shape.group_dim,
            dim=shape.dim,
            heads=heads,
            commitment_dim=commitment_dim,
            learned=name == "attention",
            cluster_size=cluster_size,
        )
    made = plugins.made_by(plugins.load_plugin(plugins.MIXERS, name), f"mixer {name}", shape)
    if not isinstance(made, nn.Module):
        raise ConfigError(f"mixer {name}: it must make a torch.nn.Module, not {type(made).__name__}")
    return PluggedMixer(made)
