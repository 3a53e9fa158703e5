"""Limits and budget of a run on several workers, whose keeper is asked here without Ray."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from econ_env.app.train_test.ray_limits import Keeper, RemoteLimits, needs_keeper
from econ_env.config import LLMConfig
from econ_env.errors import BudgetError
from econ_env.records import Usage

ray = pytest.importorskip("ray")


class Handle:
    """What Ray would make of a keeper: each method has a `remote` that starts it and returns what can be awaited."""

    def __init__(self, keeper):
        self.keeper = keeper

    def __getattr__(self, name):
        method = getattr(self.keeper, name)

        async def as_a_task(*arguments):
            try:
                return await method(*arguments)
            except Exception as error:
                raise ray.exceptions.RayTaskError(name, str(error), error).as_instanceof_cause() from error

        return SimpleNamespace(remote=lambda *arguments: asyncio.ensure_future(as_a_task(*arguments)))


async def workers(config, count):
    handle = Handle(Keeper(config))
    budgets = [RemoteLimits(handle, number, config) for number in range(count)]
    for number in range(count):
        await handle.meet.remote(number, os.getpid())
    return handle, budgets


async def call(budget, most, real):
    async with budget.hold(0, most):
        await asyncio.sleep(1.0)
        budget.spend(Usage(completion_tokens=real))
    return real


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    st.lists(st.integers(1, 100).flatmap(lambda most: st.tuples(st.just(most), st.integers(1, most))), max_size=25),
    st.integers(1, 600),
)
def test_a_budget_is_that_of_all_workers_and_never_overrun(run_jumping, calls, budget):
    async def spread():
        handle, budgets = await workers(LLMConfig(budget_tokens=budget), 3)
        pending = (call(budgets[number % 3], *one) for number, one in enumerate(calls))
        came = await asyncio.gather(*pending, return_exceptions=True)
        await asyncio.sleep(0)
        return handle.keeper, came

    keeper, came = run_jumping(spread())
    answered = [real for real in came if isinstance(real, int)]
    refused = [error for error in came if not isinstance(error, int)]
    assert sum(answered) <= budget
    assert keeper._budget._spent.tokens == sum(answered)
    assert keeper._held == {}
    assert all(type(error) is BudgetError for error in refused)
    if sum(most for most, _ in calls) <= budget:
        assert not refused
    if refused:
        assert sum(answered) + max(most for most, _ in calls) > budget


def test_what_a_worker_held_that_died_is_free_again(run_jumping):
    async def died():
        handle, (dead, alive) = await workers(LLMConfig(budget_tokens=100), 2)
        await dead.hold(0, 90).__aenter__()
        waiting = asyncio.ensure_future(call(alive, 50, 20))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await handle.meet.remote(0, -1)  # it was started again, in another process
        assert await waiting == 20
        late = dead.hold(0, 30)  # asked for by the process that is gone
        await late.__aenter__()
        assert handle.keeper._held == {}
        assert await call(alive, 80, 1) == 1

    run_jumping(died())


def test_limits_per_minute_are_those_of_all_workers(run_jumping):
    async def sent():
        _, workers_limits = await workers(LLMConfig(rpm=60), 3)
        times = []

        async def ask(limits):
            for _ in range(20):
                await limits.acquire("http://one/v1", 10)
                times.append(asyncio.get_running_loop().time())

        await asyncio.gather(*map(ask, workers_limits))
        return times

    times = run_jumping(sent())
    assert len(times) == 60
    assert max(times) - min(times) == pytest.approx(59.0, abs=2.0)


def test_without_limits_per_minute_the_keeper_is_not_asked():
    asyncio.run(RemoteLimits(None, 0, LLMConfig(budget_tokens=1)).acquire("http://one/v1", 10))


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({}, False),
        ({"rpm": 1}, True),
        ({"tpm": 1}, True),
        ({"budget_tokens": 1}, True),
        ({"budget_usd": 1, "price_prompt": 1, "price_completion": 1}, True),
    ],
)
def test_there_is_a_keeper_where_there_is_something_to_keep(settings, needs):
    assert needs_keeper(LLMConfig(**settings)) is needs
