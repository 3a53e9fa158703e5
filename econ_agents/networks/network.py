"""The team network: beliefs, controls, local values, group representation and team value in one module.

Axes: B batch, N agents, D observation, H belief, E group, W mixer, A controls, C critics.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from econ_agents.config import AgentConfig
from econ_agents.networks.belief import BeliefNetwork, ControlHeads, LocalCritic, squash
from econ_agents.networks.discussion import DiscussionReader, has_discussion
from econ_agents.networks.encoder import BeliefEncoder, GroupBelief
from econ_agents.networks.mixer import MixerShape, make_mixer
from econ_agents.networks.voice import Voice, Voices, next_speaker
from econ_agents.team_spec import SPEAK, WEIGHT, TeamSpec


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

        self.action_dim = spec.action_dim
        self.speak, self.weight = spec.control(SPEAK), spec.control(WEIGHT)
        self.voice: Voice | None = None
        if spoken := (self.speak is not None or self.weight is not None) and has_discussion(spec):
            self.said = DiscussionReader(spec)
            self.voice = Voice(self.said.width, net.weight_constant)
        self.steers = not spoken or bool(set(spec.controls) - {SPEAK, WEIGHT})
        """Whether there are controls that the heads choose."""

    def heard(self, obs_BND: Tensor) -> Voices:
        """What agents expect that see observations [B, N, D], where they may stay silent or weigh their reply."""
        assert self.voice is not None
        heard: Voices = self.voice(self.said(obs_BND))
        return heard

    def vote_weights(self, heard: Voices) -> Tensor:
        """Weight [B, N] of each reply in the team's vote, >= 0; equal ones where agents can't weigh."""
        assert self.voice is not None
        if self.weight is None:
            return torch.ones_like(heard.gain_BN)
        return self.voice.trust.weights(heard.trusted.evidence_BN) + 1.0

    def controls(self, obs_BND: Tensor, belief_BNH: Tensor | None = None) -> Tensor:
        """Controls [B, N, A] in [-1, 1] that are chosen from observations [B, N, D], whose beliefs may be given.

        The heads choose them, but for two: weights follow from how far agents trust the replies, and who speaks is an
        equilibrium of the game at these beliefs.
        """
        if not self.steers:
            return self.completed(obs_BND.new_zeros(*obs_BND.shape[:2], self.action_dim), obs_BND)
        act_BNA = squash(self.heads(self.belief(obs_BND) if belief_BNH is None else belief_BNH))
        return self.completed(act_BNA, obs_BND)

    def completed(self, act_BNA: Tensor, obs_BND: Tensor) -> Tensor:
        """These controls with the weights and the speaker that follow from what was said."""
        if self.voice is None:
            return act_BNA
        with torch.no_grad():
            heard = self.heard(obs_BND)
            columns = list(act_BNA.unbind(-1))
            if self.weight is not None:
                columns[self.weight] = self.voice.trust.weights(heard.trusted.evidence_BN)
            if self.speak is not None:
                columns[self.speak] = next_speaker(heard.gain_BN, self.said.silent(obs_BND))
        return torch.stack(columns, dim=-1)

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
        group = self.encoder(belief_BNH)
        act_BNA = self.controls(obs_BND, belief_BNH)
        values = self.values(belief_BNH, act_BNA, pessimistic=True, group=group)
        return Outlook(act_BNA, values.local_CBN.min(dim=0).values, values.total_B)


def share_statistics(copy: TeamNetwork, original: TeamNetwork) -> None:
    """Let a copy of a network use the original's running input statistics: averages of parameters leave them out."""
    copy.belief.norm = original.belief.norm
    if copy.voice is not None and original.voice is not None:
        copy.voice.trust.norm = original.voice.trust.norm
        copy.voice.records = original.voice.records
