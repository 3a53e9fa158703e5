"""Collects training steps with refinement: the team deliberates between the policy's proposal and the submission.

Axes: R environments in step, N agents, D observation, A controls of one agent.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from tianshou.algorithm.algorithm_base import Algorithm, Policy
from tianshou.data import Batch, Collector, CollectStats, ReplayBuffer
from tianshou.data.collector import CollectActionBatchProtocol
from tianshou.data.types import ObsBatchProtocol, RolloutBatchProtocol
from torch import Tensor

from econ_agents.device import device_of
from econ_agents.equilibrium import EquilibriumConfig, Outcome, Refiner, Refines
from econ_agents.errors import ConfigError
from econ_agents.vector_env import JointVectorEnv


class RefiningCollector(Collector[CollectStats]):
    """Tianshou's `Collector` with K rounds per decision.

    With K = 1 it is the plain collector. With K > 1 each decision first plays and improves its profile K - 1 times. The
    stored step holds the observation from which the submitted profile was chosen, that profile, its reward, and under
    `policy.first_obs` the observation before the first round.
    Exploration noise, if on, is added once per decision, to the submitted profile, so that training data lie around the
    refined profile. If an environment has no `deliberate`, the policy's own game is used for refinement. Random actions
    are never refined.

    Args:
        policy: A policy, or an algorithm that has one; for K > 1 it must also have `game(obs_BND)`.
        env: The environments.
        buffer: Where steps are kept; by default a new one.
        rounds: K per decision; 1 means no refinement.
        config: Responses and stop rules.
        exploration_noise: Whether the policy's `add_exploration_noise` is used.

    Raises:
        ConfigError: K > 1 and the policy has no `game`.
    """

    def __init__(
        self,
        policy: Policy | Algorithm[Any, Any],
        env: JointVectorEnv,
        buffer: ReplayBuffer | None = None,
        *,
        rounds: int,
        config: EquilibriumConfig,
        exploration_noise: bool = False,
    ) -> None:
        super().__init__(policy, env, buffer, exploration_noise=exploration_noise)
        if rounds > 1 and not hasattr(self.policy, "game"):
            raise ConfigError(f"{rounds} rounds need a policy with game(); {type(self.policy)} has none")
        self.config, self.rounds = config, rounds
        self._joint = env
        self._chosen_from_RND: np.ndarray | None = None

    def _compute_action_policy_hidden(
        self,
        random: bool,
        ready_env_ids_R: np.ndarray,
        last_obs_RO: np.ndarray,
        last_info_R: np.ndarray,
        last_hidden_state_RH: np.ndarray | Tensor | Batch | None = None,
    ) -> CollectActionBatchProtocol:
        """Compute the actions, then refine them."""
        self._chosen_from_RND = None
        if random or self.rounds == 1:
            return super()._compute_action_policy_hidden(
                random, ready_env_ids_R, last_obs_RO, last_info_R, last_hidden_state_RH
            )
        noise, self.exploration_noise = self.exploration_noise, False
        try:
            computed = super()._compute_action_policy_hidden(
                random, ready_env_ids_R, last_obs_RO, last_info_R, last_hidden_state_RH
            )
        finally:
            self.exploration_noise = noise
        act, obs_RND, last_obs_RND = self._refine(np.asarray(computed.act), last_obs_RO, ready_env_ids_R)
        if noise:
            obs_RND = last_obs_RND
            act = self.policy.add_exploration_noise(act, cast(ObsBatchProtocol, Batch(obs=obs_RND, info=Batch())))
        computed.act, computed.act_normalized = act, self.policy.map_action(act)
        computed.policy_entry = Batch(first_obs=np.array(last_obs_RO))
        self._chosen_from_RND = obs_RND
        return computed

    def run_on_step_hook(self, action_batch: CollectActionBatchProtocol, rollout_batch: RolloutBatchProtocol) -> None:
        """Store the observation from which the action was chosen, then call the hook."""
        if self._chosen_from_RND is not None:
            rollout_batch.obs = self._chosen_from_RND
        super().run_on_step_hook(action_batch, rollout_batch)

    @torch.no_grad()
    def _refine(
        self, act: np.ndarray, obs_RND: np.ndarray, env_ids_R: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Profiles [R, N * A] after K - 1 rounds and responses, their observations, and the last observations.

        `step` then runs the last round if the profile is new; if not, it submits the round already played.
        """
        rows, n_agents = obs_RND.shape[:2]
        policy, device = cast(Refines, self.policy), device_of(self.policy)
        refiner = Refiner(
            torch.as_tensor(act, dtype=torch.float32).reshape(rows, n_agents, -1).to(device), self.config, self.rounds
        )
        obs_RND, chosen_from_RND = obs_RND.copy(), obs_RND.copy()
        for _ in range(self.rounds - 1):
            refiner.observe(self._play(refiner, obs_RND, env_ids_R))
            if refiner.active:
                refiner.respond(policy.game(torch.as_tensor(obs_RND).to(device)))
            moved = refiner.active
            chosen_from_RND[moved] = obs_RND[moved]
            if not moved:
                break
        return _flat(refiner.profile_BNA), chosen_from_RND, obs_RND

    def _play(self, refiner: Refiner, obs_RND: np.ndarray, env_ids_R: np.ndarray) -> list[Outcome | None]:
        """Deliberate in the environments that are still active; write their observations into `obs_RND`."""
        outcomes_R: list[Outcome | None] = [None] * len(obs_RND)
        rows = refiner.active
        if self._joint.envs[0].can_deliberate:
            action = self.policy.map_action(_flat(refiner.profile_BNA))
            obs_RND[rows], outcomes = self._joint.deliberate(action[rows], env_ids_R[rows])
            for row, outcome in zip(rows, outcomes, strict=True):
                outcomes_R[row] = outcome
        return outcomes_R


def _flat(profile_RNA: Tensor) -> np.ndarray:
    return profile_RNA.reshape(len(profile_RNA), -1).cpu().numpy()
