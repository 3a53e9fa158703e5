"""A process's line to one server: its connections, its limits, and attempts until an answer has come."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import weakref
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from econ_env import background
from econ_env.backends.address import login_header, remember_secret, scrub
from econ_env.backends.engine import EngineSettings, acquire_engine, release_engine
from econ_env.backends.failures import RefusedFieldError, TransientError, connection_failure, status_failure
from econ_env.backends.server import Server
from econ_env.backends.wire import PENALTY_FIELDS, read_models
from econ_env.cache import CompletionCache, shared_cache
from econ_env.config import LLMConfig
from econ_env.deadline import Deadline
from econ_env.errors import LLMRequestError, LLMUnavailableError
from econ_env.limits import shared_limits
from econ_env.meter import Meter, Reason, shared_meter
from econ_env.records import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

logger = logging.getLogger(__name__)

_KEEPALIVE_SECONDS = 4.0  # many servers hang up on a connection that was idle for five
_jitter = random.Random()  # waits must not draw on the generator that a user may have seeded


@dataclass
class Tally:
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


class _NoModelError(Exception):
    """A server did not say which models it has; everybody who waited makes an error of their own of it."""

    def __init__(self, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.reason = reason


class Line:
    """Connections and limits towards one server, whichever of its models is asked; lives on the background loop.

    Args:
        server: Which server; its model does not matter.
        config: Deadlines, retries and limits.
    """

    def __init__(self, server: Server, config: LLMConfig) -> None:
        self.server = server
        self.config = config
        self.refused: set[str] = set()
        self.found_model = ""
        self.cache: CompletionCache | None = shared_cache(config) if config.cache else None
        self.meter: Meter = shared_meter(config)
        self._in_flight = config.concurrency if server.engine is None else min(config.concurrency, server.engine.slots)
        self._slots = asyncio.Semaphore(self._in_flight)
        self._limits = shared_limits(server.identity, config.rpm, config.tpm)
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = asyncio.Lock()
        self._asking_model: asyncio.Task[str] | None = None
        self._asking: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._client: AsyncOpenAI | None = None
        self._url = server.where
        self._has_key = False
        self._closes_at_exit = False

    def join(self, user: object) -> None:
        """Note that someone uses the line."""
        self._users.add(user)

    def turn(self, key: str) -> asyncio.Lock:
        """The lock of one request: equal requests ask one after another, so that the cache answers the later ones."""
        lock = self._asking.get(key)
        if lock is None:
            lock = self._asking[key] = asyncio.Lock()
        return lock

    async def leave(self, user: object) -> None:
        """Note that someone no longer does; the last one closes it."""
        self._users.discard(user)
        if not self._users:
            await self.close()

    async def close(self) -> None:
        """Close the connections, and leave the engine if there is one; the next call opens them again."""
        async with self._lock:
            client, self._client = self._client, None
            if client is None:
                return
            await client.close()
            if self.server.engine is not None:
                await _in_thread(release_engine, self.server.engine)

    async def post(self, make_body: Callable[[Collection[str]], dict[str, Any]], tokens: int, tally: Tally) -> bytes:
        """Send a chat completion, again and again while that may help, and return the answer's body.

        Args:
            make_body: Gives the request's body without the fields that the server has refused.
            tokens: How many tokens prompt and completion have at most.
            tally: Counts the attempts and remembers the last fault.

        Raises:
            LLMRequestError: The server refuses the request.
            LLMReplyError: The server's filter refuses it.
            LLMUnavailableError: The server has not answered in any attempt.
        """

        async def send() -> bytes:
            while True:
                body = make_body(self.refused)
                try:
                    return await self._send("/chat/completions", body, tokens, tally.deadline)
                except RefusedFieldError as refusal:
                    self._do_without(refusal)

        return await self._until_answered(send, tally)

    async def default_model(self, tally: Tally) -> str:
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

    async def _ask_for_model(self) -> str:
        tally = Tally(Deadline(self.config.round_timeout))
        try:
            async with tally.deadline:
                found = await self._until_answered(lambda: self._send("/models", None, 0, tally.deadline), tally)
        except TimeoutError:
            late = f"{self._url} has not said within {self.config.round_timeout:g} s which models it has"
            raise _NoModelError(late, "timeout") from None
        except LLMUnavailableError as error:
            raise _NoModelError(str(error), tally.fault) from None
        names = read_models(found)
        if len(names) != 1:
            some = ", ".join(scrub(name) for name in names[:6]) + (", …" if len(names) > 6 else "")
            raise LLMRequestError(f"{self._url} has {len(names)} models, so one must be named: {some or 'none'}")
        logger.info("%s serves %s", self._url, names[0])
        return names[0]

    async def _until_answered(self, send: Callable[[], Awaitable[bytes]], tally: Tally) -> bytes:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.config.max_retries + 1),
            wait=self._wait,
            retry=retry_if_exception_type(TransientError),
            reraise=True,
        )

        async def attempt() -> bytes:
            tally.attempts += 1
            try:
                return await send()
            except TransientError as error:
                tally.fault = error.reason
                self.meter.fault(error.reason)
                logger.debug("attempt failed: %s", error)
                raise

        try:
            return await retrying(attempt)
        except TransientError as error:
            attempts = self.config.max_retries + 1
            raise LLMUnavailableError(f"{error} (after {attempts} attempt{'s' if attempts > 1 else ''})") from None

    def _wait(self, state: RetryCallState) -> float:
        """Seconds to wait: what the server asks for, and a jitter up to a bound that doubles each time."""
        bound = min(self.config.retry_wait * 2.0 ** (state.attempt_number - 1), self.config.retry_wait_max)
        error = None if state.outcome is None else state.outcome.exception()
        asked = error.retry_after if isinstance(error, TransientError) else None
        return min(asked or 0.0, self.config.retry_after_max) + _jitter.uniform(0.0, bound)

    async def _send(self, path: str, body: dict[str, Any] | None, tokens: int, deadline: Deadline) -> bytes:
        """One HTTP request, when its turn has come."""
        deadline.pause()
        async with self._slots:
            await self._limits.acquire(tokens)
            client = await self._open()
            import aiohttp
            import httpx2
            import openai

            deadline.run()
            try:
                async with asyncio.timeout(self.config.timeout):
                    if body is None:
                        response = await client.get(path, cast_to=httpx2.Response)
                    else:
                        response = await client.post(path, body=body, cast_to=httpx2.Response)
            except TimeoutError:
                late = f"no answer from {self._url} within {self.config.timeout:g} s"
                raise TransientError(late, "timeout") from None
            except openai.APIStatusError as error:
                raise status_failure(
                    error.status_code,
                    error.response.text,
                    error.response.headers,
                    url=self._url,
                    key_advice=self._key_advice(),
                    sent=body or {},
                ) from None
            except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
                raise connection_failure(error, self._url) from None
            return response.content

    async def _open(self) -> AsyncOpenAI:
        if self._client is None:
            # A caller that is cancelled must not leave an engine behind that nobody releases.
            return await asyncio.shield(asyncio.ensure_future(self._open_once()))
        return self._client

    async def _open_once(self) -> AsyncOpenAI:
        async with self._lock:
            if self._client is None:
                if self.server.engine is not None:
                    self._url = await asyncio.to_thread(acquire_engine, self.server.engine)
                self._client = await asyncio.to_thread(self._connect)  # the first time this imports for a second
                if not self._closes_at_exit:
                    self._closes_at_exit = True
                    background.at_exit(self.close)
            return self._client

    def _connect(self) -> AsyncOpenAI:
        import openai
        from httpx2 import Limits

        server = self.server
        key = os.environ.get(server.key_variable) if server.engine is None else None
        self._has_key = bool(key)
        if key:
            remember_secret(key)
        login = login_header(self._url)
        connections = self._in_flight + 4
        return openai.AsyncOpenAI(
            base_url=self._url,
            api_key=key or "none",
            max_retries=0,
            timeout=None,  # the deadline of an attempt is ours: it also ends an answer that drips
            default_headers={"Authorization": login} if login else None,
            http_client=openai.DefaultAioHttpClient(
                limits=Limits(
                    max_connections=connections,
                    max_keepalive_connections=connections,
                    keepalive_expiry=_KEEPALIVE_SECONDS,
                ),
                timeout=None,
                trust_env=server.engine is None,  # no proxy between us and our own engine
            ),
        )

    def _key_advice(self) -> str:
        if login_header(self._url):
            return "check the user name and password in the URL"
        return f"{'check the key in' if self._has_key else 'put a key into'} {self.server.key_variable}"

    def _do_without(self, refusal: RefusedFieldError) -> None:
        if refusal.field in self.refused:
            return  # a request that was under way when the field was first refused
        self.refused.add(refusal.field)
        effect = {
            "response_format": "JSON is asked for in words only",
            "seed": "answers do not repeat",
        }.get(refusal.field, "")
        if refusal.field in PENALTY_FIELDS and self.refused.issuperset(self.server.penalty_fields):
            effect = "the repetition penalty has no effect there: let p drive top_p (sampling.second_action: top_p)"
        logger.warning("%s is left out from now on%s; %s", refusal.field, f": {effect}" if effect else "", refusal)


async def _in_thread(work: Callable[[EngineSettings], None], engine: EngineSettings) -> None:
    """Work off the loop, or on it when the process ends and no thread may be started any more."""
    try:
        await asyncio.to_thread(work, engine)
    except RuntimeError:
        work(engine)


_lines: dict[tuple[int, Server, LLMConfig], Line] = {}


def line_to(server: Server, config: LLMConfig) -> Line:
    """This process's line to a server with these settings; a forked child has its own."""
    key = (os.getpid(), replace(server, model=""), config)
    line = _lines.get(key)
    return _lines.setdefault(key, Line(server, config)) if line is None else line
