"""Turns a PettingZoo parallel environment into a gymnasium one, and says what it may offer to a learner.

`joint_view` has the view with a step for each decision, `wave_env` that with a step for each round of one.
"""

from __future__ import annotations

from typing import Any

from pettingzoo import ParallelEnv

from econ_agents.joint_view import (
    AGENT_NUMBERS,
    TEAM_NUMBERS,
    Array,
    Deliberates,
    DeliberatesAsync,
    Infos,
    JointEnv,
    JointTransition,
    Observations,
    Transition,
    deliberates,
    deliberates_async,
)
from econ_agents.wave_env import WaveEnv, has_waves

__all__ = [
    "AGENT_NUMBERS",
    "TEAM_NUMBERS",
    "Array",
    "Deliberates",
    "DeliberatesAsync",
    "Infos",
    "JointEnv",
    "JointTransition",
    "Observations",
    "Transition",
    "WaveEnv",
    "as_joint",
    "deliberates",
    "deliberates_async",
    "has_waves",
]


def as_joint(env: ParallelEnv[str, Any, Any] | JointEnv) -> JointEnv:
    """The joint view of a parallel environment; a joint one is returned as it is.

    An environment whose executors may stay silent gets the view with a step for each wave.
    """
    if isinstance(env, JointEnv):
        return env
    return WaveEnv(env) if has_waves(env) else JointEnv(env)
