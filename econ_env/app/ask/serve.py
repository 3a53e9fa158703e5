"""Serves a team behind an OpenAI-compatible endpoint, so that any client of that protocol can ask it.

* `POST /v1/chat/completions`, also with `stream`; `GET /v1/models`.
* The question is the last user message; instructions and earlier turns, if there are any, are put before it.
* An answer is whole before a stream begins, since a team commits itself only at the end.
* The learned controls decide how models are sampled: `temperature`, `top_p`, `max_tokens` and other wishes of that kind
  are accepted and have no effect. What can't be given at all (`n`, `tools`, `logprobs`, images) is refused.
* `usage` counts all tokens of the team; the field `econ` has strategy, rounds and cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from econ_env.app.ask.chat_protocol import ApiError, chunks, completion, read_request
from econ_env.app.ask.solver import QuestionTeam, failure, known_problems
from econ_env.app.run_config import RunConfig
from econ_env.app.runs.display import console
from econ_env.errors import BudgetError, ConfigError, EconError

log = logging.getLogger(__name__)

KEY_VARIABLE = "ECON_API_KEY"
MOST_BYTES = 1_000_000
"""Longest request body."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServedTeam(NamedTuple):
    """What is served."""

    solver: QuestionTeam
    """Answers; already prepared."""
    name: str
    """What clients call it."""
    key: str | None
    """What they must send; `None` asks for none."""


def make_app(team: ServedTeam) -> web.Application:
    """The web application, ready to be run."""
    api = _Api(team)
    app = web.Application(middlewares=[api.guard], client_max_size=MOST_BYTES)
    app.router.add_get("/v1/models", api.models)
    app.router.add_get("/v1/models/{name}", api.model)
    app.router.add_post("/v1/chat/completions", api.complete)
    return app


@asynccontextmanager
async def listening(team: ServedTeam, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the context lasts; gives the base URL.

    Raises:
        ConfigError: Nothing can listen there.
    """
    runner = web.AppRunner(make_app(team), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            number = error.errno or 0  # negative where a name could not be resolved
            why = os.strerror(number) if number > 0 else error.strerror  # asyncio puts the address in front of it
            raise ConfigError(f"can't listen on {host} port {port}: {why}; choose another --port or --host") from error
        own_host, own_port = runner.addresses[0][:2]
        yield f"http://{f'[{own_host}]' if ':' in own_host else own_host}:{own_port}/v1"
    finally:
        await runner.cleanup()


def serve(
    config: RunConfig, checkpoint: Path | None, *, host: str, port: int, model_name: str, key: str | None
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        config: Settings of team and models.
        checkpoint: As in `QuestionTeam`.
        host: Address to listen on.
        port: 0 takes a free one.
        model_name: What clients call the team.
        key: What they must send; `None` asks for none.

    Raises:
        ConfigError: Nothing can listen there.
        EconError: The models can't be had.
    """
    solver = QuestionTeam(config, checkpoint, known_problems(config))
    solver.prepare()
    asyncio.run(_serve(ServedTeam(solver, model_name, key), host, port))


def read_key(file: Path | None) -> str | None:
    """The key that clients must send: from a file, or else from the environment; `None` if neither has one.

    Raises:
        ConfigError: The file can't be read or is empty.
    """
    if file is None:
        return os.environ.get(KEY_VARIABLE, "").strip() or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"key file {file} can't be read: {reason}") from error
    if not key:
        raise ConfigError(f"key file {file} is empty")
    return key


async def _serve(team: ServedTeam, host: str, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with listening(team, host, port) as url:
        asks = "asks for a key" if team.key else "asks for no key"
        console.print(f"serving  {url}, model {team.name}, {asks}; Ctrl-C ends it", highlight=False, markup=False)
        if team.key is None and not _loopback(host):
            console.print(f"warning: anybody who reaches {host} can use it; set {KEY_VARIABLE}", highlight=False)
        await stopped.wait()
    console.print("stopped")


def _loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


class _Api:
    """The handlers."""

    def __init__(self, team: ServedTeam) -> None:
        self._team = team
        self._started = int(time.time())

    @property
    def guard(self) -> Any:
        """Middleware: asks for the key, and words every refusal as the protocol does."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._check_key(request)
                return await handler(request)
            except ApiError as error:
                return _refuse(error)
            except web.HTTPException as error:
                return _refuse(ApiError(error.status, error.reason, "http_error"))
            except BudgetError as error:
                return _refuse(ApiError(429, str(error), "insufficient_quota"))
            except EconError as error:
                return _refuse(ApiError(503, str(error), "team_unavailable"))
            except Exception:  # one request's mistake must not end the server, nor show its insides to the client
                log.exception("a request failed")
                return _refuse(ApiError(500, "the server failed; its own output says why", "internal_error"))

        return guard

    async def models(self, _: web.Request) -> web.Response:
        """The one model there is."""
        return web.json_response({"object": "list", "data": [self._describe()]})

    async def model(self, request: web.Request) -> web.Response:
        """That model by name."""
        self._check_name(request.match_info["name"])
        return web.json_response(self._describe())

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Ask the team."""
        if request.content_type != "application/json":  # also keeps forms of other web pages out
            raise ApiError(400, "send the header Content-Type: application/json", "invalid_content_type")
        asked = read_request(await request.read())
        self._check_name(asked.model)
        seed = self._team.solver.config.seed if asked.seed is None else asked.seed % 2**31
        done = await self._team.solver.solve(asked.question(), seed=seed)
        if done.answer.rounds[-1].failed:
            raise ApiError(502, failure(done.answer), "team_failed")
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": self._team.name}
        if not asked.stream:
            return web.json_response(completion(head, done))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        for chunk in chunks(head, done, usage=asked.tells_usage):
            await response.write(chunk)
        return response

    def _describe(self) -> dict[str, Any]:
        return {"id": self._team.name, "object": "model", "created": self._started, "owned_by": "econ"}

    def _check_key(self, request: web.Request) -> None:
        if self._team.key is None:
            return
        kind, _, sent = request.headers.get("Authorization", "").partition(" ")
        raw = sent.strip().encode(errors="surrogateescape")  # headers are bytes, whatever they spell
        if kind.lower() != "bearer" or not hmac.compare_digest(raw, self._team.key.encode()):
            raise ApiError(401, "wrong or missing key: send it as Authorization: Bearer KEY", "invalid_api_key")

    def _check_name(self, name: str) -> None:
        if name != self._team.name:
            raise ApiError(404, f"there is no model {name!r}, only {self._team.name!r}", "model_not_found", "model")


def _refuse(error: ApiError) -> web.Response:
    return web.json_response(error.body(), status=error.status)
