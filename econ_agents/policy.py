"""The team's policy: maps all agents' observations to their controls; it holds networks, but no losses.

Axes: B batch, N agents, D observation, A controls, M candidates.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from huggingface_hub import ModelHubMixin
from tianshou.algorithm.algorithm_base import Policy
from tianshou.data import Batch
from tianshou.data.batch import BatchProtocol
from tianshou.data.types import ActStateBatchProtocol, ObsBatchProtocol
from torch import Tensor

from econ_agents.checkpoint import Checkpoint, load_checkpoint, locate, save_checkpoint
from econ_agents.config import AgentConfig, parse_config
from econ_agents.device import device_of
from econ_agents.errors import CheckpointError, ConfigError, TeamError
from econ_agents.networks.alpha import DEFAULT_WEIGHTS, TS, RewardWeights
from econ_agents.networks.mixer import Mixer
from econ_agents.networks.network import TeamNetwork
from econ_agents.plugins import is_path
from econ_agents.team_spec import EMBEDDINGS, SPEAK, WEIGHT, TeamSpec


class EconPolicy(Policy, ModelHubMixin):
    """Chooses the whole team's controls. Use `save_pretrained`, `from_pretrained`, `push_to_hub` to save, load, share.

    Args:
        spec: The team's shape.
        config: The learner's settings.
        reward_weights: Initial alpha (AL, TS, CC, then the team's further terms).
        seed: Seed of the exploration noise. Networks are initialised from torch's global generator.

    Raises:
        ConfigError: The number of weights is not that of the terms, or the mixer could not be loaded.
    """

    def __init__(
        self,
        spec: TeamSpec,
        config: AgentConfig,
        reward_weights: tuple[float, ...] = DEFAULT_WEIGHTS,
        seed: int = 0,
    ) -> None:
        super().__init__(
            action_space=spec.joint_action_space,
            observation_space=spec.joint_observation_space,
            action_scaling=True,
            action_bound_method="clip",
        )
        if len(reward_weights) != len(spec.reward_terms):
            raise ConfigError(f"reward weights must be one for each of {spec.reward_terms}, got {reward_weights}")
        self.spec = spec
        self.config = config
        self.network = TeamNetwork(spec, config)
        self.alpha = RewardWeights(reward_weights, config.alpha.ts_floor)
        self.decisions = 0
        self.noise = np.random.default_rng(seed)

    @staticmethod
    def _compile() -> None:
        """Compile nothing: Tianshou's numba functions for returns are not used here, and take seconds to compile."""

    def forward(
        self, batch: ObsBatchProtocol, state: dict[str, Any] | BatchProtocol | np.ndarray | None = None
    ) -> ActStateBatchProtocol:
        """Controls in [-1, 1], flattened [B, N * A], for observations [B, N, D]."""
        with torch.no_grad():
            obs_BND = torch.as_tensor(np.asarray(batch.obs), dtype=torch.float32)
            act_BNA = self.propose(obs_BND.to(device_of(self)))
        return cast(ActStateBatchProtocol, Batch(act=act_BNA.flatten(1), state=None))

    def propose(self, obs_BND: Tensor) -> Tensor:
        """The profile [B, N, A] in [-1, 1] that the heads choose."""
        return self.network.controls(obs_BND)

    @property
    def listens(self) -> bool:
        """Whether what was said decides controls: who speaks, or what replies weigh."""
        return self.network.voice is not None

    @torch.no_grad()
    def believed(self, obs_BND: Tensor) -> Tensor:
        """How likely each agent's standing answer is right, [B, N] in [0, 1]; NaN without an answer.

        Args:
            obs_BND: Observations of a team whose executors may stay silent or weigh their reply.

        Raises:
            TeamError: The team has no such controls, so nothing is believed.
        """
        network = self.network
        if network.voice is None:
            raise TeamError(f"nothing is believed of replies without the control {SPEAK} or {WEIGHT}")
        answered_BN = network.said(obs_BND).answered_BN
        return network.heard(obs_BND).trusted.share_BN.masked_fill(~answered_BN, torch.nan)

    @torch.no_grad()
    def hear(self, obs_BND: Tensor) -> tuple[Tensor, Tensor]:
        """P(right) of each agent's standing reply, and what its call would gain; see `equilibrium.Hears`."""
        if self.network.voice is None:
            nothing_BN = torch.full(obs_BND.shape[:2], torch.nan, device=obs_BND.device)
            return nothing_BN, nothing_BN
        heard = self.network.heard(obs_BND)
        return heard.trusted.share_BN, heard.gain_BN

    def game(self, obs_BND: Tensor) -> TeamGame:
        """The game at these observations, with payoffs from the critics."""
        return TeamGame(self.network, self.network.belief(obs_BND))

    def fits(self, spec: TeamSpec) -> None:
        """Check that the policy can act in an environment of this shape.

        Raises:
            TeamError: It can't; the message says what differs.
        """
        mine, theirs = self.spec, spec
        if mine.n_agents != theirs.n_agents:
            raise TeamError(
                f"the policy acts for {mine.n_agents} agents, the environment has {theirs.n_agents}; "
                f"load it with from_pretrained(..., n_agents={theirs.n_agents})"
            )
        if mine.reward_terms != theirs.reward_terms:
            raise TeamError(
                f"the policy was trained with the reward terms {', '.join(mine.reward_terms)}, the environment has "
                f"{', '.join(theirs.reward_terms)}; use those that it was trained with"
            )
        if mine.controls and theirs.controls and mine.controls != theirs.controls:
            raise TeamError(
                f"the policy was trained with the controls {', '.join(mine.controls)}, the environment has "
                f"{', '.join(theirs.controls)}; use those that it was trained with"
            )
        my_parts, their_parts = ([name for name, *_ in spec.layout] for spec in (mine, theirs))
        if my_parts and their_parts and my_parts != their_parts:
            raise TeamError(
                f"the policy was trained on the observation parts {', '.join(my_parts)}, the environment has "
                f"{', '.join(their_parts)}; use those that it was trained with"
            )
        if replace(mine, controls=()) != replace(theirs, controls=()):
            raise TeamError(f"{_difference(mine, theirs)} that it was trained with")

    @classmethod
    def from_pretrained(  # type: ignore[override] # takes no further keywords
        cls,
        path_or_id: str | Path,
        *,
        n_agents: int | None = None,
        revision: str | None = None,
        token: str | None = None,
        trust: Collection[str] = (),
    ) -> Self:
        """Load a policy that `save_pretrained` or `push_to_hub` wrote, in eval mode, on the CPU; runs no code from it.

        A third-party mixer or solver is saved by name and must be installed here. A name `module:attribute` can import
        any object, so it must be listed in `trust`.

        Args:
            path_or_id: A folder, or a repository of the Hugging Face hub.
            n_agents: Another number of agents to act for; needs shared parameters.
            revision: Branch, tag or commit on the hub.
            token: Access token for a private repository.
            trust: Names of the form `module:attribute` that may be imported.

        Raises:
            CheckpointError: It is missing, damaged, not usable for `n_agents`, or names something not in `trust`.
            ConfigError: Its mixer could not be loaded.
        """
        kept = load_checkpoint(locate(path_or_id, revision=revision, token=token))
        try:
            config = parse_config(kept.values["agent_config"])
            spec = TeamSpec.from_json(kept.values["team"])
        except (LookupError, TypeError, ValueError) as error:
            text = textwrap.shorten(str(error), 200)
            raise CheckpointError(f"{path_or_id} holds no policy, or one of another version: {text}") from error
        for name in (config.network.mixer, config.bne.solver):
            if is_path(name) and name not in trust:
                raise CheckpointError(
                    f"{path_or_id} was trained with {name}, and a file may not choose what is imported: if you trust "
                    f"it, load it with from_pretrained(..., trust=[{name!r}]), or set network.mixer or bne.solver to it"
                )
        if n_agents is not None and n_agents != spec.n_agents:
            if not config.network.shared:
                raise CheckpointError(
                    f"{path_or_id} has separate parameters for each of {spec.n_agents} agents and can't act for "
                    f"{n_agents}; train with network.shared: true, or with {n_agents} agents"
                )
            spec = replace(spec, n_agents=n_agents)
        # Placeholder weights that satisfy every floor; loading the tensors replaces them.
        policy = cls(spec, config, tuple(float(number == TS) for number in range(len(spec.reward_terms))))
        try:
            policy.load_state_dict(kept.tensors)
        except RuntimeError as error:
            text = textwrap.shorten(str(error), 200)
            raise CheckpointError(f"{path_or_id} does not hold the networks its config describes: {text}") from error
        return policy.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        values = {"agent_config": self.config.model_dump(mode="json"), "team": self.spec.to_json()}
        save_checkpoint(Path(save_directory), Checkpoint(dict(self.state_dict()), values))

    def add_exploration_noise(self, act: Any, batch: ObsBatchProtocol) -> Any:
        """Controls [B, N * A] with noise; each row counts as one decision of the schedule."""
        plan = self.config.exploration
        rows, shape = len(act), (len(act), self.spec.n_agents, self.spec.action_dim)
        done_B = self.decisions + np.arange(rows)
        self.decisions += rows
        progress_B = np.clip((done_B - plan.random_episodes) / plan.noise_episodes, 0.0, 1.0)
        sigma_B = plan.noise_start + (plan.noise_end - plan.noise_start) * progress_B
        noisy_BNA = act.reshape(shape) + sigma_B[:, None, None] * self.noise.standard_normal(shape)
        uniform_BNA = self.noise.uniform(-1.0, 1.0, shape)
        random_BN = self.noise.random(shape[:2]) < plan.random_share
        random_BN |= (done_B < plan.random_episodes)[:, None]
        explored_BNA = np.where(random_BN[..., None], uniform_BNA, np.clip(noisy_BNA, -1.0, 1.0))
        if self.network.voice is not None:
            self._explore_voices(act.reshape(shape), explored_BNA, done_B < plan.random_episodes, batch)
        return explored_BNA.reshape(rows, -1).astype(np.float32)

    def _explore_voices(
        self, act_BNA: np.ndarray, explored_BNA: np.ndarray, random_B: np.ndarray, batch: ObsBatchProtocol
    ) -> None:
        """Let another agent speak than chosen in some rows, or all; weights stay as the beliefs have them."""
        speak, weight = self.spec.control(SPEAK), self.spec.control(WEIGHT)
        if weight is not None:
            explored_BNA[..., weight] = act_BNA[..., weight]
        if speak is None:
            return
        explored_BNA[..., speak] = act_BNA[..., speak]
        rows, n_agents, _ = act_BNA.shape
        random_B = random_B | (self.noise.random(rows) < self.config.exploration.random_speakers)
        may_BN = self.network.said.silent(torch.as_tensor(np.asarray(batch.obs))).numpy()
        drawn_BN = np.where(may_BN, self.noise.random((rows, n_agents)), -1.0)
        one_BN = np.where(np.arange(n_agents) == drawn_BN.argmax(axis=1)[:, None], 1.0, -1.0)
        others_B = random_B & may_BN.any(axis=1)
        explored_BNA[others_B, :, speak] = one_BN[others_B]
        if self.config.exploration.all_speak:
            all_B = self.noise.random(rows) < self.config.exploration.all_speak
            explored_BNA[all_B, :, speak] = np.where(may_BN, 1.0, -1.0)[all_B]


def _difference(mine: TeamSpec, theirs: TeamSpec) -> str:
    """What differs between the shapes of a policy and of an environment, and what to use instead."""
    bounds = _bounds(mine), _bounds(theirs)
    if mine.obs_dim == theirs.obs_dim and bounds[0] != bounds[1]:
        return f"the policy was trained on controls in {bounds[0]}, the environment has {bounds[1]}; use the bounds"
    sizes = [{name: stop - start for name, start, stop in spec.layout} for spec in (mine, theirs)]
    for name, size in sizes[0].items():
        other = sizes[1].get(name, size)
        if size != other:
            part = "memory" if name == "agent_memory" else "embedder" if name in EMBEDDINGS else f"part {name}"
            return f"the policy was trained on {size} numbers of {name}, the environment has {other}; use the {part}"
    return (
        f"the policy was trained on observations of width {mine.obs_dim} and controls in {bounds[0]}, "
        f"the environment has width {theirs.obs_dim} and {bounds[1]}; use the embedder, memory and bounds"
    )


def _bounds(spec: TeamSpec) -> str:
    """Text such as `0.1 to 2, 1 to 1.5`; rounded, since float32 bounds have many digits."""
    return ", ".join(f"{low:g} to {high:g}" for low, high in zip(spec.action_low, spec.action_high, strict=True))


class TeamGame:
    """A common-payoff game at fixed beliefs: the payoff of one agent's deviation is the team's Q_tot.

    Args:
        network: The network with the critics and the mixer.
        belief_BNH: The beliefs.
        group_BE: Their group representation, if already computed.
    """

    def __init__(self, network: TeamNetwork, belief_BNH: Tensor, group_BE: Tensor | None = None) -> None:
        self.network = network
        self.belief_BNH = belief_BNH
        self.group_BE = network.encoder(belief_BNH).group_BE if group_BE is None else group_BE
        self._started_CBNX = network.critic.started(belief_BNH)

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Q_tot [B, N, M] when agent n alone plays candidate m; differentiable in both arguments."""
        return self._deviations(profile_BNA, candidates_BNMA, exact=True)

    def screen(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Estimates of `utilities`, to choose candidates by: effects on the other agents' features are left out."""
        return self._deviations(profile_BNA, candidates_BNMA, exact=False)

    def _deviations(self, profile_BNA: Tensor, candidates_BNMA: Tensor, *, exact: bool) -> Tensor:
        both_BNxA = torch.cat([profile_BNA[:, :, None], candidates_BNMA], dim=2)
        local_BNx = self.network.critic.tried(self._started_CBNX, both_BNxA).min(dim=0).values
        kept_BN, tried_BNM = local_BNx[..., 0], local_BNx[..., 1:]
        mixer = self.network.mixer
        if isinstance(mixer, Mixer):
            value = mixer.deviations if exact else mixer.screen
            return value(kept_BN, profile_BNA, tried_BNM, candidates_BNMA, self.group_BE)
        B, N, M, _ = candidates_BNMA.shape
        own = torch.eye(N, dtype=torch.bool, device=profile_BNA.device)[None, :, None]  # [1, N, 1, N]
        local_BNMN = torch.where(own, tried_BNM[..., None], kept_BN[:, None, None])
        joint_BNMNA = torch.where(own[..., None], candidates_BNMA[:, :, :, None], profile_BNA[:, None, None])
        group = self.group_BE[:, None, None].expand(B, N, M, -1).flatten(0, 2)
        mixed = mixer(local_BNMN.flatten(0, 2), joint_BNMNA.flatten(0, 2), group)
        total_BNM: Tensor = mixed.total_B.view(B, N, M)
        return total_BNM
