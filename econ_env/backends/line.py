"""A process's line to one server: its connections, its limits, and attempts until an answer has come."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from econ_env.backends.failures import RefusedFieldError, TransientError
from econ_env.backends.wire import PENALTY_FIELDS, read_models
from econ_env.cache import CompletionCache, shared_cache
from econ_env.config import LLMConfig
from econ_env.errors import LLMRequestError
from econ_env.limits import shared_limits
from econ_env.meter import Meter, Reason, shared_meter
from econ_env.records import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from econ_env.backends.engine import EngineSettings

logger = logging.getLogger(__name__)

_KEEPALIVE_SECONDS = 4.0  # below the five seconds after which many servers hang up on an idle connection


@dataclass(frozen=True)
class Server:
    """Which server, and how it is spoken to; holds no secret."""

    backend: str
    """`together`, `openai` or `local`."""
    where: str
    """What people call it: its base URL without credentials, or the model file."""
    identity: str
    """What tells it from other servers in the cache."""
    model: str = ""
    """Default model; empty to ask the server."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key, read when the line is opened."""
    penalty_fields: tuple[str, ...] = PENALTY_FIELDS
    """Names under which it reads the repetition penalty."""
    json_mode: bool = True
    """Whether it can be asked to write JSON of a schema."""
    small: bool = False
    """Whether its model is so small that asking for JSON hurts it."""
    engine: EngineSettings | None = None
    """The embedded engine to start, for a server inside this process."""


@dataclass
class Tally:
    """What one call has taken so far."""

    attempts: int = 0
    usage: Usage = Usage()
    fault: Reason = "server_error"

    def total(self, calls: int) -> Usage:
        """Everything as one usage, counted as so many calls."""
        return self.usage + Usage(calls=calls, retries=max(0, self.attempts - 1))


class Line:
    """Connections and limits towards one server; lives on the background loop.

    Args:
        server: Which server.
        config: Deadlines, retries and limits.
    """

    def __init__(self, server: Server, config: LLMConfig) -> None:
        self.server = server
        self.config = config
        self.refused: set[str] = set()
        self.found_model = ""
        self.cache: CompletionCache | None = shared_cache(config) if config.cache else None
        self.meter: Meter = shared_meter(config)
        in_flight = config.concurrency if server.engine is None else min(config.concurrency, server.engine.slots)
        self._slots = asyncio.Semaphore(in_flight)
        self._limits = shared_limits(server.identity, config.rpm, config.tpm)
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._opening = asyncio.Lock()
        self._client: AsyncOpenAI | None = None
        self._url = server.where
        self._has_key = False

    def join(self, user: object) -> None:
        """Note that someone uses the line."""
        self._users.add(user)

    async def leave(self, user: object) -> None:
        """Note that someone no longer does; the last one closes it."""
        self._users.discard(user)
        if not self._users:
            await self.close()

    async def close(self) -> None:
        """Close the connections, and the engine if there is one; the next call opens them again."""
        async with self._opening:
            client, self._client = self._client, None
            if client is not None:
                await client.close()
                if self.server.engine is not None:
                    from econ_env.backends.engine import release_engine

                    await asyncio.to_thread(release_engine, self.server.engine)

    async def post(self, make_body: Callable[[Collection[str]], dict[str, Any]], tokens: int, tally: Tally) -> bytes:
        """Send a chat completion, again and again while that may help; the answer's body.

        Args:
            make_body: The request's body without the fields that the server has refused.
            tokens: How many tokens prompt and completion have at most.
            tally: Counts the attempts and remembers the last fault.

        Raises:
            LLMRequestError: The server refuses the request.
            LLMReplyError: Its filter does.
            LLMUnavailableError: It has not answered in any attempt.
        """

        async def attempt() -> bytes:
            while True:
                body = make_body(self.refused)
                try:
                    return await self._send("/chat/completions", body, tokens)
                except RefusedFieldError as refusal:
                    self._do_without(refusal)

        return await self._until_answered(attempt, tally)

    async def default_model(self) -> str:
        """The only model of the server, asked once.

        Raises:
            LLMRequestError: It has several, or the question is refused.
            LLMUnavailableError: It does not answer.
        """
        async with self._opening:
            found = self.found_model
        if found:
            return found
        names = read_models(await self._until_answered(lambda: self._send("/models", None, 0), Tally()))
        if len(names) != 1:
            some = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
            raise LLMRequestError(f"{self._url} has {len(names)} models; name one of them: {some or 'it lists none'}")
        self.found_model = names[0]
        logger.info("%s serves %s", self._url, names[0])
        return names[0]

    async def _until_answered(self, attempt: Any, tally: Tally) -> bytes:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.config.max_retries + 1),
            wait=self._wait,
            retry=retry_if_exception_type(TransientError),
            reraise=True,
        )
        ...
