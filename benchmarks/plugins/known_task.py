"""Defines the task for other projects' trainers, and measures a policy's return before and after training.

Three simulated executors answer problems of one kind; the best controls (T, p) are known. A trial measures mean returns
per episode and agent, on problems and samples not used in training: of random controls, of the policy before and after
training, and of the best controls. It prints them as one line of JSON.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from econ_env import EconParallelEnv, parallel_env
from econ_env.config import LLMConfig
from econ_env.simulation import KnownOptimum, SimulatedLLM, known_optimum
from econ_env.wrappers import DiscreteActions, NormalizedActions, TeamEnv

KIND = "shop"
PROBLEMS = 400
TEST_EPISODES = 200
TEST_SEED = 2**30

Act = Callable[[Mapping[str, Any], Any], Mapping[str, Any]]
"""Maps observations per agent and the state to actions per agent, without exploration."""


@functools.cache
def task() -> KnownOptimum:
    """The simulated team and its problems."""
    return known_optimum(n_problems=PROBLEMS, kinds=1)


def arguments(test: bool = False) -> dict[str, Any]:
    """Arguments for `parallel_env` and gymnasium ids: half of the problems are for training, half for the test."""
    half = PROBLEMS // 2
    problems = task().problems[half:] if test else task().problems[:half]
    return {"problems": list(problems), "llm": task().llm, "embedder": "hash"}


def team_llm(_: LLMConfig, __: str | None) -> SimulatedLLM:
    """The simulated team's model, for tools that take `known_task:team_llm` from a command line."""
    return task().llm


def team(test: bool = False) -> EconParallelEnv:
    """The environment."""
    return parallel_env(**arguments(test))


def normalized_team(test: bool = False) -> NormalizedActions:
    """The environment with actions in [-1, 1]."""
    return NormalizedActions(team(test))


def discrete_team(test: bool = False) -> DiscreteActions:
    """The environment with a 5 x 5 grid of controls."""
    return DiscreteActions(team(test))


def mean_return(env: TeamEnv, act: Act) -> float:
    """Mean return per agent over the test episodes, which are the same in each call."""
    returns = []
    for number in range(TEST_EPISODES):
        observations, _ = env.reset(seed=TEST_SEED if number == 0 else None)
        total = 0.0
        while env.agents:
            observations, rewards, *_ = env.step(dict(act(observations, env.state())))
            total += float(np.mean(list(rewards.values())))
        returns.append(total)
    return float(np.mean(returns))


def run_trial(library: str, make_env: Callable[[bool], TeamEnv], act: Act, train: Callable[[], int]) -> None:
    """Measure, train, measure again, and print the trial.

    Args:
        library: The library's distribution name.
        make_env: Makes the environment whose actions `act` chooses.
        act: The policy; each call must use its current weights.
        train: Trains the policy and returns how many episodes that took.
    """
    env = make_env(True)
    untrained = mean_return(env, act)
    start = time.perf_counter()
    episodes = train()
    seconds = time.perf_counter() - start
    print_trial(library, version(library), episodes, seconds, untrained, mean_return(env, act))


def print_trial(
    library: str, library_version: str, episodes: int, seconds: float, untrained: float, trained: float
) -> None:
    """Print a trial as a line of JSON, beside the mean returns of random and of the best controls.

    Args:
        library: The trainer's name.
        library_version: Its version.
        episodes: How many episodes it was trained on.
        seconds: How long that took.
        untrained: The policy's mean return before training.
        trained: The policy's mean return after it.
    """
    plain, rng = team(test=True), np.random.default_rng(0)
    space = plain.action_space(plain.possible_agents[0])
    peak = task().landscape.peak_of(KIND)
    chance = mean_return(plain, lambda seen, _: {agent: rng.uniform(space.low, space.high) for agent in seen})
    best = mean_return(plain, lambda seen, _: dict.fromkeys(seen, peak))
    result = {
        "library": library,
        "version": library_version,
        "train_episodes": episodes,
        "train_seconds": round(seconds, 1),
        "random": round(chance, 4),
        "untrained": round(untrained, 4),
        "trained": round(trained, 4),
        "best": round(best, 4),
        "share": round((trained - chance) / (best - chance), 3),
    }
    print(json.dumps(result))
