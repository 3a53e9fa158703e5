"""Coroutines that blocking code runs: none outlives the loop that it was started on."""

from __future__ import annotations

import asyncio

import pytest

from econ_agents.concurrency import LoopThread


def test_what_ctrl_c_left_running_is_cancelled_at_the_end(monkeypatch):
    ended: list[str] = []
    start = asyncio.run_coroutine_threadsafe

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # it may have more than one thing to put away
            ended.append("cancelled")
            raise

    def interrupted(coroutine, loop):
        start(coroutine, loop)
        start(asyncio.sleep(0), loop).result()  # by now it has begun
        raise KeyboardInterrupt  # before anybody waits for it

    thread = LoopThread()
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        thread.run(long())
    assert ended == []
    thread.close()
    assert ended == ["cancelled"]
