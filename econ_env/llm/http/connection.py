"""A process's connection to one server: its HTTP, its slots and limits, what it refuses, and whether it answers."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from econ_env.config import LLMConfig
from econ_env.errors import LLMError, LLMRequestError
from econ_env.llm import background
from econ_env.llm.http.address import Address
from econ_env.llm.http.deadline import Deadline
from econ_env.llm.http.engine import EngineSettings, acquire_engine, release_engine
from econ_env.llm.http.failures import RefusedFieldError, TransientError, connection_failure, status_failure
from econ_env.llm.http.secrets import login_header, remember_secret, scrub
from econ_env.llm.http.server import Server
from econ_env.llm.http.wire import PENALTY_FIELDS, read_models
from econ_env.llm.meter import Meter

if TYPE_CHECKING:
    from httpx2 import URL, AsyncClient
    from openai import AsyncOpenAI

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3
"""Attempts that may fail at a server, one after another, before it is left out."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a server that is left out is asked whether it is back; doubled each time it is not."""
PROBE_SECONDS = 5.0
"""Seconds it may take to say so."""

_KEEPALIVE_SECONDS = 4.0  # many servers hang up on a connection that was idle for five


class Health:
    """Whether a server takes calls.

    After some failures in a row it is `out`. Once it answers again it is on `trial`, with one call at a time, until one
    of them succeeds; a failure puts it out for twice as long.
    """

    def __init__(self) -> None:
        self.state: Literal["up", "out", "trial"] = "up"
        self.due = 0.0
        self._in_a_row = 0
        self._pause = FIRST_PAUSE

    def succeed(self) -> bool:
        """Note that a call succeeded; whether that brought the server back."""
        came_back = self.state != "up"
        self.state, self._in_a_row, self._pause = "up", 0, FIRST_PAUSE
        return came_back

    def fail(self) -> bool:
        """Note that an attempt failed; whether that put the server out."""
        self._in_a_row += 1
        if self.state == "out" or (self.state == "up" and self._in_a_row < FAILURES_IN_A_ROW):
            return False
        self.state = "out"
        self.wait()
        return True

    def wait(self) -> None:
        """Put off the next question whether it is back, longer each time."""
        self.due = asyncio.get_running_loop().time() + self._pause
        self._pause = min(2.0 * self._pause, LONGEST_PAUSE)


class Connection:
    """Connections and limits towards one server, whichever of its models is asked; lives on the background loop.

    Args:
        server: How it is spoken to; its model does not matter.
        address: Where.
        config: Deadlines and slots.
        meter: Has the limits of the run.
    """

    def __init__(self, server: Server, address: Address, config: LLMConfig, meter: Meter) -> None:
        self.server = server
        self.weight = address.weight
        self.config = config
        self.refused: set[str] = set()
        self.health = Health()
        self.name = address.url or server.where
        """What it is called in accounts, without credentials."""
        self.load = 0
        """Attempts that it was chosen for and that are not over."""
        most = max(1, round(config.concurrency * address.weight))
        self.slots = most if server.engine is None else min(most, server.engine.slots)
        self._free = asyncio.Semaphore(self.slots)
        self._meter, self._limited = meter, address.url or server.identity
        self._url = self.name
        self._opening = asyncio.Lock()
        self._asking_models = asyncio.Lock()
        self._models: list[str] | None = None
        self._http: AsyncClient | None = None
        self._has_key = False
        self._closes_at_exit = False

    @property
    def takes_calls(self) -> bool:
        """Whether a call may be given to it now."""
        return self.health.state == "up" or (self.health.state == "trial" and self.load == 0)

    async def send(self, path: str, body: dict[str, Any] | None, tokens: int, deadline: Deadline) -> bytes:
        """One HTTP request, when its turn has come; the deadline's clock stands still until then.

        Args:
            path: Below the base URL.
            body: What is posted; `None` to get.
            tokens: How many tokens it takes at most.
            deadline: Of the call.

        Raises:
            TransientError: It failed in a way that another attempt may heal.
            RefusedFieldError: An optional field of the body is refused.
            LLMError: The request is refused.
        """
        deadline.pause()
        async with self._free:
            await self._meter.limits.acquire(self._limited, tokens)
            http = await self._open()
            import aiohttp
            import httpx2

            deadline.run()
            try:
                async with asyncio.timeout(self.config.timeout):
                    if body is None:
                        response = await http.get(_parsed(self._url + path))
                    else:
                        response = await http.post(_parsed(self._url + path), json=body)
            except TimeoutError:
                late = f"no answer from {self._url} within {self.config.timeout:g} s"
                raise TransientError(late, "timeout") from None
            except (httpx2.RequestError, aiohttp.ClientError, OSError) as error:
                raise connection_failure(error, self._url) from None
            if not response.is_success:
                raise status_failure(
                    response.status_code,
                    response.text,
                    response.headers,
                    url=self._url,
                    key_advice=self._key_advice(),
                    sent=body or {},
                )
            return response.content

    async def answers(self) -> bool:
        """Whether the server is there, going by whether it answers the question for its models in a moment."""
        deadline = Deadline(PROBE_SECONDS)
        try:
            async with asyncio.timeout(PROBE_SECONDS), deadline:
                await self.send("/models", None, 0, deadline)
        except (TransientError, TimeoutError):
            return False
        except LLMError:
            return True  # it has no such page
        return True

    async def check_has(self, model: str, deadline: Deadline) -> None:
        """Make sure, once, that the server has a model that was found at another one.

        Raises:
            LLMRequestError: It has others.
            TransientError: It does not answer.
        """
        async with self._asking_models:
            if self._models is None:
                try:
                    self._models = read_models(await self.send("/models", None, 0, deadline))
                except LLMError:
                    self._models = []
        if self._models and model not in self._models:
            some = ", ".join(scrub(name) for name in self._models[:6])
            raise LLMRequestError(
                f"{self._url} has no model {model!r} but {some}; servers that share calls must have the same model"
            )

    def do_without(self, refusal: RefusedFieldError) -> None:
        """Leave out a field from now on."""
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

    async def close(self) -> None:
        """Close the connections, and leave the engine if there is one; the next call opens them again."""
        async with self._opening:
            http, self._http = self._http, None
            if http is None:
                return
            await http.aclose()
            if self.server.engine is not None:
                await _in_thread(release_engine, self.server.engine)

    async def _open(self) -> AsyncClient:
        if self._http is None:
            # A caller that is cancelled must not leave an engine behind that nobody releases.
            return await asyncio.shield(asyncio.ensure_future(self._open_once()))
        return self._http

    async def _open_once(self) -> AsyncClient:
        async with self._opening:
            if self._http is None:
                if self.server.engine is not None:
                    self._url = await asyncio.to_thread(acquire_engine, self.server.engine)
                http, client = await asyncio.to_thread(self._connect)  # the first time this imports for a second
                # Here and not in the thread: one of them names the library of the loop.
                for name, value in [*client.auth_headers.items(), *client.default_headers.items()]:
                    if isinstance(value, str):  # otherwise it marks what is not sent
                        http.headers[name] = value
                self._http = http
                if not self._closes_at_exit:
                    self._closes_at_exit = True
                    background.at_exit(self.close)
            return self._http

    def _connect(self) -> tuple[AsyncClient, AsyncOpenAI]:
        """OpenAI's HTTP client, which is used, and the client above it, which knows the headers.

        The latter's own `post` would take twice the processor time for a request.
        """
        import openai
        from httpx2 import Limits

        server = self.server
        key = os.environ.get(server.key_variable, "").strip() if server.engine is None else None
        if key and not (key.isascii() and key.isprintable()):
            raise LLMRequestError(f"the key in {server.key_variable} holds characters that no key has: set it again")
        self._has_key = bool(key)
        if key:
            remember_secret(key)
        login = login_header(self._url)
        connections = self.slots + 4
        http = openai.DefaultAioHttpClient(
            limits=Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=_KEEPALIVE_SECONDS,
            ),
            timeout=None,  # the deadline of an attempt is ours: it also ends an answer that drips
            trust_env=server.engine is None,  # no proxy between us and our own engine
        )
        return http, openai.AsyncOpenAI(
            base_url=self._url,
            api_key=key or "none",
            default_headers={"Authorization": login} if login else None,
            http_client=http,
        )

    def _key_advice(self) -> str:
        if login_header(self._url):
            return "check the user name and password in the URL"
        return f"{'check the key in' if self._has_key else 'put a key into'} {self.server.key_variable}"


@lru_cache(maxsize=256)
def _parsed(url: str) -> URL:
    """A URL as the HTTP client takes it apart, which is a tenth of a request's time."""
    from httpx2 import URL

    return URL(url)


async def _in_thread(work: Any, engine: EngineSettings) -> None:
    """Work off the loop, or on it when the process ends and no thread may be started any more."""
    try:
        await asyncio.to_thread(work, engine)
    except RuntimeError:
        work(engine)
