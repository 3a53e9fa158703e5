"""Makes the environment under PettingZoo's names `parallel_env`, `env` and `raw_env`, and gymnasium's views of it.

Examples:
    >>> from econ_env import econ_v0
    >>> env = econ_v0.parallel_env(llm="simulated", embedder="hash")

All take the arguments of `parallel_env`. The number in the module's name is the environment's version.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from gymnasium.vector import AutoresetMode
from pettingzoo.utils import OrderEnforcingWrapper, parallel_to_aec

from econ_env.env import EconParallelEnv
from econ_env.factory import parallel_env
from econ_env.wrappers import DiscreteActions, JointView, TupleView, VectorTeam

P = ParamSpec("P")
V = TypeVar("V")

__all__ = ["env", "joint_env", "joint_vector_env", "parallel_env", "raw_env", "tuple_env"]


def _with_arguments_of(
    make: Callable[P, EconParallelEnv],
) -> Callable[[Callable[[EconParallelEnv], V]], Callable[P, V]]:
    """Turn a view of an environment into a factory of such views, with the arguments of `make`."""

    def of(view: Callable[[EconParallelEnv], V]) -> Callable[P, V]:
        @functools.wraps(view)  # its name, so that the factory can be pickled
        def made(*args: P.args, **kwargs: P.kwargs) -> V:
            return view(make(*args, **kwargs))

        made.__wrapped__ = make  # help() takes the arguments from it
        return made

    return of


def _joint(make: Callable[[], EconParallelEnv]) -> JointView:
    return JointView(make())


def _many(make: Callable[P, EconParallelEnv]) -> Callable[..., VectorTeam]:
    """A factory of a vector environment of `num_envs` joint views; it also takes the arguments of `make`."""

    def made(
        num_envs: int,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> VectorTeam:
        team = functools.partial(_joint, functools.partial(make, *args, **kwargs))
        return VectorTeam([team] * num_envs, AutoresetMode(autoreset_mode))

    return made


@_with_arguments_of(parallel_env)
def raw_env(parallel: EconParallelEnv) -> Any:
    """The AEC environment: agents act in turn, and the team answers after the last one has acted."""
    return parallel_to_aec(parallel)


@_with_arguments_of(parallel_env)
def env(parallel: EconParallelEnv) -> Any:
    """The AEC environment; it also reports methods that are called out of order."""
    return OrderEnforcingWrapper(parallel_to_aec(parallel))


@_with_arguments_of(parallel_env)
def joint_env(parallel: EconParallelEnv) -> JointView:
    """The gymnasium view `econ_env/Joint-v0`."""
    return JointView(parallel)


@_with_arguments_of(parallel_env)
def tuple_env(parallel: EconParallelEnv) -> TupleView:
    """The gymnasium view `econ_env/Tuple-v0`, with a 5 x 5 grid of controls."""
    return TupleView(DiscreteActions(parallel))


joint_vector_env = _many(parallel_env)
"""What `gymnasium.make_vec("econ_env/Joint-v0")` calls: `num_envs` problems at once, reset in the same step.

Where the call names a `vectorization_mode`, gymnasium makes its own vector of joint views instead, which throws away
every second action of one-step episodes unless it gets `vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}`.
"""
