"""Episodes of a training run: each number is played once, whichever environment plays it, and decides its seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from econ_agents.errors import TeamError
from econ_agents.testing import CoordinationEnv, QuadraticEnv
from econ_agents.training.training_envs import TrainingEnvs, episode_seed

Started = list[tuple[int | None, dict[str, Any]]]


def make(envs: int = 3, episodes: int = 10, **kwargs: Any) -> tuple[TrainingEnvs, Started]:
    started: Started = []

    class Noted(CoordinationEnv):
        def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            started.append((seed, dict(options or {})))
            return super().reset(seed, options)

    return TrainingEnvs([Noted] * envs, seed=4, episodes=episodes, **kwargs), started


def play(envs: TrainingEnvs, ids: list[int]) -> None:
    envs.step(np.zeros((len(ids), 6), np.float32), ids)


def test_numbers_are_handed_out_in_order_with_their_seeds_and_problems() -> None:
    envs, started = make(problem_of=lambda number: number * 10)
    envs.reset()
    play(envs, [2])
    envs.reset([2])
    play(envs, [0, 1])
    envs.reset([0, 1])
    assert started == [(episode_seed(4, n), {"problem": 10 * n}) for n in range(6)]
    assert envs.numbers == [4, 5, 3]


def test_an_episode_that_was_not_begun_is_not_left_out() -> None:
    envs, started = make()
    first, _ = envs.reset()
    again, infos = envs.reset()
    assert np.array_equal(first, again)
    assert list(infos) == [{}] * 3
    assert envs.numbers == [0, 1, 2]
    play(envs, [1])
    now, _ = envs.reset()
    assert envs.numbers == [0, 3, 2]
    assert len(started) == 4
    assert np.array_equal(now[[0, 2]], first[[0, 2]])
    assert not np.array_equal(now[1], first[1])


def test_a_round_begins_an_episode() -> None:
    envs = TrainingEnvs([QuadraticEnv] * 2, seed=0, episodes=9)
    envs.reset()
    envs.deliberate(np.zeros((1, 6), np.float32), [1])
    envs.reset()
    assert envs.numbers == [0, 2]


def test_episodes_that_will_not_be_played_need_not_be_prepared() -> None:
    envs, started = make(envs=2, episodes=3)
    for _ in range(2):
        envs.reset()
        play(envs, [0, 1])
    assert [options.get("plan", True) for _, options in started] == [True, True, True, False]


def test_it_goes_on_with_the_episodes_it_had_begun() -> None:
    envs, _ = make()
    envs.reset()
    play(envs, [1])
    envs.reset([1])
    kept = list(envs.numbers)
    expected, _ = envs.reset()
    later, started = make()
    later.go_on(kept)
    found, _ = later.reset()
    assert np.array_equal(found, expected)
    assert later.numbers == kept == [0, 3, 2]
    play(later, [0])
    later.reset([0])
    assert later.numbers[0] == 4
    assert started[-1][0] == episode_seed(4, 4)


def test_an_episode_is_the_same_wherever_it_is_played() -> None:
    one, _ = make(envs=1)
    many, _ = make(envs=3)
    expected, _ = many.reset()
    for number in range(3):
        obs, _ = one.reset()
        assert np.array_equal(obs[0], expected[number])
        play(one, [0])


def test_seeds_of_episodes_and_runs_differ() -> None:
    seeds = {episode_seed(run, number) for run in range(30) for number in range(30)}
    assert len(seeds) == 900
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_reward_weights_reach_environments_that_have_them() -> None:
    class Weighted(CoordinationEnv):
        reward_weights = (0.4, 0.4, 0.2)

    envs = TrainingEnvs([Weighted] * 2, seed=0, episodes=1)
    envs.set_reward_weights((0.1, 0.8, 0.1))
    assert [env.parallel_env.reward_weights for env in envs.envs] == [(0.1, 0.8, 0.1)] * 2
    plain, _ = make()
    plain.set_reward_weights((0.1, 0.8, 0.1))
    assert not hasattr(plain.envs[0].parallel_env, "reward_weights")


def test_a_closed_one_does_not_reset() -> None:
    envs, _ = make()
    envs.close()
    with pytest.raises((AssertionError, TeamError)):
        envs.reset()
