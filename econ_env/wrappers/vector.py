"""Runs many problems at once in one process; their model calls run concurrently.

Axes: R teams, N agents, D observation, S state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space, iterate
from numpy.typing import NDArray

from econ_env.env import Transition
from econ_env.errors import ConfigError
from econ_env.llm import background
from econ_env.observations.infos import Infos
from econ_env.wrappers.actions import TeamEnv
from econ_env.wrappers.joint import Array, Info, JointTransition, JointView

T = TypeVar("T")
Batched = dict[str, NDArray[Any]]
Seeds = int | Sequence[int | None] | None


class VectorTeam(SyncVectorEnv):
    """Joint views of R teams as a gymnasium vector environment, with `SyncVectorEnv`'s interface and results.

    Automatic resets run together with the steps of the same call. If a team raises, the others are cancelled and its
    error is raised; then reset before the next step.

    Args:
        env_fns: One factory per team. Teams share what their factories share (an LLM, loaded problems).
        autoreset_mode: When a finished team gets its next problem. `SAME_STEP`: in the same step; the states belong to
            the next episode, the finished one's last state and info are in `infos["final_obs"]` and
            `infos["final_info"]`. `NEXT_STEP`, the default of gymnasium's own vectors: at the next step, whose action
            is thrown away and whose reward is 0; with episodes of one step that is every second action. RLlib needs
            it, and loses decisions without. `DISABLED`: only by `reset`.
    """

    envs: list[_Ahead]  # type: ignore[assignment] # narrower than the base's

    def __init__(
        self, env_fns: Sequence[Callable[[], JointView]], autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP
    ) -> None:
        super().__init__([partial(_ahead, make) for make in env_fns], autoreset_mode=autoreset_mode)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, Info]:
        """Reset the teams, or those of `options["reset_mask"]`.

        Args:
            seed: One per team, or one number: team i gets seed + i.
            options: Given to each team.

        Returns:
            States [R, S], and an empty info.
        """
        seeds = _seeds(seed, self.num_envs)
        asked = {key: value for key, value in (options or {}).items() if key != "reset_mask"}
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        chosen = [(env, s) for env, s, wanted in zip(self.envs, seeds, mask, strict=True) if wanted]
        self._run(env.reset_ahead(s, asked) for env, s in chosen)
        states, info = super().reset(seed=seeds, options=options)
        return states, info

    def step(self, actions: Any) -> tuple[Array, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Step every team with its row of `actions`.

        Returns:
            States [R, S], rewards [R], terminated [R], truncated [R], infos as gymnasium batches them.
        """
        rows = list(iterate(self.action_space, actions))
        self._run(env.step_ahead(row, self.autoreset_mode) for env, row in zip(self.envs, rows, strict=True))
        return super().step(actions)

    def deliberate(self, actions: Any) -> tuple[Array, Info]:
        """Run one round in every team, each with its row of `actions`; there is no reward."""
        rows = list(iterate(self.action_space, actions))
        results = self._run(env.team.adeliberate(row) for env, row in zip(self.envs, rows, strict=True))
        infos: Info = {}
        for number, (_, info) in enumerate(results):
            infos = self._add_info(infos, info, number)
        return np.stack([state for state, _ in results]), infos

    def _run(self, coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        for env in self.envs:
            env.forget()  # drop results of a failed call
        return background.run(together(coroutines))


def _ahead(make: Callable[[], JointView]) -> _Ahead:
    return _Ahead(make())


class _Ahead(gymnasium.Wrapper[Array, Any, Array, Any]):
    """Returns from `reset` and `step` the results that were computed before the call."""

    def __init__(self, team: JointView) -> None:
        super().__init__(team)
        self.team = team
        self._ended = False
        self._resets: deque[tuple[Array, Info]] = deque()
        self._steps: deque[JointTransition] = deque()

    def forget(self) -> None:
        self._resets.clear()
        self._steps.clear()

    async def reset_ahead(self, seed: int | None, options: dict[str, Any]) -> None:
        self._ended = False
        self._resets.append(await self.team.areset(seed=seed, options=options))

    async def step_ahead(self, action: Any, mode: AutoresetMode) -> None:
        if self._ended and mode is AutoresetMode.NEXT_STEP:
            await self.reset_ahead(None, {})
            return
        transition = await self.team.astep(action)
        self._ended = transition[2] or transition[3]
        self._steps.append(transition)
        if self._ended and mode is AutoresetMode.SAME_STEP:
            await self.reset_ahead(None, {})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        return self._resets.popleft()

    def step(self, action: Any) -> JointTransition:
        return self._steps.popleft()


class ParallelVectorTeam:
    """R teams in PettingZoo's style: dicts by agent whose values have R rows, for your own training loops.

    A finished team gets its next problem in the same step: rewards, ends and infos belong to the finished episode,
    observations and state to the next one. Episodes end by termination, so no value of a last observation is needed.
    If a team raises, the others are cancelled and its error is raised; then reset before the next step.

    Args:
        env_fns: One factory per team, with equal spaces. Teams share what their factories share.

    Attributes:
        num_envs: Number of teams R.
        possible_agents: Names of the agents, the same in each team.
        control_names: Names of the controls, in the order of an action.
        agents: The same names: a finished team starts its next episode at once.
        render_mode: The first team's.
        metadata: The first team's.

    Raises:
        ConfigError: There is no team, or teams differ in agents or spaces.
    """

    def __init__(self, env_fns: Sequence[Callable[[], TeamEnv]]) -> None:
        self.envs = [make() for make in env_fns]
        if not self.envs:
            raise ConfigError("a vector of teams needs at least one team")
        first = self.envs[0]
        self.num_envs = len(self.envs)
        self.possible_agents = self.agents = list(first.possible_agents)
        self.num_agents = len(self.agents)
        self.metadata, self.render_mode = first.metadata, first.render_mode
        self.control_names = first.control_names
        for env in self.envs:
            if (env.observation_spaces, env.action_spaces) != (first.observation_spaces, first.action_spaces):
                raise ConfigError("the teams of a vector must have equal agents and spaces")
            if env.control_names != self.control_names:
                raise ConfigError(
                    f"the teams of a vector must have equal controls, got {', '.join(self.control_names)} and "
                    f"{', '.join(env.control_names)}"
                )
        self.observation_spaces = self._batched(first.observation_spaces)
        self.action_spaces = self._batched(first.action_spaces)

    def single_observation_space(self, agent: str) -> Space[Any]:
        """The agent's observation space in one team."""
        return self.envs[0].observation_space(agent)

    def single_action_space(self, agent: str) -> Space[Any]:
        """The agent's action space in one team."""
        return self.envs[0].action_space(agent)

    def observation_space(self, agent: str) -> Space[Any]:
        """The agent's observations in all teams, [R, D]."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """The agent's actions in all teams."""
        return self.action_spaces[agent]

    @property
    def unwrapped(self) -> ParallelVectorTeam:
        """This environment itself."""
        return self

    def reset(self, seed: Seeds = None, options: dict[str, Any] | None = None) -> tuple[Batched, Infos]:
        """Reset every team.

        Args:
            seed: One per team, or one number: team i gets seed + i.
            options: Given to each team.

        Returns:
            Observations [R, D] per agent, and an empty info per agent.
        """
        pairs = zip(self.envs, _seeds(seed, self.num_envs), strict=True)
        results = background.run(together(env.areset(s, options) for env, s in pairs))
        return _rows([observations for observations, _ in results]), {agent: {} for agent in self.agents}

    def deliberate(self, actions: Mapping[str, Any]) -> tuple[Batched, dict[str, Batched]]:
        """Run one round in every team; decisions go on, and there is no reward.

        Args:
            actions: Per agent one row for each team.

        Returns:
            Observations [R, D] and infos, each number an array [R].
        """
        results = background.run(together(env.adeliberate(act) for env, act in self._split(actions)))
        return _rows([observations for observations, _ in results]), self._infos([infos for _, infos in results])

    def step(self, actions: Mapping[str, Any]) -> tuple[Batched, Batched, Batched, Batched, dict[str, Batched]]:
        """Submit a decision in every team.

        Args:
            actions: Per agent one row for each team.

        Returns:
            Observations [R, D], rewards [R], terminations [R], truncations [R] per agent; infos, each number an
            array [R].
        """
        results = background.run(together(_advance(env, act) for env, act in self._split(actions)))
        observations, rewards, terminations, truncations, infos = zip(*results, strict=True)
        return _rows(observations), _rows(rewards), _rows(terminations), _rows(truncations), self._infos(infos)

    def state(self) -> Array:
        """The teams' states, [R, S]."""
        return np.stack([env.state() for env in self.envs])

    def render(self) -> tuple[str | None, ...]:
        """What each team renders."""
        return tuple(env.render() for env in self.envs)

    def close(self) -> None:
        """Close every team."""
        for env in self.envs:
            env.close()

    def _batched(self, spaces: Mapping[str, Space[Any]]) -> dict[str, Space[Any]]:
        return {agent: batch_space(space, self.num_envs) for agent, space in spaces.items()}

    def _split(self, actions: Mapping[str, Any]) -> list[tuple[TeamEnv, dict[str, Any]]]:
        rows: list[dict[str, Any]] = [{} for _ in self.envs]
        for agent, batch in actions.items():
            for row, action in zip(rows, batch, strict=True):
                row[agent] = action
        return list(zip(self.envs, rows, strict=True))

    def _infos(self, infos: Sequence[Infos]) -> dict[str, Batched]:
        return {agent: _rows([info[agent] for info in infos]) for agent in self.agents}


async def _advance(env: TeamEnv, actions: Mapping[str, Any]) -> Transition:
    """A step, and the next problem's observations if the episode is over."""
    observations, rewards, terminations, truncations, infos = await env.astep(actions)
    if not env.agents:
        observations, _ = await env.areset()
    return observations, rewards, terminations, truncations, infos


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines concurrently; return results in order, or cancel the others and raise the first error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _seeds(seed: Seeds, count: int) -> list[int | None]:
    if seed is None:
        return [None] * count
    return [seed + number for number in range(count)] if isinstance(seed, int) else list(seed)


def _rows(dicts: Sequence[Mapping[str, Any]]) -> Batched:
    """Merge dicts with the same keys: each value becomes an array with one row per dict."""
    return {key: np.array([one[key] for one in dicts]) for key in dicts[0]}
