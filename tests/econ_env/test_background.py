"""The process's own event loop: who may call it, how it ends, and what a forked child gets."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from econ_env import background
from econ_env.errors import EpisodeError


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
        with pytest.raises(EpisodeError, match="await the async twin"):
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


def program(text: str, *options: str, first: str = "") -> subprocess.CompletedProcess[str]:
    head = f"import asyncio, os, sys, threading, time\n{first}\nfrom econ_env import background\n"
    arguments = [sys.executable, "-W", "default::ResourceWarning", *options, "-c", head + text]
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


def test_ctrl_c_ends_a_waiting_call():
    done = program(
        """
import signal
async def work():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()  # once the call waits
    try:
        await asyncio.sleep(60)
    finally:
        os.write(1, b"cancelled\\n")
try:
    background.run(work())
except KeyboardInterrupt:
    os.write(1, b"interrupted\\n")
"""
    )
    assert sorted(done.stdout.split()) == ["cancelled", "interrupted"]
    assert done.stderr == ""


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


def test_what_may_run_on_any_loop_runs_in_the_callers_thread():
    async def nested():
        return background.run(here(), any_loop=True)

    name, loop = background.run(here(), any_loop=True)
    assert (name, background.run(here(), any_loop=True)[1]) == (threading.current_thread().name, loop)
    assert loop is not background.loop()
    assert background.run(nested(), any_loop=True) == asyncio.run(nested()) == ("econ-env-loop", background.loop())
    with pytest.raises(EpisodeError, match="await the async twin"):
        background.run(nested())


def test_a_second_thread_does_not_wait_for_the_callers_loop():
    begun, go_on = threading.Event(), threading.Event()

    async def wait():
        begun.set()
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        return await here()

    with ThreadPoolExecutor(1, "caller") as pool:
        first = pool.submit(lambda: background.run(wait(), any_loop=True))
        assert begun.wait(5)
        assert background.run(here(), any_loop=True)[0] == "econ-env-loop"
        go_on.set()
        assert first.result()[0].startswith("caller")


def test_the_callers_loop_passes_on_errors_and_context_and_never_writes_a_result_out():
    written = []

    class Large:
        def __repr__(self):  # takes long
            written.append(self)
            return "Large()"

    async def work():
        asked.set("changed")
        return Large()

    async def fail():
        raise KeyError(asked.get())

    asked = ContextVar("asked", default="nothing")
    asked.set("mine")
    assert type(background.run(work(), any_loop=True)) is Large
    assert not written
    with pytest.raises(KeyError, match="mine"):
        background.run(fail(), any_loop=True)
    assert asked.get() == "mine"


def test_ctrl_c_before_the_work_began_leaves_nothing_unawaited():
    async def before_the_next():
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, os.kill, os.getpid(), signal.SIGINT)

    background.run(before_the_next(), any_loop=True)
    work = here()
    with pytest.raises(KeyboardInterrupt):
        background.run(work, any_loop=True)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
    assert background.run(here(), any_loop=True)[0] == threading.current_thread().name


def test_at_exit_the_callers_loop_is_closed_quietly():
    done = program(
        """
async def work():
    await asyncio.to_thread(time.sleep, 0)
    await asyncio.sleep(0)
    return asyncio.get_running_loop()
loop = background.run(work(), any_loop=True)
print(loop.is_closed())
""",
        "-X",
        "dev",
        first="import atexit; atexit.register(lambda: print(loop.is_closed()))",  # first registered, last called
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (["False", "True"], "", 0)
