"""Runs an OpenAI-compatible HTTP server that fails on purpose, for tests and load measurements.

>>> with FaultyServer(lambda body: "The answer is 4.", faults={"error_500": 0.3}, latency=0.01) as server:
...     llm = make_llm(server.url)

It answers `/v1/chat/completions` and `/v1/models`, runs in its own thread and counts requests and failures; `/seen` has
calls, most in flight, and seconds from the first call to the last answer, and DELETE lets it count anew. From a
shell: `python -m econ_env.testing.faulty_server --latency 0.2 --fault error_500=0.1` prints its address and serves
until its input ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import click
from aiohttp import web

from econ_env.errors import ConfigError, LLMError, LLMRequestError
from econ_env.simulation.model import count_tokens

Fault = Literal[
    "too_many",
    "error_in_200",
    "finish_error",
    "too_many_wait",
    "error_500",
    "error_503",
    "drop",
    "hang",
    "html",
    "empty",
    "null",
    "broken_json",
    "cut_text",
    "drip",
]
"""Ways to fail: 429, an error with code 429 in a response of status 200, the finish reason `error`, 429 with
Retry-After, 500, 503, the connection cut, no answer, an HTML page, empty or null text, an answer cut in the middle, a
text cut in the middle, and an answer sent byte by byte."""

_STATUS: dict[Fault, int] = {"too_many": 429, "too_many_wait": 429, "error_500": 500, "error_503": 503}
_BODIES_KEPT = 20_000
_BACKLOG = 4096


@dataclass
class Seen:
    """Requests and failures of a server so far."""

    requests: Counter[str] = field(default_factory=Counter)
    """Requests by path."""
    faults: Counter[Fault] = field(default_factory=Counter)
    """Failures by kind."""
    in_flight: int = 0
    """Requests being answered now."""
    most_in_flight: int = 0
    """Most requests that were answered at the same time."""
    bodies: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_BODIES_KEPT))
    """Bodies of the requests for chat completions, in order of arrival; the last 20,000."""
    first: float = 0.0
    """When the first request for a chat completion came, in seconds of `time.perf_counter`; 0 before it."""
    last: float = 0.0
    """When the last one was answered."""

    @property
    def calls(self) -> int:
        """Number of requests for chat completions."""
        return self.requests["/v1/chat/completions"]


@dataclass(frozen=True)
class RawAnswer:
    """An answer as a server sends it, for servers that put more than a text into a message."""

    message: Mapping[str, Any]
    """The assistant's message, such as `{"content": None, "reasoning_content": "2 + 2"}`."""
    finish_reason: str = "stop"
    """Why the model stopped."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Token counts that replace or extend those of the server."""
    model: str | None = None
    """The answering model's name; by default that of the request."""
    logprobs: Any = None
    """Log-probabilities of the choice, as a server sends them; left out if `None`."""
    choices: int = 1
    """How many choices with this message it sends."""


def answer_four(body: Mapping[str, Any]) -> str:
    """The answer 4, as JSON if the request asks for it."""
    if "response_format" in body:
        return json.dumps({"reasoning": "I add what is given.", "answer": "4"})
    return "I add what is given. The answer is 4."


class FaultyServer:
    """The server; use it as a context manager, or `start` and `stop` it.

    Args:
        reply: Function from a request's body to the answer's text, or a `RawAnswer`; by default 4, as JSON or text as
            requested. An `LLMRequestError` it raises becomes a 400, any other `LLMError` a 500.
        latency: Seconds from a request to its answer.
        jitter: Most seconds that are added at random.
        faults: Share of the requests that fail in each way; the shares sum up to 1 at most.
        script: Faults of the first requests, in order of arrival, `None` for no fault; after them `faults` applies.
        seed: Seed of the draws; a draw depends on the request's body and on how often it came, not on the time.
        retry_after: Value of the Retry-After header: seconds, or a date.
        retry_header: Name of that header.
        drip_seconds: Seconds that an answer takes if it is sent byte by byte.
        models: What `/v1/models` lists; the first one answers.
        key: The API key that requests must have; `None` for none.
        refuses: Fields of a body that are refused with a 400.
        context: Longest prompt in tokens; `None` for no limit.

    Raises:
        ConfigError: A kind of fault is unknown, or the shares exceed 1.

    Attributes:
        seen: Requests and failures so far.
    """

    def __init__(
        self,
        reply: Callable[[Mapping[str, Any]], str | RawAnswer] = answer_four,
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        faults: Mapping[Fault, float] | None = None,
        script: Sequence[Fault | None] = (),
        seed: int = 0,
        retry_after: str = "0",
        retry_header: str = "Retry-After",
        drip_seconds: float = 60.0,
        models: Sequence[str] = ("test-model",),
        key: str | None = None,
        refuses: Collection[str] = (),
        context: int | None = None,
    ) -> None:
        self._reply = reply
        self._latency = latency
        self._jitter = jitter
        self._faults = dict(faults or {})
        self._script = deque(script)
        self._seed = seed
        self._retry_after = retry_after
        self._retry_header = retry_header
        self._drip_seconds = drip_seconds
        self._models = tuple(models)
        self._key = key
        self._refuses = tuple(refuses)
        self._context = context
        unknown = {*self._faults, *(kind for kind in script if kind is not None)} - set(get_args(Fault))
        if unknown or sum(self._faults.values()) > 1.0 + 1e-9 or any(share < 0 for share in self._faults.values()):
            raise ConfigError(f"faults must be shares that sum up to 1 at most, of: {', '.join(get_args(Fault))}")
        self.seen = Seen()
        self._times_seen: Counter[bytes] = Counter()  # by digest
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.ServerRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Base URL, `http://127.0.0.1:PORT/v1`; the port is a free one, and stays the same after a restart."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Start serving; after `stop` on the same port again."""
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="faulty-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), loop).result()

    def stop(self) -> None:
        """Cut all connections and stop serving; may be called twice."""
        if self._loop is None or self._thread is None or self._runner is None:
            return
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._runner = None

    def __enter__(self) -> FaultyServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=_BACKLOG, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.requests[request.path] += 1
        if request.path == "/seen":
            seen = self.seen
            if request.method == "DELETE":
                self.seen = Seen()
            counts = {"calls": seen.calls, "most_in_flight": seen.most_in_flight, "seconds": seen.last - seen.first}
            return web.json_response(counts)
        if self._key is not None and request.headers.get("Authorization") != f"Bearer {self._key}":
            sent = request.headers.get("Authorization", "")
            return _error(401, f"Incorrect API key provided: {sent.removeprefix('Bearer ')}")
        if request.path == "/v1/models":
            rows = [{"id": name, "object": "model", "created": 0, "owned_by": "test"} for name in self._models]
            return web.json_response({"object": "list", "data": rows})
        if request.path != "/v1/chat/completions" or request.method != "POST":
            return _error(404, f"there is no {request.path}")
        seen = self.seen
        seen.first = seen.first or time.perf_counter()
        seen.in_flight += 1
        seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
        try:
            return await self._complete(request, await request.read(), time.perf_counter())
        finally:
            seen.in_flight -= 1
            seen.last = time.perf_counter()

    async def _complete(self, request: web.BaseRequest, raw: bytes, came: float) -> web.StreamResponse:
        body = json.loads(raw)
        self.seen.bodies.append(body)
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        self._times_seen[digest] += 1
        times = self._times_seen[digest]
        if self._script:
            fault = self._script.popleft()
        else:
            fault = self._drawn_fault(_draw(self._seed, "fault", times, digest)) if self._faults else None
        delay = self._latency
        if self._jitter:
            delay += self._jitter * _draw(self._seed, "jitter", times, digest)
        # The answer is made first: the latency is all that a request waits, whatever making the answer takes.
        refusal = self._refusal(body)
        answer = self._answer(body, self._text(body)) if refusal is None and fault is None else refusal
        rest = came + delay - time.perf_counter()
        if rest > 0:
            await asyncio.sleep(rest)
        if fault is not None:
            self.seen.faults[fault] += 1
        if answer is not None:
            return answer
        assert fault is not None
        return await self._fail(request, body, fault)

    async def _fail(self, request: web.BaseRequest, body: dict[str, Any], fault: Fault) -> web.StreamResponse:
        if fault in _STATUS:
            headers = {self._retry_header: self._retry_after} if fault == "too_many_wait" else None
            return _error(_STATUS[fault], f"failed on purpose: {fault}", headers)
        if fault == "drop":
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "html":
            return web.Response(text="<!DOCTYPE html><html><body>Bad gateway</body></html>", content_type="text/html")
        if fault == "error_in_200":
            return web.json_response({"error": {"message": f"failed on purpose: {fault}", "code": 429}})
        if fault == "finish_error":
            return self._raw(body, RawAnswer({"content": "I add wh"}, finish_reason="error"))
        if fault in ("empty", "null"):
            return self._answer(body, "" if fault == "empty" else None)
        text = self._text(body)
        if not isinstance(text, str):
            return text
        if fault == "cut_text":
            return self._answer(body, text[: len(text) // 2])
        whole = self._answer(body, text).body
        assert isinstance(whole, bytes)
        if fault == "broken_json":
            return web.Response(body=whole[: len(whole) // 2], content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
        await response.prepare(request)
        for byte in whole:
            await response.write(bytes([byte]))
            await asyncio.sleep(self._drip_seconds / len(whole))
        return response

    def _text(self, body: Mapping[str, Any]) -> str | web.Response:
        try:
            said = self._reply(body)
            return self._raw(body, said) if isinstance(said, RawAnswer) else said
        except LLMRequestError as error:
            return _error(400, str(error))
        except LLMError as error:
            return _error(500, str(error))

    def _refusal(self, body: Mapping[str, Any]) -> web.Response | None:
        for name in self._refuses:
            if name in body:
                return _error(400, f"Unrecognized request argument supplied: {name}")
        if body.get("model") not in self._models:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        tokens = _prompt_tokens(body)
        if self._context is not None and tokens > self._context:
            return _error(400, f"This model's maximum context length is {self._context} tokens, got {tokens}")
        return None

    def _drawn_fault(self, draw: float) -> Fault | None:
        for fault, share in self._faults.items():
            if draw < share:
                return fault
            draw -= share
        return None

    def _answer(self, body: Mapping[str, Any], text: str | web.Response | None) -> web.Response:
        if isinstance(text, web.Response):
            return text
        return self._raw(body, RawAnswer({"content": text}))

    def _raw(self, body: Mapping[str, Any], raw: RawAnswer) -> web.Response:
        texts = [part for part in raw.message.values() if isinstance(part, str)]
        prompt, completion = _prompt_tokens(body), sum(map(count_tokens, texts))
        counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        message = {"role": "assistant", **raw.message}
        choice = {"index": 0, "message": message, "finish_reason": raw.finish_reason}
        if raw.logprobs is not None:
            choice["logprobs"] = raw.logprobs
        return web.json_response(
            {
                "id": "chatcmpl-test",
                "object": "chat.completion",
                "created": 0,
                "model": raw.model or body["model"],
                "choices": [{**choice, "index": index} for index in range(raw.choices)],
                "usage": {**counts, **raw.usage},
            }
        )


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    return sum(count_tokens(message["content"]) for message in body["messages"])


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "test"}}, status=status, headers=headers)


def _draw(seed: int, what: str, time: int, request: bytes) -> float:
    """A number in [0, 1) that depends on nothing but the arguments."""
    return random.Random(f"{seed} {what} {time} {request.hex()}").random()


def _shares(context: click.Context, option: click.Parameter, given: Sequence[str]) -> dict[str, float]:
    shares = {}
    for text in given:
        kind, _, share = text.partition("=")
        try:
            shares[kind] = float(share)
        except ValueError:
            raise click.BadParameter(f"write KIND=SHARE, for example error_500=0.1, not {text!r}") from None
    return shares


@click.command()
@click.option("--latency", default=0.0, show_default=True, help="Seconds that every answer takes.")
@click.option("--jitter", default=0.0, show_default=True, help="Most seconds that are added at random.")
@click.option("--fault", "faults", multiple=True, callback=_shares, help="KIND=SHARE: fault and share of requests.")
@click.option("--seed", default=0, show_default=True, help="Decides which requests fail.")
def main(latency: float, jitter: float, faults: dict[Fault, float], seed: int) -> None:
    """Serve the answer 4 to every request, print the base URL, and end when the input ends."""
    try:
        server = FaultyServer(latency=latency, jitter=jitter, faults=faults, seed=seed)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    with server:
        click.echo(server.url)
        sys.stdin.read()


if __name__ == "__main__":
    main()
