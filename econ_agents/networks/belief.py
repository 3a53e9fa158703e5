"""Belief networks: turn an agent's observation into its belief b_i, and b_i into its controls and local values.

Axes: B batch, N agents, D observation, S its static part, M memory rows, F features of a row, H belief, A controls,
C critics. An `x` stands for any leading axes.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents.errors import ConfigError
from econ_agents.networks.layers import PerAgent, call, mlp
from econ_agents.team_spec import TeamSpec

ID_CODE = 8
"""Width of the code that identifies an agent when agents share parameters."""

LARGEST_DEVIATION = 5.0
"""Normalised inputs are clipped here, so that one unusual observation has little effect on the networks."""


class ObservationNorm(nn.Module):
    """Shifts and scales the static inputs by their statistics in training; an input that never varied becomes 0.

    Text embeddings differ little from their common mean: without scaling, a network learns these differences slowly.
    The inputs of one embedding share a scale, so that the directions in which texts differ most stay the strongest, and
    small differences do not hide them. A part that was empty throughout training (such as the last commitment, with one
    round) stays 0 when it is filled later, so that it does not act through untrained weights.

    Args:
        group_S: Inputs with equal numbers share a scale; numbers count from 0.
        horizon: Rows after which older statistics begin to fade.
    """

    mean_S: Tensor
    var_S: Tensor
    count: Tensor
    group_S: Tensor

    def __init__(self, group_S: Tensor, horizon: float = 20_000.0) -> None:
        super().__init__()
        self.horizon = horizon
        self.register_buffer("group_S", group_S, persistent=False)
        self.register_buffer("sharing_G", torch.bincount(group_S).float(), persistent=False)
        self.register_buffer("mean_S", torch.zeros(len(group_S)))
        self.register_buffer("var_S", torch.zeros(len(group_S)))
        self.register_buffer("count", torch.zeros(()))

    sharing_G: Tensor

    @torch.no_grad()
    def update(self, *parts_Rx: Tensor) -> None:
        """Add rows to the statistics (Chan's parallel update).

        Args:
            parts_Rx: The inputs side by side, S in all. A part that many rows share may have each of them once, if all
                are shared equally often; the last part has all rows.
        """
        size = float(len(parts_Rx[-1]))
        total = self.count + size
        means = [part.mean(0) for part in parts_Rx]
        seen_S = torch.cat(means)
        delta_S = seen_S - self.mean_S
        # Many times faster than Tensor.var along this axis.
        spread_S = torch.cat([(part - mean).square_().mean(0) for part, mean in zip(parts_Rx, means, strict=True)])
        self.var_S.copy_((self.var_S * self.count + spread_S * size + delta_S**2 * self.count * size / total) / total)
        self.mean_S.add_(delta_S * size / total)
        self.count.copy_(total.clamp(max=self.horizon))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised inputs [..., S]; unchanged before the first update."""
        return self.parts(x)[0]

    def parts(self, *parts: Tensor) -> list[Tensor]:
        """The same for inputs [..., x] that lie side by side, S in all."""
        if self.count == 0:
            return list(parts)
        shared_G = torch.zeros_like(self.sharing_G).index_add(0, self.group_S, self.var_S) / self.sharing_G
        scale_S = torch.where(self.var_S > 1e-10, torch.rsqrt(shared_G[self.group_S] + 1e-10), 0.0)
        widths = [part.shape[-1] for part in parts]
        columns = zip(parts, torch.split(self.mean_S, widths), torch.split(scale_S, widths), strict=True)
        return [(x - mean).mul_(scale).clamp_(-LARGEST_DEVIATION, LARGEST_DEVIATION) for x, mean, scale in columns]


def id_code(n_agents: int) -> Tensor:
    """A fixed code [N, ID_CODE] of each agent's number, the same for every team size."""
    number_N = torch.arange(n_agents, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, ID_CODE, 2) * (-math.log(100.0) / ID_CODE))
    return torch.cat([torch.sin(number_N * rate), torch.cos(number_N * rate)], dim=1)


class _Body(nn.Module):
    """MLP on the static part, GRU over the memory rows, MLP to the belief; for one agent or many."""

    def __init__(self, width: int, memory_features: int, hidden_dim: int, belief_dim: int, dropout: float) -> None:
        super().__init__()
        self.inward = mlp([width, hidden_dim, hidden_dim], dropout)
        self.cell = nn.GRUCell(memory_features, hidden_dim) if memory_features else None
        self.outward = nn.Sequential(nn.LayerNorm(hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, belief_dim))

    def forward(self, memory_xMF: Tensor, static_xs: Tensor, *shared: Tensor) -> Tensor:
        """Beliefs from memory and static part; if a team shares some of that, it is given apart, see `_started`."""
        started_xH = self._started(static_xs, *shared)
        hidden_xH: Tensor = self.inward[1:](started_xH)
        if self.cell is not None and bool((memory_xMF[..., 0] > 0.5).any()):  # often all memories are still empty
            hidden = hidden_xH.flatten(0, -2)
            rows = memory_xMF.flatten(0, -3)
            for m in range(rows.shape[1]):  # oldest first; a row that is not filled changes nothing
                hidden = torch.where(rows[:, m, :1] > 0.5, self.cell(rows[:, m], hidden), hidden)
            hidden_xH = hidden.view_as(hidden_xH)
        belief: Tensor = self.outward(hidden_xH)
        return belief

    def _started(self, own_BNs: Tensor, shared_B1s: Tensor | None = None, noise_Bs: Tensor | None = None) -> Tensor:
        """The first layer [B, N, H] of what agents share, [B, 1, s], and of their own.

        Each agent of a team needs a noise of its own, or the noise would not keep the networks from overfitting. As
        one for each of all is as expensive as computing everything for each, agent n of row b gets that of row b + n.
        """
        first = cast(nn.Linear, self.inward[0])
        if shared_B1s is None:
            started: Tensor = first(own_BNs)
            return started
        B, N = own_BNs.shape[:2]
        shared_Hs, own_Hs = torch.split(first.weight, [shared_B1s.shape[-1], own_BNs.shape[-1]], dim=1)
        started = F.linear(own_BNs, own_Hs, first.bias) + F.linear(shared_B1s, shared_Hs)
        if noise_Bs is not None:
            row_BN = (torch.arange(B)[:, None] + torch.arange(N)) % B
            started = started + F.linear(noise_Bs, shared_Hs)[row_BN]
        return started


class BeliefNetwork(nn.Module):
    """b_i = MLP(GRU(MLP(static part), memory)), with the agent's number as input when parameters are shared.

    What all agents of a team see, most of an observation, goes through the first layer once a team. If an observation
    differs there, each agent's goes through it.

    Args:
        spec: The team's shape.
        hidden_dim: Width of the hidden layers and of the GRU.
        belief_dim: H, width of a belief.
        shared: One set of parameters for all agents, or one each.
        agent_id: Whether shared parameters see the agent's number.
        memory: Whether the agent's memory is read.
        dropout: Share of hidden units dropped in training, in [0, 1).
        input_noise: Standard deviation of the noise on normalised inputs in training.
        reply_scale: Factor on the embeddings of strategy, reply and commitment; the question's is 1.
    """

    def __init__(
        self,
        spec: TeamSpec,
        *,
        hidden_dim: int,
        belief_dim: int,
        shared: bool,
        agent_id: bool,
        memory: bool,
        dropout: float,
        input_noise: float,
        reply_scale: float,
    ) -> None:
        super().__init__()
        self.memory_shape = spec.memory_shape if memory else (0, 0)
        self.memory_part = slice(*(spec.part("agent_memory") or (0, 0)))
        self.uses_id = shared and agent_id
        # Only parameters that agents share can be applied to what they see once for all.
        self.shared_dim = spec.shared_dim if shared and spec.n_agents > 1 else 0
        self.norm = ObservationNorm(torch.as_tensor(spec.static_groups))
        self.input_noise = input_noise
        self.register_buffer("weight_S", torch.as_tensor(spec.static_weights(reply_scale)), persistent=False)
        width = len(spec.static_index) + (ID_CODE if self.uses_id else 0)
        self.body = PerAgent(
            lambda: _Body(width, self.memory_shape[1], hidden_dim, belief_dim, dropout), 1 if shared else spec.n_agents
        )

    weight_S: Tensor

    def observe(self, obs_BND: Tensor) -> None:
        """Add observations [B, N, D] to the input statistics."""
        *shared, own_BNs = self._static(obs_BND)
        self.norm.update(*(part_B1s[:, 0] for part_B1s in shared), own_BNs.flatten(0, 1))

    def forward(self, obs_BND: Tensor) -> Tensor:
        """Beliefs [B, N, H] of agents that see observations [B, N, D]."""
        batch, n_agents = obs_BND.shape[:2]
        parts = self.norm.parts(*self._static(obs_BND))
        weights = torch.split(self.weight_S, [part.shape[-1] for part in parts])
        *shared, own = (part * weight for part, weight in zip(parts, weights, strict=True))
        if self.training and self.input_noise > 0:
            own.add_(torch.randn_like(own), alpha=self.input_noise)
            shared += [self.input_noise * torch.randn_like(part[:, 0]) for part in shared]
        if self.uses_id:
            code = id_code(n_agents).to(obs_BND).expand(batch, n_agents, ID_CODE)
            own = torch.cat([own, code], dim=-1)
        remembered = obs_BND[..., self.memory_part] if self.memory_shape[0] else obs_BND[..., :0]
        return call(self.body, remembered.reshape(batch, n_agents, *self.memory_shape), own, *shared)

    def _static(self, obs_BND: Tensor) -> list[Tensor]:
        """Observations without memory: what all agents share once [B, 1, s], and the rest [B, N, s]; or all as one.

        Joining slices is faster than indexing.
        """
        start = self.shared_dim
        if start and not bool((obs_BND[:, 1:, :start] == obs_BND[:, :1, :start]).all()):
            start = 0
        memory = self.memory_part
        own_BNs = torch.cat([obs_BND[..., start : memory.start], obs_BND[..., max(start, memory.stop) :]], dim=-1)
        return [obs_BND[:, :1, :start], own_BNs] if start else [own_BNs]


class ControlHeads(nn.Module):
    """Controls from beliefs: T_i = T_min + (T_max - T_min) sigmoid(w_T b_i), likewise p_i.

    The output is the logit w b_i of each control; `squash` maps it to [-1, 1], where -1 is the lowest and 1 the highest
    value, so that squash(z) = 2 sigmoid(z) - 1 and the mapping to the environment's units gives the formula above.

    Args:
        belief_dim: H.
        action_dim: A.
        copies: 1 if agents share parameters, else their number.
        initial: Where each control starts, as a share of its range in (0, 1); by default in the middle.

    Raises:
        ConfigError: `initial` does not have one value per control.
    """

    def __init__(self, belief_dim: int, action_dim: int, copies: int, initial: tuple[float, ...] | None = None) -> None:
        super().__init__()
        if initial is not None and len(initial) != action_dim:
            raise ConfigError(f"network.initial_controls must have {action_dim} values, got {len(initial)}")
        start_A = torch.logit(torch.tensor(initial or (0.5,) * action_dim))

        def head() -> nn.Module:
            layer = nn.Linear(belief_dim, action_dim)
            nn.init.uniform_(layer.weight, -1e-2, 1e-2)  # beliefs carry little information at first
            with torch.no_grad():
                layer.bias.copy_(start_A)
            return layer

        self.head = PerAgent(head, copies)

    def forward(self, belief_BNH: Tensor) -> Tensor:
        """Logits [B, N, A]."""
        return call(self.head, belief_BNH)


def squash(logit: Tensor) -> Tensor:
    """Logits to controls in [-1, 1]."""
    return torch.tanh(logit / 2)


class LocalCritic(nn.Module):
    """Q_i(b_i, e_i): expected own return of agent i if it plays e_i with belief b_i; several estimates.

    Args:
        belief_dim: H.
        action_dim: A.
        hidden_dim: Width of its hidden layers.
        critics: C, the number of estimates.
        copies: 1 if agents share parameters, else their number.
        sees_controls: If False, e_i is not an input (an ablation: controls then can't be learned).
    """

    def __init__(
        self, belief_dim: int, action_dim: int, hidden_dim: int, *, critics: int, copies: int, sees_controls: bool
    ) -> None:
        super().__init__()
        self.sees_controls = sees_controls
        width = belief_dim + 2 * action_dim
        self.members = nn.ModuleList(
            PerAgent(lambda: mlp([width, hidden_dim, hidden_dim, 1]), copies) for _ in range(critics)
        )

    def forward(self, belief_BNH: Tensor, act_BNA: Tensor) -> Tensor:
        """Estimates [C, B, N] for beliefs [B, N, H] and controls [B, N, A]."""
        return self.tried(self.started(belief_BNH), act_BNA[:, :, None]).squeeze(-1)

    def started(self, belief_BNH: Tensor) -> Tensor:
        """The beliefs' part [C, B, N, X] of the first layers, the same for all controls."""
        seen = F.silu(belief_BNH)
        width = seen.shape[-1]
        return torch.stack([_split_linear(member, seen, slice(None, width), bias=True) for member in self.members])

    def tried(self, started_CBNX: Tensor, act_BNMA: Tensor) -> Tensor:
        """Estimates [C, B, N, M] of several controls [B, N, M, A] of each agent.

        Args:
            started_CBNX: What `started` made of the beliefs.
            act_BNMA: Controls.
        """
        if not self.sees_controls:
            act_BNMA = torch.zeros_like(act_BNMA)
        inputs = torch.cat([act_BNMA, act_BNMA.square()], dim=-1)
        controls = slice(-inputs.shape[-1], None)
        found = []
        for member, started_BNX in zip(self.members, started_CBNX, strict=True):
            hidden = started_BNX[:, :, None] + _split_linear(member, inputs, controls, bias=False)
            found.append(_rest(member, hidden).squeeze(-1))
        return torch.stack(found)


def _split_linear(stack: nn.Module, inputs: Tensor, columns: slice, *, bias: bool) -> Tensor:
    """The first layer of each agent's stack on some of its inputs [B, N, ..., x]."""
    layers = [cast(nn.Linear, cast(nn.Sequential, member)[0]) for member in cast(PerAgent, stack).members]
    if len(layers) == 1:
        return F.linear(inputs, layers[0].weight[:, columns], layers[0].bias if bias else None)
    parts = (F.linear(inputs[:, i], one.weight[:, columns], one.bias if bias else None) for i, one in enumerate(layers))
    return torch.stack(tuple(parts), dim=1)


def _rest(stack: nn.Module, hidden: Tensor) -> Tensor:
    """All but the first layer of each agent's stack."""
    members = [cast(nn.Sequential, member)[1:] for member in cast(PerAgent, stack).members]
    if len(members) == 1:
        return call(members[0], hidden)
    return torch.stack([call(member, hidden[:, i]) for i, member in enumerate(members)], dim=1)
