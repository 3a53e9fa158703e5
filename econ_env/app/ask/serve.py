"""Serves a team behind an OpenAI-compatible endpoint, for any client of that protocol.

* `POST /v1/chat/completions` and `POST /v1/responses`, both also with `stream`; `GET /v1/models`; `GET /health`.
* The question is the last user message; instructions and earlier turns, if any, are placed before it.
* The team decides by its answers. The words follow the request (see `econ_env.app.ask.words`).
* A stream starts only when the answer is complete, because a team makes its commitment at the end.
* The learned controls decide how the team is sampled: `temperature` and similar fields hold for the words alone. What a
  team can't do (tools, log-probabilities, images) is refused in words.
* `usage` counts all tokens of the team; the field `econ` holds strategy, rounds and cost.
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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from econ_env.app.ask.chat_protocol import chunks, completion, read_chat
from econ_env.app.ask.cross_origin import add_headers, allowed, is_preflight
from econ_env.app.ask.details import Told
from econ_env.app.ask.request import ApiError, Asked, read_json
from econ_env.app.ask.responses_protocol import events, read_response, response
from econ_env.app.ask.solver import QuestionTeam, failure, known_problems, line_of
from econ_env.app.ask.words import Policy, check_can_word, find_words
from econ_env.app.run_config import RunConfig
from econ_env.app.runs.display import console
from econ_env.errors import BudgetError, ConfigError, EconError, UnknownQuestionError
from econ_env.llm.seeding import derive_seed
from econ_env.team.rounds import all_or_none

log = logging.getLogger(__name__)

KEY_VARIABLE = "ECON_API_KEY"
MOST_BYTES = 1_000_000
"""Maximum size of a request body."""
PATHS = "POST /v1/chat/completions, POST /v1/responses, GET /v1/models, GET /health"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServedTeam(NamedTuple):
    """A team and how clients reach it."""

    solver: QuestionTeam
    """Answers the questions; already prepared."""
    name: str
    """The model name for clients."""
    key: str | None
    """The key that clients must send; `None` requires no key."""
    origins: frozenset[str] = frozenset()
    """Origins of web pages that may use it; see `check_origins`."""
    words: Policy = "auto"
    """When the answer is written in the form that a request asks for."""


def make_app(team: ServedTeam) -> web.Application:
    """The web application, ready to be run."""
    api = _Api(team)
    app = web.Application(middlewares=[api.guard], client_max_size=MOST_BYTES)
    app.router.add_get("/health", api.health)
    app.router.add_get("/v1/models", api.models)
    app.router.add_get("/v1/models/{name:.+}", api.model)
    app.router.add_post("/v1/chat/completions", api.complete)
    app.router.add_post("/v1/responses", api.respond)
    app.on_response_prepare.append(api.prepare)
    return app


@asynccontextmanager
async def listening(team: ServedTeam, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the context lasts; gives the base URL.

    Raises:
        ConfigError: The address or port can't be used.
    """
    runner = web.AppRunner(make_app(team), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            number = error.errno or 0  # negative if a name was not resolved
            why = os.strerror(number) if number > 0 else error.strerror  # asyncio's text would repeat the address
            raise ConfigError(f"can't listen on {host} port {port}: {why}; choose another --port or --host") from error
        own_host, own_port = runner.addresses[0][:2]
        yield f"http://{f'[{own_host}]' if ':' in own_host else own_host}:{own_port}/v1"
    finally:
        await runner.cleanup()


def serve(
    config: RunConfig,
    checkpoint: Path | None,
    *,
    host: str,
    port: int,
    model_name: str,
    key: str | None,
    origins: frozenset[str] = frozenset(),
    words: Policy = "auto",
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        config: Settings of team and models.
        checkpoint: As in `QuestionTeam`.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        model_name: The model name for clients.
        key: The key that clients must send; `None` requires no key.
        origins: As in `ServedTeam`.
        words: As in `ServedTeam`.

    Raises:
        ConfigError: The address or port can't be used.
        EconError: The models are unavailable.
    """
    solver = QuestionTeam(config, checkpoint, known_problems(config))
    solver.prepare()
    solver.print_known()
    asyncio.run(_serve(ServedTeam(solver, model_name, key, origins, words), host, port))


def read_key(file: Path | None) -> str | None:
    """The key that clients must send, from a file or else the environment; `None` if there is none.

    Raises:
        ConfigError: The file can't be read or is empty.
    """
    if file is None:
        return os.environ.get(KEY_VARIABLE, "").strip() or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"key file {file} can't be read: {reason}") from error
    if not key:
        raise ConfigError(f"key file {file} is empty; write the key into it")
    return key


async def _serve(team: ServedTeam, host: str, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with listening(team, host, port) as url:
        asks = "key required" if team.key else "no key required"
        line = f"serving  {url}, model {team.name}, {asks}; press Ctrl-C to stop"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
        if team.key is None and not _loopback(host):
            console.print(f"warning: anyone who can connect to {host} can use it; set {KEY_VARIABLE}", highlight=False)
        await stopped.wait()
    console.print("stopped")


def _loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


class _Api:
    """The request handlers."""

    def __init__(self, team: ServedTeam) -> None:
        self._team = team
        self._started = int(time.time())

    @property
    def guard(self) -> Any:
        """Middleware that checks the key and turns every error into an error response of the protocol."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                if is_preflight(request) and allowed(request, self._team.origins):
                    return web.Response(status=204)  # comes without a key
                if request.path != "/health":
                    self._check_key(request)
                return await handler(request)
            except ApiError as error:
                return _refuse(error)
            except web.HTTPNotFound:
                return _refuse(ApiError(404, f"there is no {request.path[:100]}; there are {PATHS}", "not_found"))
            except web.HTTPMethodNotAllowed as error:
                return _refuse(
                    ApiError(405, f"{request.method} {request.path} is not there; there are {PATHS}", "http_error"),
                    {"Allow": error.headers["Allow"]},
                )
            except web.HTTPException as error:
                return _refuse(ApiError(error.status, error.reason, "http_error"))
            except UnknownQuestionError as error:
                return _refuse(ApiError(400, str(error), "unknown_question"))
            except BudgetError as error:
                return _refuse(ApiError(429, str(error), "insufficient_quota"))
            except EconError as error:
                return _refuse(ApiError(503, str(error), "team_unavailable"))
            except Exception:  # one failed request must not stop the server or show internals to the client
                log.exception("a request failed")
                return _refuse(ApiError(500, "the server failed; see its log for the reason", "internal_error"))

        return guard

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that every response has, also errors and streams."""
        add_headers(request, response, self._team.origins)

    async def health(self, _: web.Request) -> web.Response:
        """Say that the server is there; the models are not asked."""
        return web.json_response({"status": "ok"})

    async def models(self, _: web.Request) -> web.Response:
        """List the only model."""
        return web.json_response({"object": "list", "data": [self._describe()]})

    async def model(self, request: web.Request) -> web.Response:
        """Describe the model by name."""
        self._check_name(request.match_info["name"])
        return web.json_response(self._describe())

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Ask the team, for a chat completion."""
        asked = read_chat(await _body(request))
        told = await self._ask(asked)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": self._team.name}
        if asked.stream:
            return await _stream(request, chunks(head, told, usage=asked.tells_usage))
        return web.json_response(completion(head, told))

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Ask the team, for a response."""
        asked = read_response(await _body(request))
        (told,) = await self._ask(asked)
        head = {"id": f"resp_{uuid.uuid4().hex}", "created_at": int(time.time()), "model": self._team.name}
        if asked.stream:
            return await _stream(request, events(head, asked, told))
        return web.json_response(response(head, asked, told))

    async def _ask(self, asked: Asked) -> tuple[Told, ...]:
        """The team's answers to a request, one per choice, all asked for at once."""
        self._check_name(asked.model)
        check_can_word(asked, self._team.solver.team, self._team.words)
        first = self._team.solver.config.seed if asked.seed is None else asked.seed % 2**31
        seeds = [first if number == 0 else derive_seed(first, "choice", number) for number in range(asked.n)]
        if len(seeds) == 1:
            return (await self._answer(asked, first),)
        return await all_or_none([asyncio.ensure_future(self._answer(asked, seed)) for seed in seeds])

    async def _answer(self, asked: Asked, seed: int) -> Told:
        solver = self._team.solver
        done = await solver.solve(asked.question, seed=seed)
        log.info("%s", line_of(done))
        if done.answer.rounds[-1].failed:
            raise ApiError(502, failure(done.answer), "team_failed")
        return Told(done, await find_words(asked, done, solver.team, self._team.words, seed))

    def _describe(self) -> dict[str, Any]:
        return {"id": self._team.name, "object": "model", "created": self._started, "owned_by": "econ"}

    def _check_key(self, request: web.Request) -> None:
        if self._team.key is None:
            return
        kind, _, sent = request.headers.get("Authorization", "").partition(" ")
        raw = sent.strip().encode(errors="surrogateescape")  # headers are bytes and may not be valid text
        if kind.lower() != "bearer" or not hmac.compare_digest(raw, self._team.key.encode()):
            raise ApiError(401, "wrong or missing key: send it as Authorization: Bearer KEY", "invalid_api_key")

    def _check_name(self, name: str) -> None:
        if name != self._team.name:
            raise ApiError(404, f"there is no model {name!r}, only {self._team.name!r}", "model_not_found", "model")


async def _body(request: web.Request) -> Any:
    if request.content_type != "application/json":  # also blocks forms sent by other web pages
        raise ApiError(400, "send the header Content-Type: application/json", "invalid_content_type")
    return read_json(await request.read())


async def _stream(request: web.Request, parts: Iterable[bytes]) -> web.StreamResponse:
    streamed = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await streamed.prepare(request)
    for part in parts:
        await streamed.write(part)
    return streamed


def _refuse(error: ApiError, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(error.body(), status=error.status, headers=headers)
