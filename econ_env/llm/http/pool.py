"""A pool of equivalent servers with failover: attempts at one of them, or at others, until an answer has come.

Of several servers each call takes the one that has the least to do for its weight. One at which attempts fail again and
again is left out, asked from time to time whether it is back, and then taken in again; what failed there is tried at
another at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import weakref
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from econ_env.config import LLMConfig
from econ_env.errors import LLMError, LLMRequestError, LLMUnavailableError
from econ_env.llm.cache import CompletionCache, shared_cache
from econ_env.llm.http.connection import Connection
from econ_env.llm.http.deadline import Deadline
from econ_env.llm.http.failures import RefusedFieldError, TransientError
from econ_env.llm.http.secrets import scrub
from econ_env.llm.http.server import Server
from econ_env.llm.http.wire import read_models
from econ_env.llm.meter import Meter, Reason, shared_meter
from econ_env.records import Usage

logger = logging.getLogger(__name__)

_jitter = random.Random()  # waits must not draw on the generator that a user may have seeded


@dataclass
class CallAccount:
    """What one call has taken so far, and how long it still may."""

    deadline: Deadline
    """Its clock stands still while the call waits for its turn."""
    attempts: int = 0
    """Requests sent."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of the answers that came."""
    fault: Reason = "server_error"
    """Why the last failed attempt failed."""

    def total(self, calls: int) -> Usage:
        """Everything as one usage that counts as so many calls."""
        return self.usage + Usage(calls=calls, retries=max(0, self.attempts - 1))


class Answered(NamedTuple):
    """What a server sent."""

    body: bytes
    """The response's body."""
    server: str
    """Which one it was, without credentials."""


class _NoModelError(Exception):
    """A server did not say which models it has; everybody who waited makes an error of their own of it."""

    def __init__(self, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.reason = reason


class ServerPool:
    """Connections to the servers that have a model, whichever of their models is asked; lives on the background loop.

    Args:
        server: Which servers; the model does not matter.
        config: Deadlines, retries and limits.
    """

    def __init__(self, server: Server, config: LLMConfig) -> None:
        self.server = server
        self.config = config
        self.found_model = ""
        self.cache: CompletionCache | None = shared_cache(config) if config.cache else None
        self.meter: Meter = shared_meter(config)
        self.connections = tuple(Connection(server, address, config, self.meter) for address in server.addresses)
        self._slots = asyncio.Semaphore(sum(connection.slots for connection in self.connections))
        self._turn = 0.0
        self._turns = dict.fromkeys(self.connections, 0.0)
        self._probes: set[asyncio.Task[None]] = set()
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._asking_model: asyncio.Task[str] | None = None
        self._asking: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @property
    def refused(self) -> set[str]:
        """Fields that a server has refused."""
        return set().union(*(connection.refused for connection in self.connections))

    def join(self, user: object) -> None:
        """Note that someone uses the pool."""
        self._users.add(user)

    def turn(self, key: str) -> asyncio.Lock:
        """The lock of one request: equal requests ask one after another, so that the cache answers the later ones."""
        lock = self._asking.get(key)
        if lock is None:
            lock = self._asking[key] = asyncio.Lock()
        return lock

    async def leave(self, user: object) -> None:
        """Note that someone no longer does; the last one closes all connections."""
        self._users.discard(user)
        if not self._users:
            for probe in self._probes:
                probe.cancel()
            for connection in self.connections:
                await connection.close()

    async def post(
        self, make_body: Callable[[Collection[str]], dict[str, Any]], tokens: int, tally: CallAccount
    ) -> Answered:
        """Send a chat completion, again and again while that may help.

        Args:
            make_body: Gives the request's body without the fields that the server has refused.
            tokens: How many tokens prompt and completion have at most.
            tally: Counts the attempts and remembers the last fault.

        Raises:
            LLMRequestError: A server refuses the request.
            LLMReplyError: A server's filter refuses it.
            LLMUnavailableError: No server has answered in any attempt.
        """

        async def send(connection: Connection) -> Answered:
            while True:
                body = make_body(connection.refused)
                if len(self.connections) > 1 and body["model"] == self.found_model:
                    await connection.check_has(self.found_model, tally.deadline)
                try:
                    said = await connection.send("/chat/completions", body, tokens, tally.deadline)
                    return Answered(said, connection.name)
                except RefusedFieldError as refusal:
                    connection.do_without(refusal)

        return await self._until_answered(send, tally)

    async def default_model(self, tally: CallAccount) -> str:
        """The one model of the server, which is asked once for everybody who waits for it.

        Args:
            tally: Remembers why it could not be had.

        Raises:
            LLMRequestError: It has several, or refuses to say.
            LLMUnavailableError: It does not answer.
        """
        if not self.found_model:
            if self._asking_model is None or self._asking_model.done():
                self._asking_model = asyncio.ensure_future(self._ask_for_model())
            try:
                self.found_model = await asyncio.shield(self._asking_model)
            except _NoModelError as error:
                tally.fault = error.reason
                raise LLMUnavailableError(str(error)) from None
        return self.found_model

    async def reach(self) -> None:
        """Make sure that a server is there, whatever it says when it is asked for its models.

        Raises:
            LLMUnavailableError: None answers after all retries.
        """
        tally = CallAccount(Deadline(self.config.round_timeout))

        async def probe(connection: Connection) -> Answered:
            try:
                said = await connection.send("/models", None, 0, tally.deadline)
            except TransientError as error:
                if error.reason in ("connection", "timeout"):
                    raise
                said = b""
            except LLMError:  # it refuses, or has no such page
                said = b""
            return Answered(said, connection.name)

        try:
            async with tally.deadline:
                await self._until_answered(probe, tally)
        except TimeoutError:
            late = f"{self.server.where} has not answered within {self.config.round_timeout:g} s"
            raise LLMUnavailableError(late) from None

    async def _ask_for_model(self) -> str:
        tally = CallAccount(Deadline(self.config.round_timeout))

        async def send(connection: Connection) -> Answered:
            return Answered(await connection.send("/models", None, 0, tally.deadline), connection.name)

        try:
            async with tally.deadline:
                found, where = await self._until_answered(send, tally)
        except TimeoutError:
            late = f"{self.server.where} has not said within {self.config.round_timeout:g} s which models it has"
            raise _NoModelError(late, "timeout") from None
        except LLMUnavailableError as error:
            raise _NoModelError(str(error), tally.fault) from None
        names = read_models(found)
        if len(names) != 1:
            some = ", ".join(scrub(name) for name in names[:6]) + (", …" if len(names) > 6 else "")
            raise LLMRequestError(f"{where} has {len(names)} models, so one must be named: {some or 'none'}")
        logger.info("%s serves %s", where, names[0])
        return names[0]

    async def _until_answered(self, send: Callable[[Connection], Awaitable[Answered]], tally: CallAccount) -> Answered:
        failed: set[Connection] = set()

        def wait(state: RetryCallState) -> float:
            return 0.0 if self._fresh(failed) else self._wait(state, state.attempt_number - len(failed))

        attempts = self.config.max_retries + len(self.connections)
        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts), wait=wait, retry=retry_if_exception_type(TransientError), reraise=True
        )

        async def attempt() -> Answered:
            tally.attempts += 1
            tally.deadline.pause()
            async with self._slots:
                connection = self._choose(failed)
                try:
                    return await self._attempt(connection, send)
                except TransientError as error:
                    failed.add(connection)
                    tally.fault = error.reason
                    raise

        try:
            return await retrying(attempt)
        except TransientError as error:
            several = len(self.connections) > 1 and all(c.health.state == "out" for c in self.connections)
            none = f"none of {len(self.connections)} servers answers; the last one: " if several else ""
            times = f"after {attempts} attempt{'s' if attempts > 1 else ''}"
            raise LLMUnavailableError(f"{none}{error} ({times})") from None

    async def _attempt(self, connection: Connection, send: Callable[[Connection], Awaitable[Answered]]) -> Answered:
        """One attempt at a server, and what it says of the server's health."""
        connection.load += 1
        try:
            answered = await send(connection)
        except TransientError as error:
            self.meter.fault(error.reason, connection.name)
            logger.debug("attempt failed: %s", error)
            broken = error.reason != "rate_limited" and len(self.connections) > 1  # the only one is never left out
            if broken and connection.health.fail():
                logger.warning("%s is left out until it answers again: %s", connection.name, error)
            raise
        finally:
            connection.load -= 1
        if connection.health.succeed():
            logger.info("%s answers again", connection.name)
        return answered

    def _choose(self, failed: Collection[Connection]) -> Connection:
        """The server for an attempt of a call: of those that answer and have not failed it, the least busy one.

        Among equally busy ones turns are taken by weight. If none answers, it is the one that is due to be asked next.
        """
        now = asyncio.get_running_loop().time()
        for connection in self.connections:
            if connection.health.state == "out" and connection.health.due <= now:
                self._start_probe(connection)
        able = self._fresh(failed) or [c for c in self.connections if c.takes_calls]
        if not able:
            return min(self.connections, key=lambda c: c.health.due)
        chosen = min(able, key=lambda c: (c.load >= c.slots, c.load / c.weight, max(self._turn, self._turns[c])))
        self._turn = max(self._turn, self._turns[chosen])
        self._turns[chosen] = self._turn + 1.0 / chosen.weight
        return chosen

    def _fresh(self, failed: Collection[Connection]) -> list[Connection]:
        """Servers that answer and at which a call has not failed yet."""
        return [c for c in self.connections if c.takes_calls and c not in failed]

    def _start_probe(self, connection: Connection) -> None:
        """Ask a server that was left out whether it is back, while calls go to others."""

        async def probe() -> None:
            if await connection.answers() and connection.health.state == "out":
                connection.health.state = "trial"

        connection.health.wait()
        task = asyncio.ensure_future(probe())
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    def _wait(self, state: RetryCallState, attempts: int) -> float:
        """Seconds to wait: what the server asks for, and a jitter up to a bound that doubles each time."""
        bound = min(self.config.retry_wait * 2.0**attempts, self.config.retry_wait_max)
        error = None if state.outcome is None else state.outcome.exception()
        asked = error.retry_after if isinstance(error, TransientError) else None
        return min(asked or 0.0, self.config.retry_after_max) + _jitter.uniform(0.0, bound)


_pools: dict[tuple[int, Server, LLMConfig], ServerPool] = {}


def server_pool(server: Server, config: LLMConfig) -> ServerPool:
    """This process's pool of the servers with these settings; a forked child has its own."""
    key = (os.getpid(), server.without_model, config)
    pool = _pools.get(key)
    return _pools.setdefault(key, ServerPool(server, config)) if pool is None else pool
