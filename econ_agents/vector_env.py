"""Combines many joint environments in one Tianshou vector environment; their model calls run at the same time.

Axes: R environments addressed by a call, N agents, D observation, A controls of one agent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from pettingzoo import ParallelEnv
from tianshou.env import BaseVectorEnv
from tianshou.env.utils import gym_new_venv_step_type
from tianshou.env.worker import DummyEnvWorker

from econ_agents.concurrency import LoopThread, all_or_none
from econ_agents.equilibrium import Outcome
from econ_agents.joint_env import JointEnv, as_joint

EnvIds = int | list[int] | np.ndarray | None


class JointVectorEnv(BaseVectorEnv):
    """Resets, steps and deliberates many environments: concurrently if all have async methods, else one by one.

    An error in one environment ends the call for all: the other calls are cancelled and waited for, then the error is
    raised unchanged. The same holds for Ctrl-C. Also works inside a running event loop.

    Args:
        env_fns: One factory per environment, of a parallel or a joint one.
    """

    def __init__(self, env_fns: Sequence[Callable[[], ParallelEnv[str, Any, Any] | JointEnv]]) -> None:
        self.envs = [as_joint(make()) for make in env_fns]
        super().__init__([lambda env=env: env for env in self.envs], DummyEnvWorker)  # type: ignore[misc] # default binds it
        self.is_concurrent = all(env.is_concurrent for env in self.envs)
        self._loop = LoopThread()

    def reset(  # type: ignore[override] # says which keywords it takes
        self,
        env_id: EnvIds = None,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reset some environments, by default all.

        Args:
            env_id: Environments to reset.
            seed: One per environment, or one number; environment i then gets seed + i.
            options: Passed to each environment.

        Returns:
            Observations [R, N, D] and R empty infos.
        """
        self._assert_is_not_closed()
        ids = [int(i) for i in self._wrap_id(env_id)]
        seeds = [seed + i for i in ids] if isinstance(seed, int) else seed or [None] * len(ids)
        return self._reset_each([(i, own, options) for i, own in zip(ids, seeds, strict=True)])

    def step(self, action: np.ndarray | torch.Tensor | None, id: EnvIds = None) -> gym_new_venv_step_type:
        """Step some environments, by default all, each with its row of `action` [R, N * A] in their units."""
        self._assert_is_not_closed()
        pairs = self._with_actions(action, id)
        if self.is_concurrent:
            results = self._loop.run(all_or_none(self.envs[i].astep(act) for i, act in pairs))
        else:
            results = [self.envs[i].step(act) for i, act in pairs]
        obs, rewards, terminated, truncated, infos = zip(*results, strict=True)
        for (i, _), info in zip(pairs, infos, strict=True):
            info["env_id"] = i  # Tianshou's collectors expect it
        return np.stack(obs), np.stack(rewards), np.stack(terminated), np.stack(truncated), as_objects(infos)

    def deliberate(
        self, action: np.ndarray | torch.Tensor, id: EnvIds = None
    ) -> tuple[np.ndarray, list[Outcome | None]]:
        """Run one round in some environments, by default all, each with its row of `action` [R, N * A].

        Returns:
            The new observations [R, N, D], and the outcome of each round.
        """
        self._assert_is_not_closed()
        pairs = self._with_actions(action, id)
        if self.is_concurrent:
            results = self._loop.run(all_or_none(self.envs[i].adeliberate(act) for i, act in pairs))
        else:
            results = [self.envs[i].deliberate(act) for i, act in pairs]
        return np.stack([obs for obs, _ in results]), [self.envs[i].last_outcome for i, _ in pairs]

    def seed(self, seed: int | list[int] | None = None) -> list[list[int] | None]:
        """Seed environments and action spaces; a number gives environment i the seed + i. Resets them."""
        seeds: list[Any]
        if seed is None or isinstance(seed, int):
            seeds = [None if seed is None else seed + i for i in range(self.env_num)]
        else:
            seeds = list(seed)
        for env, own in zip(self.envs, seeds, strict=True):
            env.action_space.seed(own)
        self.reset(seed=seeds)
        return [[own] for own in seeds]

    def close(self) -> None:
        """Close all environments and the loop; may be called more than once."""
        if not self.is_closed:
            super().close()
            self._loop.close()

    def _reset_each(
        self, calls: Sequence[tuple[int, int | None, dict[str, Any] | None]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reset environments, given by number, seed and options; all at once if they have async methods."""
        if self.is_concurrent:
            results = self._loop.run(all_or_none(self.envs[i].areset(seed=s, options=o) for i, s, o in calls))
        else:
            results = [self.envs[i].reset(seed=s, options=o) for i, s, o in calls]
        return np.stack([obs for obs, _ in results]), as_objects([info for _, info in results])

    def _with_actions(self, action: np.ndarray | torch.Tensor | None, id: EnvIds) -> list[tuple[int, np.ndarray]]:
        if action is None:
            raise ValueError("action is None; give one row for each environment")
        ids = [int(i) for i in self._wrap_id(id)]
        return list(zip(ids, np.asarray(action), strict=True))


def as_objects(infos: Sequence[dict[str, Any]]) -> np.ndarray:
    """Infos as an array [R] of dicts, also when they are empty."""
    array = np.empty(len(infos), dtype=object)
    array[:] = infos
    return array
