"""Runs every model call of a process on one event loop in its own thread.

Sync callers use `run`; async callers on any loop use `submit`. So all connections, locks and limits belong to one
loop. A forked child starts its own loop. At exit the loop is closed without error messages.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from econ_env.errors import EpisodeError

T = TypeVar("T")

_CLOSING_SECONDS = 5.0


class _Background:
    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.closers: list[Callable[[], Awaitable[None]]] = []
        self.thread = threading.Thread(target=self._serve, name="econ-env-loop", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    async def close(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for closer in reversed(self.closers):
            with contextlib.suppress(Exception):  # the process ends: no one can handle the error
                await closer()

    def stop(self) -> None:
        closed = asyncio.run_coroutine_threadsafe(self.close(), self.loop)
        with contextlib.suppress(TimeoutError):
            closed.result(_CLOSING_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(_CLOSING_SECONDS)


_lock = threading.Lock()
_current: _Background | None = None
_inherited: list[_Background] = []
_forks = 0


def _after_fork() -> None:
    """Forget the parent's loop without destroying it: its thread is not here, and the parent owns its sockets."""
    global _lock, _current, _forks
    _lock = threading.Lock()
    _forks += 1
    if _current is not None:
        _inherited.append(_current)
        _current = None


os.register_at_fork(after_in_child=_after_fork)


def _background() -> _Background:
    global _current
    with _lock:
        if _current is None:
            _current = _Background()
            atexit.register(_stop, _current)
        return _current


def _stop(background: _Background) -> None:
    if background.pid == os.getpid():
        background.stop()


def forks() -> int:
    """How often this process's ancestors and itself were forked: changes where `os.getpid` does, but asks no kernel."""
    return _forks


def loop() -> asyncio.AbstractEventLoop:
    """This process's background loop; it is started at the first call."""
    return _background().loop


def inside() -> bool:
    """Whether the caller runs on the background loop."""
    return _current is not None and threading.current_thread() is _current.thread


def at_exit(closer: Callable[[], Awaitable[None]]) -> None:
    """Await `closer()` on the background loop when the process ends, last registered first."""
    _background().closers.append(closer)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop and wait for its result.

    Can be called from any thread, even if another loop runs there (Jupyter). If the wait is interrupted (Ctrl-C), the
    coroutine is cancelled and waited for: the caller may close what it uses.

    Raises:
        EpisodeError: The caller is on the background loop itself, where waiting would block it for ever.
    """
    if inside():
        coroutine.close()
        raise EpisodeError("a sync call was made on the event loop of the model calls; await the async method instead")
    future = None
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop())
        return future.result()
    except BaseException:
        if future is None or future.cancel():
            asyncio.run_coroutine_threadsafe(_given_up(coroutine, cancel=future is None), loop()).result()
        raise


async def _given_up(coroutine: Coroutine[Any, Any, Any], *, cancel: bool) -> None:
    """Wait for the end of a coroutine that was cancelled, or is to be; a second time would break off its cleaning up.

    One that never got a task is closed.
    """
    tasks = [task for task in asyncio.all_tasks() if task.get_coro() is coroutine]
    for task in tasks if cancel else ():
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if not tasks:
        coroutine.close()


async def submit(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop from async code on any loop; cancelling the caller cancels it."""
    if inside():
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop()))
