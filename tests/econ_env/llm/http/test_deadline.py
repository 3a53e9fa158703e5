"""A deadline that counts only the time in which the work is under way, on a clock that jumps."""

import asyncio

import pytest

from econ_env.llm.http.deadline import Deadline


def test_waiting_does_not_count(run_jumping):
    async def work():
        async with Deadline(10.0) as deadline:
            for _ in range(3):
                deadline.pause()
                await asyncio.sleep(1000.0)
                deadline.run()
                deadline.run()
                await asyncio.sleep(3.0)
        return asyncio.get_running_loop().time()

    assert run_jumping(work()) == pytest.approx(3009.0)


def test_work_is_ended_when_its_seconds_are_used_up(run_jumping):
    async def work():
        async with Deadline(10.0) as deadline:
            deadline.run()
            await asyncio.sleep(6.0)
            deadline.pause()
            deadline.pause()
            await asyncio.sleep(100.0)
            deadline.run()
            await asyncio.sleep(50.0)

    async def timed():
        with pytest.raises(TimeoutError):
            await work()
        return asyncio.get_running_loop().time()

    assert run_jumping(timed()) == pytest.approx(110.0)


def test_it_never_ends_what_was_never_started(run_jumping):
    async def work():
        async with Deadline(0.1):
            await asyncio.sleep(1e6)
        return True

    assert run_jumping(work())


def test_cancelling_from_outside_stays_a_cancellation(run_jumping):
    async def work():
        async with Deadline(10.0) as deadline:
            deadline.run()
            await asyncio.sleep(100.0)

    async def cancel():
        task = asyncio.ensure_future(work())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_jumping(cancel())
