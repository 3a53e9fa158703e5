"""The environments of a training run: each episode has a number that decides its seed and its problem.

So an episode does not depend on when and in which environment it is played, and training can resume exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from pettingzoo import ParallelEnv
from tianshou.env.utils import gym_new_venv_step_type

from econ_agents.equilibrium import Outcome
from econ_agents.joint_env import JointEnv
from econ_agents.vector_env import EnvIds, JointVectorEnv, as_objects


class TrainingEnvs(JointVectorEnv):
    """A `JointVectorEnv` that numbers its episodes.

    Args:
        env_fns: One factory per environment.
        seed: Seed of the run, >= 0; episode n gets a seed derived from it and n.
        episodes: Number of episodes to play. Tianshou's collectors reset an environment as soon as it is done, so some
            extra episodes start at the end; the option `plan` False lets the environment skip costly preparation.
        problem_of: Maps an episode number to a problem, given to the environment as `options["problem"]`; None leaves
            the choice to the environment.
    """

    def __init__(
        self,
        env_fns: Sequence[Callable[[], ParallelEnv[str, Any, Any] | JointEnv]],
        *,
        seed: int,
        episodes: int,
        problem_of: Callable[[int], int | str] | None = None,
    ) -> None:
        super().__init__(env_fns)
        self._run_seed = seed
        self._episodes = episodes
        self._problem_of = problem_of
        self._waiting: list[int] = []
        self._next = 0
        self._begun: dict[int, tuple[np.ndarray, dict[str, Any]]] = {}
        self.numbers = [0] * len(env_fns)

    def go_on(self, numbers: Sequence[int]) -> None:
        """Use these episodes at the next reset of all environments, and continue the count from there.

        Args:
            numbers: One per environment, as `numbers` was when the run stopped.
        """
        self._waiting = list(numbers)
        self._next = max(numbers) + 1
        self._begun.clear()

    def reset(  # type: ignore[override] # says which keywords it takes
        self,
        env_id: EnvIds = None,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Start the next episodes; `seed` is not used, `options` are added to each.

        An environment without a step or round since its last reset keeps its episode: Tianshou's collectors reset one
        when it is done, and all of them again at the end of a collection, which would skip episodes.
        """
        self._assert_is_not_closed()
        ids = [int(i) for i in self._wrap_id(env_id)]
        calls = []
        for env in ids:
            if env in self._begun:
                continue
            number = self._waiting.pop(0) if self._waiting else self._next
            self._next = max(self._next, number + 1)
            self.numbers[env] = number
            own = dict(options or {})
            if self._problem_of is not None:
                own["problem"] = self._problem_of(number)
            if number >= self._episodes:
                own["plan"] = False
            calls.append((env, episode_seed(self._run_seed, number), own))
        if calls:
            obs, infos = self._reset_each(calls)
            self._begun |= {env: (obs[row], infos[row]) for row, (env, _, _) in enumerate(calls)}
        first = [self._begun[env] for env in ids]
        return np.stack([obs for obs, _ in first]), as_objects([dict(info) for _, info in first])

    def step(self, action: np.ndarray | torch.Tensor | None, id: EnvIds = None) -> gym_new_venv_step_type:
        """As in `JointVectorEnv`."""
        self._leave_start(id)
        return super().step(action, id)

    def deliberate(
        self, action: np.ndarray | torch.Tensor, id: EnvIds = None
    ) -> tuple[np.ndarray, list[Outcome | None]]:
        """As in `JointVectorEnv`."""
        self._leave_start(id)
        return super().deliberate(action, id)

    def set_reward_weights(self, weights: tuple[float, ...]) -> None:
        """Set these weights in all environments that have reward weights."""
        for env in self.envs:
            if env.weighs_rewards:
                env.reward_weights = weights

    def _leave_start(self, id: EnvIds) -> None:
        for env in self._wrap_id(id):
            self._begun.pop(int(env), None)


def episode_seed(run_seed: int, number: int) -> int:
    """The seed of episode `number` of a run, in [0, 2**32)."""
    return int(np.random.SeedSequence([run_seed, number]).generate_state(1)[0])
