"""A pool of equivalent servers with failover: tries one server, then others, until one answers.

Each call goes to the server with the lowest load for its weight. A call that fails at one server is tried at another at
once. A server that fails several times in a row is left out and probed from time to time, until it answers again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import weakref
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from econ_env.config import LLMConfig
from econ_env.errors import LLMError, LLMLimitedError, LLMRequestError, LLMUnavailableError
from econ_env.extra import Extra, Filled, extra_of, fill
from econ_env.llm.cache import CompletionCache, shared_cache
from econ_env.llm.http.account import CallAccount
from econ_env.llm.http.connection import Connection
from econ_env.llm.http.deadline import Deadline
from econ_env.llm.http.failures import TransientError
from econ_env.llm.http.fields import RefusedFieldError
from econ_env.llm.http.secrets import remember_secret, scrub
from econ_env.llm.http.server import Server
from econ_env.llm.http.thinking import ThinkingLimits
from econ_env.llm.http.waits import clock, spoken
from econ_env.llm.http.wire import read_models
from econ_env.llm.meter import Meter, Reason, shared_meter

logger = logging.getLogger(__name__)

_jitter = random.Random()  # separate: waits must not use the generator that a user may have seeded


class Answered(NamedTuple):
    """A server's response."""

    body: bytes
    """The response's body."""
    server: str
    """The server's name, without credentials."""


class _NoModelError(Exception):
    """A server did not list its models; each waiting call raises its own error from this one."""

    def __init__(self, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.reason = reason


class ServerPool:
    """Connections to equivalent servers, shared by all their models; runs on the background loop.

    Args:
        server: Describes the servers; the model is ignored.
        config: Deadlines, retries and limits.
    """

    def __init__(self, server: Server, config: LLMConfig) -> None:
        self.server = server
        self.config = config
        self.found_model = ""
        self.thinking = ThinkingLimits(config.thinking_tokens)
        self._extras: dict[tuple[str, str], tuple[Extra, Filled]] = {}
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

    def refused(self, model: str) -> frozenset[str]:
        """Optional fields that any server of the pool has refused for a model."""
        if len(self.connections) == 1:
            return self.connections[0].fields.refused(model)
        return frozenset().union(*(connection.fields.refused(model) for connection in self.connections))

    def dead(self, model: str) -> frozenset[str]:
        """Controls that any server of the pool refuses for a model."""
        return frozenset().union(*(connection.fields.dead(model) for connection in self.connections))

    def extra(self, role: str, agent: str) -> tuple[Extra, Filled]:
        """What the settings add to a call, and the same with values from the environment.

        Raises:
            ConfigError: An environment variable is not set, or holds what can't be sent.
        """
        found = self._extras.get((role, agent))
        if found is None:
            general = Extra(self.config.extra_body, self.config.extra_headers)
            added = extra_of(general, self.config.extra_for, role, agent)
            found = self._extras[role, agent] = (added, fill(added))
            for secret in found[1].secrets:
                remember_secret(secret)
        return found

    def join(self, user: object) -> None:
        """Register a user of the pool."""
        self._users.add(user)

    def turn(self, key: str) -> asyncio.Lock:
        """The lock of one request: equal requests run one after another, so the cache answers the later ones."""
        lock = self._asking.get(key)
        if lock is None:
            lock = self._asking[key] = asyncio.Lock()
        return lock

    async def leave(self, user: object) -> None:
        """Remove a user; when the last one leaves, all connections are closed."""
        self._users.discard(user)
        if not self._users:
            for probe in self._probes:
                probe.cancel()
            for connection in self.connections:
                await connection.close()

    async def post(
        self,
        make_body: Callable[[Collection[str]], dict[str, Any]],
        model: str,
        tokens: int,
        tally: CallAccount,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """Send a chat completion; retry temporary failures.

        Args:
            make_body: Makes the request's body without the fields that the server has refused.
            model: The model that is asked.
            tokens: Upper bound on the tokens of prompt and completion.
            tally: Counts the attempts and remembers the last fault.
            headers: Headers of this call alone.

        Raises:
            LLMRequestError: A server refuses the request.
            LLMReplyError: A server's filter refuses it.
            LLMUnavailableError: No server answered in any attempt.
        """

        async def send(connection: Connection) -> Answered:
            if len(self.connections) > 1 and model == self.found_model:
                await connection.check_has(self.found_model, tally.deadline)
            guessed: dict[str, str] = {}  # fields left out to see whether they are what is refused
            while True:
                body = make_body(connection.fields.refused(model) | guessed.keys())
                try:
                    said = await connection.send("/chat/completions", body, tokens, tally.deadline, headers)
                except RefusedFieldError as refusal:
                    if refusal.guessed:
                        guessed |= dict.fromkeys(refusal.fields, str(refusal))
                    else:
                        connection.learn(model, refusal.fields, str(refusal))
                else:
                    connection.learn(model, guessed.keys(), next(iter(guessed.values()), ""))
                    return Answered(said, connection.name)

        return await self._until_answered(send, tally)

    async def default_model(self, tally: CallAccount) -> str:
        """The name of the server's only model; waiting calls share one request for it.

        Args:
            tally: Records the reason if the server gives no name.

        Raises:
            LLMRequestError: It has no model or several, or refuses the request.
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

    async def prepare(self, user: object) -> None:
        """Register a user, and do now what the first call to each server would wait for; none is contacted.

        Raises:
            LLMRequestError: The key can't be sent.
            ConfigError: An environment variable that the settings name is not set.
        """
        self.join(user)
        for role, agent in (("other", ""), ("strategy", ""), *(("executor", name) for name in self.config.extra_for)):
            self.extra(role, agent)
        for connection in self.connections:
            await connection.prepare()

    async def reach(self) -> None:
        """Check that a server answers a request for its models; any response counts.

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
            except LLMError:  # it answers, but refuses or has no list of models
                said = b""
            return Answered(said, connection.name)

        try:
            async with tally.deadline:
                await self._until_answered(probe, tally)
        except TimeoutError:
            late = f"{self.server.where} did not answer within {self.config.round_timeout:g} s"
            raise LLMUnavailableError(late) from None

    async def _ask_for_model(self) -> str:
        tally = CallAccount(Deadline(self.config.round_timeout))

        async def send(connection: Connection) -> Answered:
            return Answered(await connection.send("/models", None, 0, tally.deadline), connection.name)

        try:
            async with tally.deadline:
                found, where = await self._until_answered(send, tally)
        except TimeoutError:
            late = f"{self.server.where} did not list its models within {self.config.round_timeout:g} s"
            raise _NoModelError(late, "timeout") from None
        except LLMUnavailableError as error:
            raise _NoModelError(str(error), tally.fault) from None
        names = read_models(found)
        if len(names) != 1:
            some = ", ".join(scrub(name) for name in names[:6]) + (", …" if len(names) > 6 else "")
            raise LLMRequestError(f"{where} has {len(names)} models, so name one: {some or 'none'}")
        logger.info("%s serves %s", where, names[0])
        return names[0]

    async def _until_answered(self, send: Callable[[Connection], Awaitable[Answered]], tally: CallAccount) -> Answered:
        failed: set[Connection] = set()

        def wait(state: RetryCallState) -> float:
            return 0.0 if self._fresh(failed) else self._wait(state, state.attempt_number - len(failed))

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
                    self._heed(connection, error, failed, tally)
                    raise

        async def attempt_again() -> Answered:
            if first:
                raise first.pop()
            return await attempt()

        first: list[TransientError] = []
        try:
            return await attempt()
        except TransientError as error:
            first.append(error)  # most calls need one attempt: retries are set up only now, and begin with this failure
        attempts = self.config.max_retries + len(self.connections)
        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts), wait=wait, retry=retry_if_exception_type(TransientError), reraise=True
        )
        try:
            return await retrying(attempt_again)
        except TransientError as error:
            several = len(self.connections) > 1 and all(c.health.state == "out" for c in self.connections)
            none = f"none of {len(self.connections)} servers answers; last error: " if several else ""
            times = f"after {attempts} attempt{'s' if attempts > 1 else ''}"
            raise LLMUnavailableError(f"{none}{error} ({times})") from None

    async def _attempt(self, connection: Connection, send: Callable[[Connection], Awaitable[Answered]]) -> Answered:
        """Make one attempt at a server, and update the server's health."""
        connection.load += 1
        try:
            answered = await send(connection)
        except TransientError as error:
            self.meter.fault(error.reason, connection.name)
            logger.debug("attempt failed: %s", error)
            broken = error.reason != "rate_limited" and len(self.connections) > 1  # a single server is never left out
            if broken and connection.health.fail():
                logger.warning("%s is left out until it answers again: %s", connection.name, error)
            raise
        finally:
            connection.load -= 1
        if connection.health.succeed():
            logger.info("%s answers again", connection.name)
        return answered

    def _heed(
        self, connection: Connection, error: TransientError, failed: Collection[Connection], tally: CallAccount
    ) -> None:
        """Say that a server asks to wait long, and end the call if it has no time for this and no other server.

        Raises:
            LLMLimitedError: The wait is longer than the call may still take.
        """
        asked = error.retry_after
        if asked is None or asked <= self.config.retry_after_max:
            return
        connection.say_limited(asked)
        if len(self.connections) > 1:
            connection.health.rest(asked)
        if asked > tally.deadline.left and not self._fresh(failed):
            raise LLMLimitedError(
                f"{error}; the server asks to wait {spoken(asked)}, longer than a call may take (llm.round_timeout "
                f"{self.config.round_timeout:g} s): start again after {clock(asked)}; what was done is kept"
            )

    def _choose(self, failed: Collection[Connection]) -> Connection:
        """The server for the next attempt of a call: the least busy one that answers and has not failed this call.

        Equally busy servers take turns by weight. If none answers, it is the server with the earliest probe time.
        """
        if len(self.connections) == 1:
            return self.connections[0]
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
        """Servers that take calls and have not failed this call."""
        return [c for c in self.connections if c.takes_calls and c not in failed]

    def _start_probe(self, connection: Connection) -> None:
        """Probe a left-out server in the background, while calls go to other servers."""

        async def probe() -> None:
            if await connection.answers() and connection.health.state == "out":
                connection.health.state = "trial"

        connection.health.wait()
        task = asyncio.ensure_future(probe())
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    def _wait(self, state: RetryCallState, attempts: int) -> float:
        """Seconds to wait: the time the server asks for, plus a jitter whose upper bound doubles each time."""
        bound = min(self.config.retry_wait * 2.0**attempts, self.config.retry_wait_max)
        error = None if state.outcome is None else state.outcome.exception()
        asked = error.retry_after if isinstance(error, TransientError) else None
        return min(asked or 0.0, self.config.retry_after_max) + _jitter.uniform(0.0, bound)


_pools: dict[tuple[int, Server, LLMConfig], ServerPool] = {}


def server_pool(server: Server, config: LLMConfig) -> ServerPool:
    """This process's pool for these servers and settings; a forked child gets its own."""
    key = (os.getpid(), server.without_model, config)
    pool = _pools.get(key)
    return _pools.setdefault(key, ServerPool(server, config)) if pool is None else pool
