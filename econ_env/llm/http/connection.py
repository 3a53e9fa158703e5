"""A process's connection to one server: HTTP client, slots, limits, refused fields and health."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

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
    from aiohttp import ClientSession
    from yarl import URL

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3
"""Failed attempts in a row after which a server is left out."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a left-out server is probed: the first wait, doubled after each failed probe, and its maximum."""
PROBE_SECONDS = 5.0
"""Seconds that a probe may take."""

_KEEPALIVE_SECONDS = 4.0  # many servers close a connection after 5 s idle


class Health:
    """Whether a server takes calls.

    After `FAILURES_IN_A_ROW` failures it is `out`. When a probe succeeds it is on `trial`: it gets one call at a time
    until one succeeds. A failure on trial puts it out again, for twice as long.
    """

    def __init__(self) -> None:
        self.state: Literal["up", "out", "trial"] = "up"
        self.due = 0.0
        self._in_a_row = 0
        self._pause = FIRST_PAUSE

    def succeed(self) -> bool:
        """Record a success; returns whether it brought the server back."""
        came_back = self.state != "up"
        self.state, self._in_a_row, self._pause = "up", 0, FIRST_PAUSE
        return came_back

    def fail(self) -> bool:
        """Record a failure; returns whether it put the server `out`."""
        self._in_a_row += 1
        if self.state == "out" or (self.state == "up" and self._in_a_row < FAILURES_IN_A_ROW):
            return False
        self.state = "out"
        self.wait()
        return True

    def wait(self) -> None:
        """Set the time of the next probe; each wait is twice as long as the last."""
        self.due = asyncio.get_running_loop().time() + self._pause
        self._pause = min(2.0 * self._pause, LONGEST_PAUSE)


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
        self.refused: set[str] = set()
        self.health = Health()
        self.name = address.url or server.where
        """Its name in accounts, without credentials."""
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

    @property
    def takes_calls(self) -> bool:
        """Whether a call may be given to it now."""
        return self.health.state == "up" or (self.health.state == "trial" and self.load == 0)

    async def send(self, path: str, body: dict[str, Any] | None, tokens: int, deadline: Deadline) -> bytes:
        """Send one HTTP request when a slot and the limits allow it; the deadline is paused until then.

        Args:
            path: Below the base URL.
            body: JSON body of a POST; `None` sends a GET.
            tokens: Upper bound on its tokens.
            deadline: Deadline of the call.

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
                    http.request(method, _parsed(self._url + path), data=data) as response,
                ):
                    content = await response.read()
            except TimeoutError:
                late = f"no answer from {self._url} within {self.config.timeout:g} s"
                raise TransientError(late, "timeout") from None
            except (aiohttp.ClientError, OSError) as error:
                raise connection_failure(error, self._url) from None
            if not 200 <= response.status < 300:
                raise status_failure(
                    response.status,
                    content.decode(errors="replace"),
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

    def do_without(self, refusal: RefusedFieldError) -> None:
        """Omit a refused field from all later requests."""
        if refusal.field in self.refused:
            return  # another request in flight already reported it
        self.refused.add(refusal.field)
        effect = {
            "response_format": "only prompts ask for JSON",
            "seed": "answers are not repeatable",
            "logprobs": "replies have no confidence",
        }.get(refusal.field, "")
        if refusal.field in PENALTY_FIELDS and self.refused.issuperset(self.server.penalty_fields):
            effect = "the repetition penalty has no effect there: use p as top_p (sampling.second_action: top_p)"
        logger.warning("%s is left out from now on%s; %s", refusal.field, f": {effect}" if effect else "", refusal)

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
                http = self._session(await asyncio.to_thread(self._headers))  # the first import takes about a second
                self._http = http
                if not self._closes_at_exit:
                    self._closes_at_exit = True
                    background.at_exit(self.close)
            return self._http

    def _headers(self) -> dict[str, str]:
        """The headers of all requests: those of the `openai` package, which knows keys, organisations and projects.

        Only its headers are used: its own `post` would take three times the processor time per request.
        """
        import openai

        server = self.server
        key = os.environ.get(server.key_variable, "").strip() if server.engine is None else None
        if key and not (key.isascii() and key.isprintable()):
            raise LLMRequestError(f"the key in {server.key_variable} holds characters outside printable ASCII; fix it")
        self._has_key = bool(key)
        if key:
            remember_secret(key)
        login = login_header(self._url)
        client = openai.AsyncOpenAI(
            base_url=self._url, api_key=key or "none", default_headers={"Authorization": login} if login else None
        )
        found = {}  # names in any case; the last one wins
        for name, value in [*client.auth_headers.items(), *client.default_headers.items()]:
            if isinstance(value, str):  # other values mark headers that are not sent
                found[name.lower()] = value
        return found

    def _session(self, headers: dict[str, str]) -> ClientSession:
        import aiohttp

        verify = _certificates() if self._url.startswith("https:") else True
        connector = aiohttp.TCPConnector(limit=self.slots + 4, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=verify)
        return aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),  # we time attempts ourselves, which also ends a slow drip
            proxy=None if self.server.engine is not None else _proxy(self._url),
        )

    def _key_advice(self) -> str:
        if login_header(self._url):
            return "check the user name and password in the URL"
        return f"{'check the key in' if self._has_key else 'put a key into'} {self.server.key_variable}"


@lru_cache(maxsize=256)
def _parsed(url: str) -> URL:
    """A parsed URL; cached, because parsing takes a tenth of a request's time."""
    from yarl import URL

    return URL(url)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a server, if any.

    Looked up once: aiohttp's `trust_env` would read the environment and ~/.netrc in a thread at each request.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if proxy is None or proxy_bypass(parts.netloc) else proxy


def _as_json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Authorities to trust: those that SSL_CERT_FILE or SSL_CERT_DIR names, else those that ship with `certifi`."""
    import certifi

    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return ssl.create_default_context(cafile=None if named else certifi.where())


async def _in_thread(work: Any, engine: EngineSettings) -> None:
    """Run work in a thread, or directly if the process is ending and can't start threads."""
    try:
        await asyncio.to_thread(work, engine)
    except RuntimeError:
        work(engine)
