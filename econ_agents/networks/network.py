"""The team network: beliefs, controls, local values, group representation and team value in one module.

Axes: B batch, N agents, D observation, H belief, E group, W mixer, A controls, C critics.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from econ_agents.config import AgentConfig
from econ_agents.networks.belief import BeliefNetwork, ControlHeads, LocalCritic, squash
from econ_agents.networks.encoder import BeliefEncoder, GroupBelief
from econ_agents.networks.mixer import MixerShape, make_mixer
from econ_agents.team_spec import TeamSpec


class TeamValues(NamedTuple):
    """The values of a profile of controls."""

    local_CBN: Tensor
    """Q_i by each critic."""
    total_B: Tensor
    """Q_tot."""
    features_BNW: Tensor | None
    """F_i; None where the mixer has none."""
    group: GroupBelief
    """The encoder's tokens and E."""


class Outlook(NamedTuple):
    """The network's next controls and their values; used as the value of a state in a target."""

    act_BNA: Tensor
    """Controls by its own heads, in [-1, 1]."""
    local_BN: Tensor
    """Q_i of these controls, the minimum over critics."""
    total_B: Tensor
    """Q_tot of these controls, mixed from these Q_i."""


class TeamNetwork(nn.Module):
    """All networks of a team.

    Args:
        spec: The team's shape.
        config: Widths, numbers and switches.
    """

    def __init__(self, spec: TeamSpec, config: AgentConfig) -> None:
        super().__init__()
        net = config.network
        copies = 1 if net.shared else spec.n_agents
        self.belief = BeliefNetwork(
            spec,
            hidden_dim=net.hidden_dim,
            belief_dim=config.belief_dim,
            shared=net.shared,
            agent_id=net.agent_id,
            memory=net.memory,
            dropout=net.dropout,
            input_noise=net.input_noise,
            reply_scale=net.reply_scale,
        )
        self.heads = ControlHeads(config.belief_dim, spec.action_dim, copies, net.initial_controls)
        self.critic = LocalCritic(
            config.belief_dim,
            spec.action_dim,
            net.hidden_dim,
            critics=net.critics,
            copies=copies,
            sees_controls=net.critic_sees_controls,
        )
        self.encoder = BeliefEncoder(
            config.belief_dim,
            spec.action_dim,
            dim=net.encoder_dim,
            heads=net.heads,
            blocks=net.blocks,
            ffn_dim=net.ffn_dim,
            dropout=net.dropout,
            attention=net.encoder,
            cluster_size=net.cluster_size,
        )
        start, stop = spec.part("commitment") or (0, 0)
        self.mixer = make_mixer(
            net.mixer,
            MixerShape(spec.n_agents, spec.action_dim, net.encoder_dim, net.mixer_dim),
            heads=net.heads,
            commitment_dim=stop - start,
            cluster_size=net.cluster_size,
        )

    def controls(self, belief_BNH: Tensor) -> Tensor:
        """Controls [B, N, A] in [-1, 1] that the heads choose at these beliefs."""
        return squash(self.heads(belief_BNH))

    def values(
        self,
        belief_BNH: Tensor,
        act_BNA: Tensor,
        *,
        pessimistic: bool,
        detach_local: bool = False,
        group: GroupBelief | None = None,
    ) -> TeamValues:
        """Values of playing `act_BNA` with beliefs [B, N, H].

        Args:
            belief_BNH: Beliefs.
            act_BNA: Controls in [-1, 1].
            pessimistic: Mix the minimum of the critics' estimates instead of their mean.
            detach_local: Keep the gradient of Q_tot out of beliefs and local critics.
            group: The encoder's output for these beliefs, if already computed.
        """
        local_CBN = self.critic(belief_BNH, act_BNA)
        mixed_in = local_CBN.min(dim=0).values if pessimistic else local_CBN.mean(dim=0)
        if group is None:
            group = self.encoder(belief_BNH.detach() if detach_local else belief_BNH)
        mixed = self.mixer(mixed_in.detach() if detach_local else mixed_in, act_BNA, group.group_BE)
        return TeamValues(local_CBN, mixed.total_B, mixed.features_BNW, group)

    def forward(self, obs_BND: Tensor) -> Outlook:
        """The outlook from observations [B, N, D]."""
        belief_BNH = self.belief(obs_BND)
        act_BNA = self.controls(belief_BNH)
        values = self.values(belief_BNH, act_BNA, pessimistic=True)
        return Outlook(act_BNA, values.local_CBN.min(dim=0).values, values.total_B)
