"""Many environments at once: order, concurrency, errors, and Tianshou's own collector on top."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tianshou.env import DummyVectorEnv

from econ_agents.joint_env import JointEnv
from econ_agents.testing import AsyncQuadraticEnv, CoordinationEnv, QuadraticEnv
from econ_agents.vector_env import JointVectorEnv

torch.set_num_threads(1)
ACTION = np.full((3, 6), 0.4, np.float32)


class Flight:
    """Counts how many calls wait at the same time."""

    def __init__(self) -> None:
        self.now = self.most = self.cancelled = 0


class Watched(AsyncQuadraticEnv):
    """Every call waits until `together` of them do, so that only concurrent ones get on."""

    def __init__(self, flight: Flight, together: int) -> None:
        super().__init__()
        self.flight, self.together = flight, together

    async def wait(self) -> None:
        self.flight.now += 1
        self.flight.most = max(self.flight.most, self.flight.now)
        try:
            async with asyncio.timeout(10):
                while self.flight.most < self.together:
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
        finally:
            self.flight.now -= 1

    async def areset(self, *args: Any, **kwargs: Any) -> Any:
        await self.wait()
        return await super().areset(*args, **kwargs)

    async def adeliberate(self, actions: Any) -> Any:
        await self.wait()
        return await super().adeliberate(actions)

    async def astep(self, actions: Any) -> Any:
        await self.wait()
        return await super().astep(actions)


@pytest.mark.parametrize("make", [QuadraticEnv, AsyncQuadraticEnv, CoordinationEnv])
def test_it_does_what_tianshous_own_does(make: Callable[[], Any]) -> None:
    ours = JointVectorEnv([make] * 3)
    theirs = DummyVectorEnv([lambda: JointEnv(make())] * 3)
    ours.seed(5)
    theirs.seed(5)
    obs, infos = ours.reset()
    expected, _ = theirs.reset()
    assert np.array_equal(obs, expected)
    assert infos.dtype == object
    assert infos.tolist() == [{}, {}, {}]
    for got, wanted in zip(ours.step(ACTION), theirs.step(ACTION), strict=True):
        if got.dtype != object:
            assert got.dtype == wanted.dtype
            assert np.array_equal(got, wanted)
        else:
            assert [i["env_id"] for i in got] == [i["env_id"] for i in wanted] == [0, 1, 2]
            assert all(np.array_equal(g["agent_rewards"], w["agent_rewards"]) for g, w in zip(got, wanted, strict=True))
    assert ours.action_space[0] == theirs.action_space[0]


def test_some_can_be_addressed() -> None:
    env = JointVectorEnv([QuadraticEnv] * 3)
    all_obs, _ = env.reset(seed=0)
    assert len({row.tobytes() for row in all_obs}) == 3
    two, _ = env.reset([2, 0], seed=0)
    assert np.array_equal(two, all_obs[[2, 0]])
    _, outcomes = env.deliberate(ACTION[:1], [1])
    assert len(outcomes) == 1
    *_, infos = env.step(ACTION[:2], np.array([1, 2]))
    assert [info["rounds"] for info in infos] == [1.0, 1.0]
    assert [e.parallel_env.rounds_played for e in env.envs] == [0, 1, 1]
    one, _ = env.reset(1, seed=[7])
    assert np.array_equal(one[0], JointEnv(QuadraticEnv()).reset(seed=7)[0])


def test_options_reach_each_environment() -> None:
    env = JointVectorEnv([QuadraticEnv] * 2)
    obs, _ = env.reset(options={"problem": 11})
    assert np.array_equal(obs[0], obs[1])


def test_calls_of_all_environments_are_in_flight_together() -> None:
    flight = Flight()
    env = JointVectorEnv([lambda: Watched(flight, 5)] * 5)
    env.reset(seed=0)
    assert flight.most == 5
    for call in (env.deliberate, env.step):
        flight.most = 0
        call(np.zeros((5, 6), np.float32))
        assert flight.most == 5
    env.close()


def test_it_works_inside_a_running_loop() -> None:
    async def inside() -> np.ndarray:
        env = JointVectorEnv([AsyncQuadraticEnv] * 2)
        obs, _ = env.reset(seed=1)
        env.close()
        return obs

    assert asyncio.run(inside()).shape == (2, 3, 7)


class BudgetSpent(Exception):
    pass


@pytest.mark.parametrize("error", [BudgetSpent, KeyboardInterrupt, SystemExit])
def test_an_error_of_one_ends_the_call_for_all_and_comes_out_as_it_is(error: type[BaseException]) -> None:
    flight = Flight()

    class Endless(AsyncQuadraticEnv):
        async def astep(self, actions: Any) -> Any:
            flight.now += 1
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                flight.cancelled += 1
                raise

    class Broke(AsyncQuadraticEnv):
        async def astep(self, actions: Any) -> Any:
            while flight.now < 2:
                await asyncio.sleep(0)
            raise error("no more")

    env = JointVectorEnv([Endless, Broke, Endless])
    env.reset(seed=0)
    with pytest.raises(error, match="no more"):
        env.step(ACTION)
    assert flight.cancelled == 2
    env.reset(seed=0)  # still usable
    env.close()


def test_ctrl_c_ends_the_calls_in_flight_first() -> None:
    ended: list[bool] = []
    main = threading.main_thread().ident
    assert main is not None

    class Waiting(AsyncQuadraticEnv):
        async def astep(self, actions: Any) -> Any:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)

    class Interrupted(Waiting):
        async def astep(self, actions: Any) -> Any:
            while sys._current_frames()[main].f_code.co_name != "wait":
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGINT)
            return await super().astep(actions)

    env = JointVectorEnv([Interrupted, Waiting])
    env.reset(seed=0)
    with pytest.raises(KeyboardInterrupt):
        env.step(ACTION[:2])
    assert ended == [True, True]
    env.close()


def test_an_error_of_a_blocking_environment_comes_out_too() -> None:
    class Broke(QuadraticEnv):
        def step(self, actions: Any) -> Any:
            raise BudgetSpent("no more")

    env = JointVectorEnv([QuadraticEnv, Broke])
    env.reset(seed=0)
    with pytest.raises(BudgetSpent):
        env.step(ACTION[:2])


def test_settings_of_all_can_be_changed() -> None:
    class Weighted(QuadraticEnv):
        reward_weights = (0.4, 0.4, 0.2)

    env = JointVectorEnv([Weighted] * 2)
    env.set_env_attr("reward_weights", (0.1, 0.8, 0.1))
    assert [e.parallel_env.reward_weights for e in env.envs] == [(0.1, 0.8, 0.1)] * 2


def test_closing_twice_is_fine_and_then_it_is_closed() -> None:
    env = JointVectorEnv([AsyncQuadraticEnv])
    env.reset(seed=0)
    env.close()
    env.close()
    with pytest.raises(AssertionError):
        env.reset()


def test_actions_are_needed_for_every_environment_addressed() -> None:
    env = JointVectorEnv([QuadraticEnv] * 3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action"):
        env.step(None)
    with pytest.raises(ValueError, match="zip"):
        env.step(ACTION[:2])
