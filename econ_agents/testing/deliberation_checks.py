"""Checks that an environment follows the protocol `Deliberates`, which refinement needs."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from econ_agents.joint_env import Array, Observations


def check_deliberates(env: ParallelEnv[str, Any, Any]) -> None:
    """Check that an environment follows the protocol `Deliberates`; plays one episode.

    Raises:
        AssertionError: It does not; the message says what to change.
    """
    _require(hasattr(env, "deliberate"), "the environment has no deliberate(actions) -> (observations, infos); add it")
    twins = [name for name in ("areset", "adeliberate", "astep") if hasattr(env, name)]
    _require(len(twins) in (0, 3), f"only {twins} of areset, adeliberate, astep exist; define all three or none")
    for name in twins:
        _require(inspect.iscoroutinefunction(getattr(env, name)), f"{name} must be an `async def`")
    env.reset(seed=0)
    _require(env.last_outcome is None, "last_outcome must be None before a decision's first round; clear it in reset")
    agents = list(env.agents)
    actions = {agent: env.action_space(agent).sample() for agent in agents}
    seen = _check_round(env, agents, actions)
    again = _check_round(env, agents, actions)
    shared = [agent for agent in agents if np.shares_memory(seen[agent], again[agent])]
    _require(not shared, f"deliberate returns the same array twice for {shared}; return fresh copies")
    after, rewards, ends, cuts, _ = env.step(actions)
    _require(set(rewards) == set(agents), "step after deliberate must give every agent a reward")
    if not any(ends.values()) and not any(cuts.values()):
        _require(env.last_outcome is None, "last_outcome must be None once a decision was submitted; clear it in step")
    _require(set(after) == set(agents), "step after deliberate must give every agent an observation")


def _check_round(env: Any, agents: list[str], actions: dict[str, Array]) -> Observations:
    result = env.deliberate(actions)
    _require(isinstance(result, tuple) and len(result) == 2, "deliberate must return (observations, infos), no rewards")
    obs, infos = result
    _require(set(obs) == set(agents), "deliberate must give every agent an observation, keyed by name")
    _require(set(infos) == set(agents), "deliberate must give every agent an info (it may be empty), keyed by name")
    for agent in agents:
        inside = env.observation_space(agent).contains(obs[agent])
        _require(inside, f"the observation of {agent} is outside its observation space (shape, dtype or bounds)")
    _require(list(env.agents) == agents, "deliberate must not change `agents`: no time passes in it")
    outcome = env.last_outcome
    _require(outcome is not None, "last_outcome must not be None after a round; set it in deliberate")
    _require(outcome.answer is None or isinstance(outcome.answer, str), "last_outcome.answer must be a str or None")
    _require(isinstance(outcome.failed, bool), "last_outcome.failed must be a bool")
    return dict(obs)


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise AssertionError(text)
