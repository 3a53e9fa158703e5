"""A process's connection to one server: HTTP client, slots, limits, refused fields and health."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from econ_env.config import LLMConfig
from econ_env.errors import LLMError, LLMRequestError
from econ_env.llm import background
from econ_env.llm.http.address import Address
from econ_env.llm.http.deadline import Deadline
from econ_env.llm.http.engine import EngineSettings, acquire_engine, release_engine
from econ_env.llm.http.failures import TransientError, connection_failure, hidden_failure, status_failure
from econ_env.llm.http.fields import KnownFields
from econ_env.llm.http.health import Health
from econ_env.llm.http.secrets import login_header, scrub
from econ_env.llm.http.server import Server
from econ_env.llm.http.session import all_headers, open_session, read_key
from econ_env.llm.http.waits import clock, spoken
from econ_env.llm.http.wire import read_models
from econ_env.llm.meter import LeftOut, Meter

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from yarl import URL

logger = logging.getLogger(__name__)

PROBE_SECONDS = 5.0
"""Seconds that a probe may take."""

_SAME_WAIT = 30.0  # seconds by which two answers to the same limit may differ


class Connection:
    """Connections to one server and its limits, shared by all its models; runs on the background loop.

    Args:
        server: Describes the server; its model is ignored.
        address: Its address.
        config: Deadlines and slots.
        meter: Holds the limits of the run.
    """

    def __init__(self, server: Server, address: Address, config: LLMConfig, meter: Meter) -> None:
        self.server = server
        self.weight = address.weight
        self.config = config
        self.health = Health()
        self.name = address.url or server.where
        """Its name in accounts, without credentials."""
        self.fields = KnownFields(self.name, server.penalty_fields)
        self.load = 0
        """Attempts in progress at this server."""
        most = max(1, round(config.concurrency * address.weight))
        self.slots = most if server.engine is None else min(most, server.engine.slots)
        self._free = asyncio.Semaphore(self.slots)
        self._meter, self._limited = meter, address.url or server.identity
        self._url = self.name
        self._opening = asyncio.Lock()
        self._asking_models = asyncio.Lock()
        self._models: list[str] | None = None
        self._http: ClientSession | None = None
        self._has_key = False
        self._closes_at_exit = False
        self._limited_until = 0.0

    @property
    def takes_calls(self) -> bool:
        """Whether a call may be given to it now."""
        return self.health.state == "up" or (self.health.state == "trial" and self.load == 0)

    async def send(
        self,
        path: str,
        body: dict[str, Any] | None,
        tokens: int,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send one HTTP request when a slot and the limits allow it; the deadline is paused until then.

        Args:
            path: Below the base URL.
            body: JSON body of a POST; `None` sends a GET.
            tokens: Upper bound on its tokens.
            deadline: Deadline of the call.
            headers: Headers of this request alone.

        Raises:
            TransientError: It failed, but another attempt may succeed.
            RefusedFieldError: An optional field of the body is refused.
            LLMError: The request is refused.
        """
        deadline.pause()
        async with self._free:
            await self._meter.limits.acquire(self._limited, tokens)
            http = await self._open()
            import aiohttp

            method, data = ("GET", None) if body is None else ("POST", _as_json(body))
            deadline.run()
            try:
                async with (
                    asyncio.timeout(self.config.timeout),
                    http.request(method, _parsed(self._url + path), data=data, headers=headers) as response,
                ):
                    content = await response.read()
            except TimeoutError:
                late = f"no answer from {self._url} within {self.config.timeout:g} s"
                raise TransientError(late, "timeout") from None
            except (aiohttp.ClientError, OSError) as error:
                raise connection_failure(error, self._url) from None
            said = (response.status, content.decode(errors="replace"))
            failure = hidden_failure(content) if 200 <= response.status < 300 else said
            if failure is not None:
                raise status_failure(
                    *failure,
                    response.headers,
                    url=self._url,
                    key_advice=self._key_advice(),
                    sent=body or {},
                )
            return content

    async def prepare(self) -> None:
        """Load packages and read the key, as the first request would; an engine is not started.

        Raises:
            LLMRequestError: The key can't be sent.
        """
        if self.server.engine is None:
            await self._open()

    async def answers(self) -> bool:
        """Whether the server answers a request for its models within `PROBE_SECONDS`."""
        deadline = Deadline(PROBE_SECONDS)
        try:
            async with asyncio.timeout(PROBE_SECONDS), deadline:
                await self.send("/models", None, 0, deadline)
        except (TransientError, TimeoutError):
            return False
        except LLMError:
            return True  # it answers, but has no list of models
        return True

    async def check_has(self, model: str, deadline: Deadline) -> None:
        """Check that the server has a model that another server of the pool reported; asks only once.

        Raises:
            LLMRequestError: It has only other models.
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
                f"{self._url} has no model {model!r}, only {some}; all servers in a pool need the same model"
            )

    def learn(self, model: str, fields: Collection[str], said: str) -> None:
        """Leave fields out of all later requests for a model.

        Args:
            model: The model.
            fields: The refused fields; nothing happens without any.
            said: The server's refusal.
        """
        if fields:
            self.fields.learn(model, fields, said)
            left_out = LeftOut(tuple(sorted(self.fields.refused(model))), self.fields.dead(model))
            self._meter.leave_out(self.name, model, left_out)

    def say_limited(self, seconds: float) -> None:
        """Warn that the server asks to wait so long; once for the same time of day."""
        until = time.time() + seconds
        if until > self._limited_until + _SAME_WAIT:
            self._limited_until = until
            logger.warning("%s limits calls: it asks to wait %s, until %s", self.name, spoken(seconds), clock(seconds))

    async def close(self) -> None:
        """Close the connections and release the engine, if any; the next call opens them again."""
        async with self._opening:
            http, self._http = self._http, None
            if http is None:
                return
            await http.close()
            if self.server.engine is not None:
                await _in_thread(release_engine, self.server.engine)

    async def _open(self) -> ClientSession:
        if self._http is None:
            # Shielded: cancelling the caller must not leave an engine that is never released.
            return await asyncio.shield(asyncio.ensure_future(self._open_once()))
        return self._http

    async def _open_once(self) -> ClientSession:
        async with self._opening:
            if self._http is None:
                if self.server.engine is not None:
                    self._url = await asyncio.to_thread(acquire_engine, self.server.engine)
                local = self.server.engine is not None
                key = "" if local else read_key(self.server.key_variable)
                self._has_key = bool(key)
                extra = self.config.extra_headers
                # in a thread: the first import takes about a second
                headers = await asyncio.to_thread(all_headers, self._url, key, extra)
                self._http = open_session(self._url, headers, self.slots + 4, local=local)
                if not self._closes_at_exit:
                    self._closes_at_exit = True
                    background.at_exit(self.close)
            return self._http

    def _key_advice(self) -> str:
        if login_header(self._url):
            return "check the user name and password in the URL"
        return f"{'check the key in' if self._has_key else 'put a key into'} {self.server.key_variable}"


@lru_cache(maxsize=256)
def _parsed(url: str) -> URL:
    """A parsed URL; cached, because parsing takes a tenth of a request's time."""
    from yarl import URL

    return URL(url)


def _as_json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


async def _in_thread(work: Any, engine: EngineSettings) -> None:
    """Run work in a thread, or directly if the process is ending and can't start threads."""
    try:
        await asyncio.to_thread(work, engine)
    except RuntimeError:
        work(engine)
