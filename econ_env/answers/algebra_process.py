"""Runs the processes that evaluate formulas: starts them when needed, sends requests, replaces ended processes."""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from econ_env.errors import JudgeError

TIME_LIMIT = 2.0
"""Seconds for one evaluation or comparison; the start of a process is not included."""

MAX_PROCESSES = min(4, os.cpu_count() or 1)
"""Formulas evaluated at the same time; further threads wait for one to finish."""

_SCRIPT = Path(__file__).with_name("algebra_worker.py")
_log = logging.getLogger(__name__)


_may_wait: ContextVar[bool] = ContextVar("may_wait", default=True)


class NeedsToWaitError(Exception):
    """A formula needs its process, but the caller may not wait; only users of `without_waiting` see this error."""


@contextmanager
def without_waiting() -> Iterator[None]:
    """In this context `ask` raises `NeedsToWaitError` instead of waiting for another process."""
    token = _may_wait.set(False)
    try:
        yield
    finally:
        _may_wait.reset(token)


class _Worker:
    """One process. `subprocess` works where `multiprocessing` refuses: in daemonic workers and unguarded scripts."""

    def __init__(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONHASHSEED": "0",  # sympy orders some sums by hash; the same answers must give the same verdict
        }
        self._ready = False
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", str(_SCRIPT), str(TIME_LIMIT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                bufsize=0,  # a fork must not send buffered data twice
                start_new_session=True,  # Ctrl-C is for the run; this process ends when its input ends
            )
        except OSError as error:
            raise JudgeError(f"the process that compares formulas could not be started: {error}") from error

    def wait_until_ready(self) -> None:
        """Wait until it has imported what it needs."""
        if not self._ready and self._read() is None:
            raise JudgeError(
                "the process that compares formulas did not start; to see why, run "
                f"`{sys.executable} -P {_SCRIPT} {TIME_LIMIT:g} < {os.devnull}`"
            )
        self._ready = True

    def ask(self, request: dict[str, str]) -> dict[str, Any] | None:
        """The reply, or `None` if the process ended instead."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            return None
        return self._read()

    def _read(self) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        reply: dict[str, Any] = json.loads(line)
        return reply

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.release()

    def release(self) -> None:
        """Close this side of the pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class _Pool:
    """The worker processes, at most `MAX_PROCESSES`; one more is started when a thread finds none idle."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._slots = threading.BoundedSemaphore(MAX_PROCESSES)

    def ask(self, request: dict[str, str]) -> dict[str, Any] | None:
        with self._slots:
            worker = self._take()
            self._busy.add(worker)
            reply = None
            try:
                worker.wait_until_ready()
                reply = worker.ask(request)
            finally:
                self._busy.discard(worker)
                if reply is None:
                    worker.close()  # also after a signal: a late reply must not answer the next request
                else:
                    self._idle.append(worker)
            if reply is None:
                self._idle.append(_Worker())  # imports sympy before it is needed
        return reply

    def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            worker.close()
        return _Worker()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def forget(self) -> None:
        """Drop the processes that belong to the parent of this fork."""
        for worker in [*self._idle, *self._busy]:
            worker.process.returncode = 0  # the parent waits for it
            worker.release()


_pool = _Pool()


def ask(request: dict[str, str]) -> dict[str, Any]:
    """Send one request to a process of `algebra_worker.py`.

    Args:
        request: The request, as described there.

    Returns:
        The reply; empty if the evaluation exceeded `TIME_LIMIT` or the memory limit.

    Raises:
        JudgeError: The process can't be started.
        NeedsToWaitError: The call is inside `without_waiting`.
    """
    if not _may_wait.get():
        raise NeedsToWaitError
    reply = _pool.ask(request)
    if reply is None:
        _log.info("no result within %g s; taken as different: %.200r", TIME_LIMIT, request)
        return {}
    return reply


def shutdown() -> None:
    """End the idle processes. They also end with this process; a later request starts new ones."""
    _pool.close()


def _after_fork() -> None:
    global _pool
    _pool.forget()
    _pool = _Pool()


atexit.register(shutdown)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
