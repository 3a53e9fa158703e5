"""Watches a collector's steps and reports the outcome of each episode.

Axes: R environments in step, N agents, D observation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from tianshou.data.collector import CollectActionBatchProtocol
from tianshou.data.types import RolloutBatchProtocol

from econ_agents.team_spec import TeamSpec


class EpisodeOutcome(NamedTuple):
    """Outcome of one training episode."""

    episode: int
    """Its number, from 0."""
    reward: float
    """Total reward of the team."""
    numbers: dict[str, float]
    """The team's numbers in the infos of its last step, such as `team_correct`, `failed`, `prompt_tokens`."""


class SinceUpdate(NamedTuple):
    """Statistics since the last update."""

    reward: float
    """Mean reward of the episodes that ended."""
    commitment_move: float | None
    """Mean distance between a decision's last two commitments; None where no decision took two rounds."""


class Watch:
    """A step hook for Tianshou's collector.

    Args:
        spec: Gives the position of the commitment in an observation.
        numbers: The episode that each environment plays; the environments update it at each reset.
        on_episode: Called for each episode as it ends.
    """

    def __init__(
        self, spec: TeamSpec, numbers: Sequence[int], on_episode: Callable[[EpisodeOutcome], None] | None
    ) -> None:
        self._commitment = slice(*(spec.part("commitment") or (0, 0)))
        self._numbers = numbers
        self._on_episode = on_episode
        self._paid: dict[int, float] = {}
        self._rewards: list[float] = []
        self._moves: list[float] = []

    def __call__(self, action_batch: CollectActionBatchProtocol, rollout_batch: RolloutBatchProtocol) -> None:
        """Record a step of R environments."""
        info = cast("Mapping[str, Any]", rollout_batch.info)
        ended_R = np.logical_or(rollout_batch.terminated, rollout_batch.truncated)
        self._note_moves(np.asarray(rollout_batch.obs), np.asarray(rollout_batch.obs_next))
        for row, env in enumerate(np.asarray(info["env_id"]).tolist()):
            paid = self._paid.pop(env, 0.0) + float(rollout_batch.rew[row])
            if not ended_R[row]:
                self._paid[env] = paid
                continue
            self._rewards.append(paid)
            if self._on_episode is not None:
                numbers = {name: float(value[row]) for name, value in info.items() if np.ndim(value) == 1}
                self._on_episode(EpisodeOutcome(self._numbers[env], paid, numbers))

    def take(self) -> SinceUpdate:
        """Return the statistics since the last call."""
        rewards, moves = self._rewards, self._moves
        self._rewards, self._moves = [], []
        return SinceUpdate(float(np.mean(rewards)) if rewards else 0.0, float(np.mean(moves)) if moves else None)

    def _note_moves(self, obs_RND: np.ndarray, obs_next_RND: np.ndarray) -> None:
        before_RX, after_RX = obs_RND[:, 0, self._commitment], obs_next_RND[:, 0, self._commitment]
        if before_RX.shape[1] == 0:
            return
        both_R = before_RX.any(axis=1) & after_RX.any(axis=1)
        self._moves += np.linalg.norm(before_RX - after_RX, axis=1)[both_R].tolist()
