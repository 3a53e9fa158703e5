"""The process's own event loop: who may call it, how it ends, and what a forked child gets."""

import asyncio
import inspect
import os
import subprocess
import sys
import threading

import pytest

from econ_env.errors import EpisodeError
from econ_env.llm import background


async def here():
    await asyncio.sleep(0)
    return threading.current_thread().name, asyncio.get_running_loop()


def test_sync_code_coroutines_and_a_running_loop_use_the_same_loop():
    async def from_another_loop():
        return background.run(here()), await background.submit(here())  # the first as a cell of a notebook does

    seen = [background.run(here()), *asyncio.run(from_another_loop()), asyncio.run(background.submit(here()))]
    assert set(seen) == {("econ-env-loop", background.loop())}


def test_on_the_loop_itself_submit_awaits_and_run_refuses():
    async def inside():
        assert background.inside()
        with pytest.raises(EpisodeError, match="await the async method"):
            background.run(here())
        return await background.submit(here())

    assert background.run(inside())[0] == "econ-env-loop"
    assert not background.inside()


def test_errors_come_through_as_they_are():
    async def fail():
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        background.run(fail())
    with pytest.raises(KeyError, match="why"):
        asyncio.run(background.submit(fail()))


def test_cancelling_the_caller_cancels_the_work():
    ended = threading.Event()

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def cancel():
        task = asyncio.ensure_future(background.submit(work()))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert ended.wait(5)


def test_two_thousand_waits_take_no_thread():
    async def many():
        return sum(await asyncio.gather(*(background.submit(asyncio.sleep(0.01, 1)) for _ in range(2000))))

    background.run(here())
    before = threading.active_count()
    assert asyncio.run(many()) == 2000
    assert threading.active_count() <= before


def program(text: str) -> subprocess.CompletedProcess[str]:
    head = "import asyncio, os, sys, threading, time\nfrom econ_env.llm import background\n"
    arguments = [sys.executable, "-W", "default::ResourceWarning", "-c", head + text]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_at_exit_work_is_cancelled_and_then_closers_run_last_first():
    done = program(
        """
async def work():
    try:
        await asyncio.sleep(60)
    finally:
        print("cancelled", flush=True)
async def close(name):
    await asyncio.sleep(0)
    print(name, flush=True)
async def fail():
    raise OSError
background.at_exit(lambda: close("first"))
background.at_exit(fail)
background.at_exit(lambda: close("second"))
asyncio.run_coroutine_threadsafe(work(), background.loop())
time.sleep(0.05)
"""
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (["cancelled", "second", "first"], "", 0)


def test_ctrl_c_ends_a_waiting_call_before_the_caller_goes_on():
    done = program(
        """
import signal
async def work():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()  # once the call waits
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.2)  # what is closed takes its time
        os.write(1, b"cancelled\\n")
try:
    background.run(work())
except KeyboardInterrupt:
    os.write(1, b"interrupted\\n")
"""
    )
    assert done.stdout.split() == ["cancelled", "interrupted"]
    assert done.stderr == ""


@pytest.mark.parametrize("scheduled", [False, True])
def test_an_interrupt_while_a_coroutine_is_handed_over_ends_it(monkeypatch, scheduled):
    hand_over, seen = asyncio.run_coroutine_threadsafe, []

    def interrupted(coroutine, loop):
        if seen:
            return hand_over(coroutine, loop)
        seen.append(coroutine)
        if scheduled:
            hand_over(coroutine, loop)
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        background.run(asyncio.sleep(60))
    assert inspect.getcoroutinestate(seen[0]) == inspect.CORO_CLOSED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_a_loop_of_its_own_and_leaves_the_parents_alone():
    done = program(
        """
async def here():
    return os.getpid()
async def close():
    print("closed by", "parent" if os.getpid() == parent else "child", flush=True)
parent = os.getpid()
background.at_exit(close)
print(background.run(here()) == parent, flush=True)
child = os.fork()
if child == 0:
    print(background.run(here()) == os.getpid() != parent, flush=True)
    sys.exit(0)
print(os.waitpid(child, 0)[1], background.run(here()) == parent, flush=True)
"""
    )
    assert done.stdout.split("\n") == ["True", "True", "0 True", "closed by parent", ""]
    assert done.stderr == ""
