"""Turns a PettingZoo parallel environment into a gymnasium one: the team is a single agent with stacked spaces.

Also defines the protocol `Deliberates` for environments with rounds inside a decision: their profiles can be refined
before they are submitted. Axes: N agents, D observation, A controls of one agent.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, SupportsFloat, TypeGuard, TypeVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray
from pettingzoo import ParallelEnv

from econ_agents.equilibrium import Outcome
from econ_agents.errors import TeamError
from econ_agents.team_spec import TeamSpec

T = TypeVar("T")
Array = NDArray[np.float32]
Observations = dict[str, NDArray[np.float32]]
Infos = dict[str, dict[str, Any]]
Transition = tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]
JointTransition = tuple[Array, float, bool, bool, dict[str, Any]]

AGENT_NUMBERS = (
    "temperature", "p", "top_p", "min_p", "speak", "weight", "valid", "answered", "agrees", "correct", "price",
)  # fmt: skip
"""Numbers of an agent's info that the joint info holds as arrays [N], where the environment has them."""
TEAM_NUMBERS = (
    "agreement", "failed", "rounds", "prompt_tokens", "completion_tokens", "thought_tokens", "calls",
    "team_answered", "team_correct", "team_reward", "team_price",
)  # fmt: skip
"""Numbers of the whole team: equal in every agent's info, single floats in the joint info."""


class Deliberates(Protocol):
    """A parallel environment in which a decision may take several rounds before it is submitted."""

    def deliberate(self, actions: dict[str, Array]) -> tuple[Observations, Infos]:
        """Run one round at these actions: no time passes, no reward is paid, and observations show the outcome.

        A `step` with exactly the actions of the last round submits that round at no further cost.
        """

    @property
    def last_outcome(self) -> Outcome | None:
        """Outcome of the last round of the current decision; None before its first round."""


class DeliberatesAsync(Deliberates, Protocol):
    """The same with async methods, so that many environments can wait for their models at once."""

    async def areset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Async `reset`, on any event loop."""

    async def adeliberate(self, actions: dict[str, Array]) -> tuple[Observations, Infos]:
        """Async `deliberate`, on any event loop."""

    async def astep(self, actions: dict[str, Array]) -> Transition:
        """Async `step`, on any event loop."""


def deliberates(env: object) -> TypeGuard[Deliberates]:
    """Whether an environment offers rounds inside a decision."""
    return hasattr(env, "deliberate")


def deliberates_async(env: object) -> TypeGuard[DeliberatesAsync]:
    """Whether an environment has the async methods."""
    return all(hasattr(env, name) for name in ("areset", "adeliberate", "astep"))


class JointEnv(gymnasium.Env[Array, Array]):
    """A parallel environment as one gymnasium environment.

    Observation: Box [N, D], the agents' observations as rows. Action: flat Box [N * A], agent after agent, in the
    environment's units. Reward: the team's (`team_reward` of the infos where there is one, else the agents' mean).
    Infos are empty at reset. At a step they hold `agent_rewards` [N] and, where the environment has them, the numbers
    in `AGENT_NUMBERS` and `TEAM_NUMBERS`, `reward_parts` [N, R] and `team_parts` [R]. Reward terms are AL, TS, CC, then
    the others in the environment's `reward_terms`. The keys are the same at every step.

    Agents must have equal spaces and all stay to the end. If some leave early, wrap the environment first so that they
    stay (for example with `supersuit.black_death_v3`).

    Args:
        env: The parallel environment.

    Raises:
        TeamError: Agents differ in their spaces, a space is no one-dimensional Box, or an action has no bounds.
    """

    def __init__(self, env: ParallelEnv[str, Any, Any]) -> None:
        self.parallel_env = env
        self.team = TeamSpec.of(env)
        agents = list(env.possible_agents)
        obs_spaces = [env.observation_space(agent) for agent in agents]
        self.observation_space = Box(
            np.stack([s.low for s in obs_spaces]).astype(np.float32),
            np.stack([s.high for s in obs_spaces]).astype(np.float32),
            dtype=np.float32,
        )
        self._low, self._high = self.team.joint_action_space.low, self.team.joint_action_space.high
        self.action_space = Box(self._low, self._high, dtype=np.float32)
        self.metadata = {"render_modes": list(env.metadata.get("render_modes", []))}
        self.render_mode = env.render_mode if hasattr(env, "render_mode") else None
        self._agents = agents
        self._info_keys: frozenset[str] | None = None

    # Acting -------------------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start an episode; seed and options go to the parallel environment.

        Returns:
            Observation [N, D], and an empty info.
        """
        super().reset(seed=seed)
        obs, _ = self.parallel_env.reset(seed=seed, options=options)
        return self._stack(obs), {}

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Async `reset`; blocks if the parallel environment has no async methods."""
        if not deliberates_async(self.parallel_env):
            return self.reset(seed=seed, options=options)
        super().reset(seed=seed)
        obs, _ = await self.parallel_env.areset(seed=seed, options=options)
        return self._stack(obs), {}

    def deliberate(self, action: ArrayLike) -> tuple[Array, dict[str, Any]]:
        """Run one round at this joint action [N * A]; no time passes.

        Returns:
            The new observation [N, D], and the round's numbers.

        Raises:
            TeamError: The parallel environment has no `deliberate`.
        """
        obs, infos = self._deliberating().deliberate(self._split(action))
        return self._stack(obs), self._numbers(infos)

    async def adeliberate(self, action: ArrayLike) -> tuple[Array, dict[str, Any]]:
        """Async `deliberate`; blocks if the parallel environment has no async methods."""
        if not deliberates_async(self.parallel_env):
            return self.deliberate(action)
        obs, infos = await self.parallel_env.adeliberate(self._split(action))
        return self._stack(obs), self._numbers(infos)

    def step(self, action: ArrayLike) -> JointTransition:
        """Submit this joint action [N * A].

        Returns:
            Observation [N, D], team reward, terminated, truncated, info.

        Raises:
            TeamError: Some agents left before the others, or the infos' keys changed.
            RuntimeError: No episode is running.
        """
        return self._join(self.parallel_env.step(self._split(action)))

    async def astep(self, action: ArrayLike) -> JointTransition:
        """Async `step`; blocks if the parallel environment has no async methods."""
        if not deliberates_async(self.parallel_env):
            return self.step(action)
        return self._join(await self.parallel_env.astep(self._split(action)))

    def render(self) -> Any:
        """Render the parallel environment."""
        return self.parallel_env.render()

    def close(self) -> None:
        """Close the parallel environment."""
        self.parallel_env.close()

    # What the parallel environment offers --------------------------------------------------------------------------

    @property
    def can_deliberate(self) -> bool:
        """Whether `deliberate` can be called."""
        return deliberates(self.parallel_env)

    @property
    def is_concurrent(self) -> bool:
        """Whether the async methods run without blocking."""
        return deliberates_async(self.parallel_env)

    @property
    def run_coroutine(self) -> Callable[[Coroutine[Any, Any, T]], T] | None:
        """How to run a coroutine on the loop of the environment's async methods; None if it offers no way.

        Coroutines that run there await these methods without a way to another thread and back.
        """
        env = self.parallel_env
        return env.run_coroutine if hasattr(env, "run_coroutine") else None

    @property
    def last_outcome(self) -> Outcome | None:
        """Outcome of the last round of the current decision; None before its first round."""
        return self._deliberating().last_outcome

    @property
    def weighs_rewards(self) -> bool:
        """Whether the environment pays weighted reward terms, so that `reward_weights` can be set."""
        return hasattr(self.parallel_env, "reward_weights")

    @property
    def reward_weights(self) -> tuple[float, ...]:
        """The environment's weights of the reward terms; can be set at any time."""
        weights: tuple[float, ...] = self.parallel_env.reward_weights
        return weights

    @reward_weights.setter
    def reward_weights(self, weights: Sequence[float]) -> None:
        self.parallel_env.unwrapped.reward_weights = weights  # set on a wrapper, they would not reach it

    @property
    def observation_layout(self) -> Mapping[str, slice]:
        """Part name to its slice of an agent's observation; empty if the environment names none."""
        return {name: slice(start, stop) for name, start, stop in self.team.layout}

    @property
    def memory_shape(self) -> tuple[int, int]:
        """(M, F) of the part `agent_memory`; (0, 0) without one."""
        return self.team.memory_shape

    # Units ---------------------------------------------------------------------------------------------------------

    def to_env(self, profile_NA: ArrayLike) -> Array:
        """A profile [N, A] in [-1, 1] as a joint action [N * A] in the environment's units."""
        unit = (np.asarray(profile_NA, np.float32).reshape(self._low.shape) + 1.0) / 2.0
        return np.clip(self._low + (self._high - self._low) * unit, self._low, self._high).astype(np.float32)

    def from_env(self, action: ArrayLike) -> Array:
        """Inverse of `to_env`: a profile [N, A] in [-1, 1]."""
        unit = (np.asarray(action, np.float32).reshape(self._low.shape) - self._low) / (self._high - self._low)
        return (2.0 * unit - 1.0).reshape(self.team.n_agents, self.team.action_dim).astype(np.float32)

    # Helpers -------------------------------------------------------------------------------------------------------

    def _deliberating(self) -> Deliberates:
        if deliberates(self.parallel_env):
            return self.parallel_env
        raise TeamError(f"{self.parallel_env} has no deliberate(); use one round per decision")

    def _split(self, action: ArrayLike) -> dict[str, Array]:
        if not self.parallel_env.agents:
            raise RuntimeError("no episode is running; call reset first")
        rows = np.asarray(action, np.float32).reshape(self.team.n_agents, self.team.action_dim)
        return {agent: row.copy() for agent, row in zip(self._agents, rows, strict=True)}

    def _stack(self, per_agent: Mapping[str, ArrayLike]) -> Array:
        missing = [agent for agent in self._agents if agent not in per_agent]
        if missing:
            raise TeamError(f"no observation of {missing}: every agent needs an observation until all agents end")
        return np.stack([np.asarray(per_agent[agent], np.float32) for agent in self._agents])

    def _join(self, transition: Transition) -> JointTransition:
        obs, rewards, terminations, truncations, infos = transition
        obs_ND = self._stack(obs)
        ended = [terminations[agent] or truncations[agent] for agent in self._agents]
        if any(ended) and not all(ended):
            gone = [agent for agent, end in zip(self._agents, ended, strict=True) if end]
            raise TeamError(f"{gone} left before the others; wrap the environment so that all end together")
        info = self._numbers(infos)
        info["agent_rewards"] = np.array([rewards[agent] for agent in self._agents], np.float32)
        if self._info_keys is None:
            self._info_keys = frozenset(info)
        elif self._info_keys != info.keys():
            raise TeamError(f"keys of the infos must not change between steps: {sorted(self._info_keys ^ info.keys())}")
        team_reward: SupportsFloat = info.get("team_reward", info["agent_rewards"].mean())
        terminated = all(terminations[agent] for agent in self._agents)
        return obs_ND, float(team_reward), terminated, all(ended) and not terminated, info

    def _numbers(self, infos: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The known numbers of all agents' infos in one dict, new at each call."""
        rows = [infos[agent] for agent in self._agents]
        shared = set(rows[0]).intersection(*rows[1:])
        flat: dict[str, Any] = {}
        for name in AGENT_NUMBERS:
            if name in shared:
                flat[name] = np.array([row[name] for row in rows], np.float32)
        for name in TEAM_NUMBERS:
            if name in shared:
                flat[name] = float(rows[0][name])
        terms = self.team.reward_terms
        if shared.issuperset(f"reward_{term}" for term in terms):
            flat["reward_parts"] = np.array([[row[f"reward_{term}"] for term in terms] for row in rows], np.float32)
        if shared.issuperset(f"team_{term}" for term in terms):
            flat["team_parts"] = np.array([rows[0][f"team_{term}"] for term in terms], np.float32)
        return flat
