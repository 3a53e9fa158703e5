"""The mixer: combines local values into the team's value, which never falls when a local value rises.

Axes: B batch, N agents, M candidates, A controls, E group, W width of the mixer, X width of a commitment, K clusters,
C members of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents import plugins
from econ_agents.errors import ConfigError, TeamError
from econ_agents.networks.attention import self_attention
from econ_agents.networks.clusters import attend_within, cluster_sizes, equal_clusters
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

    Examples:
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

        Equal to `forward` on each changed profile. All that does not depend on the candidate is computed once: tokens,
        queries, keys and values of the others, and the part of E in the features.

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
        clusters = len(cluster_sizes(n_agents, self.cluster_size))
        # The inputs of the means, side by side: weighted values and features.
        sum_B1x: Tensor | float = 0.0
        if clusters > 1:
            features_BNW = self._features(act_BNA, group_BE)
            kept_BNx = torch.cat([self._weighed(q_BN, features_BNW), features_BNW], dim=-1)
            sum_B1x = kept_BNx.sum(dim=1, keepdim=True)
        else:
            kept_BNx = q_BN.new_zeros(*q_BN.shape, 0)
        joined = torch.cat([kept_BNx, q_BN[..., None], act_BNA, tried_BNM, candidates_BNMA.flatten(2)], dim=-1)
        widths = [kept_BNx.shape[-1], 1, act_BNA.shape[-1], tried_BNM.shape[-1], candidates_BNMA[0, 0].numel()]
        parts = []
        for cluster in equal_clusters(joined, self.cluster_size):
            kept, q, act, tried, candidates = torch.split(cluster, widths, dim=-1)
            candidates = candidates.reshape(*tried.shape, -1)
            moved = self._moved(q.squeeze(-1), act, tried, candidates, group_BE)
            if clusters > 1:
                moved = moved + (sum_B1x - kept.sum(dim=2))[:, :, None, None]
            parts.append(moved.flatten(1, 2))
        weighed_BNMW, pooled_BNMW = (torch.cat(parts, dim=1) / n_agents).chunk(2, dim=-1)
        return self._mix(weighed_BNMW, pooled_BNMW)

    def screen(
        self, q_BN: Tensor, act_BNA: Tensor, tried_BNM: Tensor, candidates_BNMA: Tensor, group_BE: Tensor
    ) -> Tensor:
        """About `deviations`, at a fraction of its cost: the others' features stay those of the profile.

        Args:
            q_BN: As for `deviations`, like the other arguments.
            act_BNA: The profile.
            tried_BNM: Local values of the candidates.
            candidates_BNMA: Actions that each agent considers.
            group_BE: The group representation.
        """
        n_agents = q_BN.shape[1]
        if not self.learned:
            return self.deviations(q_BN, act_BNA, tried_BNM, candidates_BNMA, group_BE)
        features_BNW = self._features(act_BNA, group_BE)
        kept_BNx = torch.cat([self._weighed(q_BN, features_BNW), features_BNW], dim=-1)
        others_BNx = kept_BNx.sum(dim=1, keepdim=True) - kept_BNx
        joined = torch.cat([act_BNA, candidates_BNMA.flatten(2)], dim=-1)
        parts = []
        for cluster in equal_clusters(joined, self.cluster_size):
            act, candidates = cluster[..., : act_BNA.shape[-1]], cluster[..., act_BNA.shape[-1] :]
            new = self.inward(candidates.reshape(*act.shape[:-1], -1, act.shape[-1]))
            parts.append((new + self._own_attended(self.inward(act), new)).flatten(1, 2))
        own_BNMW = self._outward(self.norm(torch.cat(parts, dim=1)), group_BE[:, None, None])
        weighed_BNMW = others_BNx[:, :, None, : own_BNMW.shape[-1]] + self._weighed(tried_BNM, own_BNMW)
        pooled_BNMW = others_BNx[:, :, None, own_BNMW.shape[-1] :] + own_BNMW
        return self._mix(weighed_BNMW / n_agents, pooled_BNMW / n_agents)

    def _own_attended(self, kept: Tensor, new: Tensor) -> Tensor:
        """Attention [B, K, C, M, W] of a new token [B, K, C, M, W] among the other kept tokens [B, K, C, W]."""
        module = self.attention
        heads, dim = module.num_heads, module.head_dim
        weight, bias = module.in_proj_weight, module.in_proj_bias
        (B, K, C, W), M = kept.shape, new.shape[3]
        _, k, v = F.linear(kept, weight, bias).view(B, K, C, 3, heads, dim).permute(3, 0, 1, 4, 2, 5)
        new_q, new_k, new_v = F.linear(new, weight, bias).view(B, K, C * M, 3, heads, dim).permute(3, 0, 1, 4, 2, 5)
        new_q = new_q * dim**-0.5
        both = (B, K, heads, C, M)
        itself = (new_q * new_k).sum(dim=-1).view(*both, 1)
        own = torch.eye(C, dtype=torch.bool, device=kept.device)[:, None]  # [C, 1, C]: deviating member, any member
        scores = torch.where(own, itself, (new_q @ k.transpose(-1, -2)).view(*both, C))
        shares = _softmax(scores)
        mixed = (shares.view(B, K, heads, C * M, C) @ v).view(*both, dim)
        to_new = torch.diagonal(shares, dim1=3, dim2=5).transpose(-1, -2)[..., None]  # [B, K, h, C, M, 1]
        mixed = mixed + to_new * (new_v.view(*both, dim) - v[..., None, :])
        outward = module.out_proj
        return F.linear(mixed.permute(0, 1, 3, 4, 2, 5).reshape(B, K, C, M, W), outward.weight, outward.bias)

    def _outward(self, attended: Tensor, group: Tensor) -> Tensor:
        """Features of tokens after attention; the part of E in their first layer is computed once a team."""
        first, width = cast(nn.Linear, self.features[0]), attended.shape[-1]
        shared = F.linear(group, first.weight[:, width:], first.bias)
        return torch.tanh(self.features[1:](F.linear(attended, first.weight[:, :width]) + shared))

    def _moved(self, q_BKC: Tensor, act_BKCA: Tensor, tried: Tensor, candidates: Tensor, group_BE: Tensor) -> Tensor:
        """Sums [B, K, C, M, 2W] over clusters in which one member at a time plays its candidates [B, K, C, M, A]."""
        C = tried.shape[2]
        own = torch.eye(C, dtype=torch.bool, device=tried.device)[:, None, :, None]  # deviating member, any member
        kept, new = self.inward(act_BKCA), self.inward(candidates)
        attended = self._attended(kept, new)  # [B, K, C, M, C, W]
        tokens = attended + torch.where(own, new[..., None, :], kept[:, :, None, None])
        features = self._outward(self.norm(tokens), group_BE[:, None, None, None, None])
        q = torch.where(own[..., 0], tried[..., None], q_BKC[:, :, None, None])
        return torch.cat([self._weighed(q, features).sum(dim=-2), features.sum(dim=-2)], dim=-1)

    def _attended(self, kept: Tensor, new: Tensor) -> Tensor:
        """Attention [B, K, C, M, C, W] of clusters of tokens [B, K, C, W] in which one is new [B, K, C, M, W].

        Scores and values of the others are those of the kept tokens; only the row and the column of the new one differ.
        """
        module = self.attention
        heads, dim = module.num_heads, module.head_dim
        weight, bias = module.in_proj_weight, module.in_proj_bias
        (B, K, C, W), M = kept.shape, new.shape[3]
        q, k, v = F.linear(kept, weight, bias).view(B, K, C, 3, heads, dim).permute(3, 0, 1, 4, 2, 5)
        new_q, new_k, new_v = F.linear(new, weight, bias).view(B, K, C * M, 3, heads, dim).permute(3, 0, 1, 4, 2, 5)
        q, new_q = q * dim**-0.5, new_q * dim**-0.5
        both = (B, K, heads, C, M)
        column = (new_k @ q.transpose(-1, -2)).view(*both, C, 1)  # others attend to the new token
        row = (new_q @ k.transpose(-1, -2)).view(*both, 1, C)  # the new token attends to the others
        itself = (new_q * new_k).sum(dim=-1).view(*both, 1, 1)
        among = (q @ k.transpose(-1, -2))[:, :, :, None, None]
        member = torch.arange(C, device=kept.device)
        asks, asked = member[:, None, None, None], member[None, None, None]  # deviating member; the one attended to
        is_row, is_column = member[:, None, None, None] == member[None, None, :, None], asks == asked
        scores = torch.where(is_row, torch.where(is_column, itself, row), torch.where(is_column, column, among))
        shares = _softmax(scores)  # [B, K, h, C, M, C, C]
        mixed = (shares.view(B, K, heads, C * M * C, C) @ v).view(*both, C, dim)
        change = new_v.view(*both, dim) - v[..., None, :]
        to_new = shares.gather(-1, asks.expand(*both, C, 1))
        mixed = mixed + to_new * change[..., None, :]
        outward = module.out_proj
        return F.linear(mixed.permute(0, 1, 3, 4, 5, 2, 6).reshape(B, K, C, M, C, W), outward.weight, outward.bias)

    def _features(self, act_BNA: Tensor, group_BE: Tensor) -> Tensor:
        tokens = self.inward(act_BNA)
        w_BNW = self.norm(tokens + attend_within(partial(self_attention, self.attention), tokens, self.cluster_size))
        return self._outward(w_BNW, group_BE[:, None])

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


def _softmax(scores: Tensor) -> Tensor:
    """Softmax over the last axis; torch's own takes five times as long for the few members of a cluster."""
    shares = torch.exp(scores - scores.detach().amax(dim=-1, keepdim=True))
    return shares / shares.sum(dim=-1, keepdim=True)


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
