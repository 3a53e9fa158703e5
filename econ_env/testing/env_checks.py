"""Checks that a PettingZoo parallel env has all that known trainers need; each error says how to repair it.

PettingZoo's own `parallel_api_test` and `parallel_seed_test` do not check whether an observation lies in its space, and
compare only one step of a seeded episode; trainers fail on much more. Run both and this check:

>>> from econ_env.testing import check_env
>>> check_env(lambda: my_env())
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

import numpy as np
from gymnasium.spaces import Space
from pettingzoo import ParallelEnv

from econ_env.errors import EconError

Env: TypeAlias = "ParallelEnv[str, Any, Any]"
Trajectory = list[Any]

RESERVED_NAMES = ("device", "num_envs", "state_size", "state_spaces")
"""Attributes that make skrl and EPyMARL mistake an environment for another kind."""
RESERVED_KEYS = (
    "action_mask", "env_defined_actions", "episode", "episode_limit", "final_info", "final_obs",
    "terminal_observation", "TimeLimit.truncated",
)  # fmt: skip
"""Info keys with a special meaning in AgileRL, Stable-Baselines3, EPyMARL and gymnasium's vector environments."""
CHILD_SECONDS = 60.0
"""Time limit of an episode in a forked process."""


class CheckError(EconError, AssertionError):
    """A check failed; the message says what is wrong or how to repair it."""


def check_env(make_env: Callable[[], Env], *, episodes: int = 3) -> None:
    """Check an environment the way trainers use it.

    Args:
        make_env: Makes a fresh environment; called several times.
        episodes: Episodes played per check.

    Raises:
        CheckError: The first error found.
    """
    env = make_env()
    env.close()  # must be allowed before reset
    env = make_env()
    _check_object(env)
    for copied in _copies(env):
        copied.reset(seed=0)
    keys: set[frozenset[str]] = set()
    for number in range(episodes):
        _check_reset(env, *env.reset(seed=0 if number == 0 else None))
        while env.agents:
            keys |= _check_step(env, _sample(env, number))
            _require(env.render_mode is not None or env.render() is None, "render() must do nothing without a mode")
        _require(env.state_space.contains(env.state()), "state() must lie in state_space, also after the end")
        for copied in _copies(env):
            copied.reset(seed=1)
    _require(len(keys) <= 1, "step infos must have the same keys for every agent, step and episode")
    _check_action_kinds(env)
    _check_seeds(make_env, episodes)
    _check_moves_on(make_env, episodes)
    _check_unseeded_copies(make_env, episodes)
    _check_forked_child(env)
    env.close()
    env.close()


def _copies(env: Env) -> list[Env]:
    try:
        return [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    except Exception as error:  # any error of a copy must be reported
        raise CheckError(f"it must survive pickling, so open connections and locks at first use: {error}") from None


def _require(holds: bool, repair: str) -> None:
    if not holds:
        raise CheckError(repair)


def _check_object(env: Env) -> None:
    _require(isinstance(env, ParallelEnv), "derive from pettingzoo.ParallelEnv")
    _require(isinstance(env.possible_agents, list), "possible_agents must be a list: SuperSuit compares it with agents")
    stems = {agent.rpartition("_")[0] for agent in env.possible_agents}
    numbers = [agent.rpartition("_")[2] for agent in env.possible_agents]
    _require(
        len(stems) == 1 and all(number.isdigit() for number in numbers),
        "name agents <stem>_<number> with one stem: trainers group them by it",
    )
    for key in ("render_modes", "name", "is_parallelizable"):
        _require(key in env.metadata, f"metadata needs {key!r}")
    _require(hasattr(env, "render_mode"), "set a render_mode attribute, None by default: SuperSuit reads it")
    _require(hasattr(env.unwrapped, "render_mode"), "env.unwrapped must have a render_mode: SuperSuit reads it there")
    for name in RESERVED_NAMES:
        _require(not hasattr(env, name), f"rename the attribute {name}: trainers give it a special meaning")
    _require(isinstance(env.state_space, Space), "state_space must be a Space attribute, not a method")
    _require(env.state_space.dtype == np.float32, "state_space must be of float32")
    for name, method, inner in (
        ("observation_spaces", env.observation_space, env.unwrapped.observation_space),
        ("action_spaces", env.action_space, env.unwrapped.action_space),
    ):
        spaces = {"observation_spaces": env.observation_spaces, "action_spaces": env.action_spaces}[name]
        _require(isinstance(spaces, Mapping), f"{name} must be a dict attribute")
        _require(
            all(inner(agent) == spaces[agent] for agent in env.possible_agents),
            f"a wrapper that changes {name} must be its own unwrapped: skrl reads them there",
        )
        for agent in env.possible_agents:
            _require(
                method(agent) is spaces[agent], f"{name}[agent] and the method must return the same object each time"
            )
            _require(spaces[agent] == spaces[env.possible_agents[0]], f"{name} must be equal across agents")


def _check_reset(env: Env, observations: Mapping[str, Any], infos: Mapping[str, Any]) -> None:
    _require(env.agents == env.possible_agents, "after reset, agents must hold all possible_agents, in order")
    _require(env.agents is not env.possible_agents, "agents must be a list of its own, not possible_agents")
    _check_observations(env, observations)
    _require(
        infos == {agent: {} for agent in env.agents},
        "reset infos must be an empty dict per agent: TorchRL makes tensors of their values",
    )


def _check_step(env: Env, actions: Mapping[str, Any]) -> set[frozenset[str]]:
    names = list(env.possible_agents)
    before = env.agents
    observations, rewards, terminations, truncations, infos = env.step(actions)
    for result in (observations, rewards, terminations, truncations, infos):
        _require(list(result) == names, "every dict of step must hold every agent, in order, also at the end")
    _check_observations(env, observations)
    _require(all(type(reward) is float for reward in rewards.values()), "rewards must be Python floats")
    _require(all(np.isfinite(reward) for reward in rewards.values()), "rewards must be finite")
    ends = [*terminations.values(), *truncations.values()]
    _require(all(type(end) is bool for end in ends), "terminations and truncations must be Python bools")
    over = all(terminations.values()) or all(truncations.values())
    _require(env.agents == ([] if over else before), "agents must be empty after the joint end, and complete before")
    _require(len({id(info) for info in infos.values()}) == len(names), "each agent needs an info dict of its own")
    for info in infos.values():
        numbers = all(type(value) in (float, int, bool, str) for value in info.values())
        _require(numbers, "info values must be plain floats, ints, bools or strings")
        floats = [value for value in info.values() if type(value) is float]
        _require(bool(np.isfinite(floats).all()), "info values must be finite: NaN is unequal to itself")
        _require(pickle.loads(pickle.dumps(info)) == info, "infos must survive pickling")
        bad = [key for key in info if key in RESERVED_KEYS or key.startswith("_")]
        _require(not bad, f"rename the infos {bad}: trainers give these keys a special meaning")
    keys = {frozenset(info) for info in infos.values()}
    for result in (observations, rewards, terminations, truncations, infos):
        result["__all__"] = None  # RLlib writes into these dicts; the next step must not contain it
    return keys


def _check_observations(env: Env, observations: Mapping[str, Any]) -> None:
    for agent, observation in observations.items():
        space = env.observation_space(agent)
        _require(
            isinstance(observation, np.ndarray) and observation.dtype == np.float32,
            "observations must be float32 arrays",
        )
        _require(space.contains(observation), f"the observation of {agent} lies outside its space")
    arrays = list(observations.values())
    shared = any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    _require(not shared, "agents must not share observation memory")


def _sample(env: Env, seed: int) -> dict[str, Any]:
    actions = {}
    for number, agent in enumerate(env.agents):
        space = copy.deepcopy(env.action_space(agent))
        space.seed(1000 * seed + number)
        actions[agent] = space.sample()
    return actions


def _check_action_kinds(env: Env) -> None:
    """Arrays of either precision, lists, read-only and out-of-range arrays must all be accepted."""
    env.reset(seed=0)
    first = env.possible_agents[0]
    sample = np.asarray(_sample(env, 0)[first])
    if sample.dtype.kind != "f":
        return
    frozen = sample.copy()
    frozen.setflags(write=False)
    for action in (sample.astype(np.float64), sample.tolist(), frozen, np.zeros_like(sample), sample + 100):
        env.reset(seed=0)
        env.step(dict.fromkeys(env.agents, action))


def _play(env: Env, episodes: int, seed: int | None) -> Trajectory:
    seen: Trajectory = []
    for number in range(episodes):
        seen.append(env.reset(seed=seed if number == 0 else None)[0])
        while env.agents:
            seen.append(env.step(_sample(env, number)))
    return seen


def _check_seeds(make_env: Callable[[], Env], episodes: int) -> None:
    one, other = _play(make_env(), episodes, 5), _play(make_env(), episodes, 5)
    _require(_equal(one, other), "the same seed must give the same episodes, every step and later reset included")
    env = make_env()
    _require(_equal(_play(env, episodes, 5), _play(env, episodes, 5)), "reset(seed) must restore the whole environment")


def _check_moves_on(make_env: Callable[[], Env], episodes: int) -> None:
    env = make_env()
    agent = env.possible_agents[0]
    starts = [env.reset(seed=0)[0][agent]] + [env.reset()[0][agent] for _ in range(max(episodes, 4))]
    _require(
        any(not np.array_equal(starts[0], start) for start in starts[1:]),
        "a reset without seed must move on: every episode started with the same observation",
    )


def _check_unseeded_copies(make_env: Callable[[], Env], episodes: int) -> None:
    """SuperSuit copies an environment many times by pickling it before its first reset."""
    packed = pickle.dumps(make_env())
    starts = []
    for _ in range(2):
        env = pickle.loads(packed)
        # as many that not even copies with three problems play the same ones by chance
        starts.append([env.reset()[0] for _ in range(max(episodes, 12))])
    _require(
        not _equal(*starts),
        "unseeded copies must play different episodes: make the random generator at the first reset",
    )


def _check_forked_child(env: Env) -> None:
    """Trainers pass used environments to the processes that they start."""
    if not hasattr(os, "fork"):
        return
    expected = _play(env, 1, 7)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_play_into, args=(env, theirs), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is checked
        child.start()
    theirs.close()
    try:
        played = ours.recv() if ours.poll(CHILD_SECONDS) else None
    except EOFError:
        played = None
    finally:
        child.kill()
        child.join()
        ours.close()
    _require(
        played is not None and _equal(played, expected),
        "it must work in a forked process: threads, event loops and connections are gone there, so open new ones",
    )


def _play_into(env: Env, connection: Connection) -> None:
    connection.send(_play(env, 1, 7))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
