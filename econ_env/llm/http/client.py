"""The client for every server with an OpenAI-compatible API: adds cache, budget and account to each HTTP call.

A request passes the cache, the budget, a free slot and the limits per minute, and is then sent with a deadline.
Temporary failures are retried with growing waits; an unusable answer is requested once more. Everything runs on
the background loop, from any thread or event loop of the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from econ_env.config import LLMConfig
from econ_env.errors import BudgetError, LLMContextError, LLMError, LLMReplyError, LLMUnavailableError
from econ_env.llm import background
from econ_env.llm.cache import request_key
from econ_env.llm.http.account import CallAccount, count_failure
from econ_env.llm.http.deadline import Deadline
from econ_env.llm.http.message import ran_out
from econ_env.llm.http.pool import ServerPool, server_pool
from econ_env.llm.http.server import Server
from econ_env.llm.http.wire import (
    UnusableError,
    most_prompt_tokens,
    read_answer,
    read_choices,
    request_body,
    without_folders,
)
from econ_env.llm.meter import Meter, shared_meter
from econ_env.llm.protocol import ChatRequest, Completion, LLMInfo
from econ_env.llm.seeding import derive_seed


class OpenAIClient:
    """A language model behind an OpenAI-compatible server; speaks the `LLM` protocol.

    All clients of one server with the same settings share connections, limits and cache within a process, and all
    models with the same settings share one account. None of this is pickled: a client opens its own connections in the
    process that unpickles it, and reads keys from the environment there.

    Args:
        server: Which server and model.
        config: Deadlines, retries, limits, cache, budget.
    """

    def __init__(self, server: Server, config: LLMConfig) -> None:
        self.server = server
        self.config = config
        self._found: ServerPool | None = None
        self._found_in = 0
        self._told: LLMInfo | None = None

    @property
    def _pool(self) -> ServerPool:
        """The pool of this process, looked up once: its key takes time to hash."""
        if self._found is None or self._found_in != background.forks():
            self._found, self._found_in = server_pool(self.server, self.config), background.forks()
        return self._found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_found": None}

    @property
    def info(self) -> LLMInfo:
        """Facts about the model; if no name was given, the name is empty until the server was asked."""
        pool = self._pool
        asked = self.server.model or pool.found_model
        model, refused = without_folders(asked), pool.refused(asked)
        json_mode, logprobs = "response_format" not in refused, "logprobs" not in refused
        told = self._told
        if told is None or (told.model, told.json_mode, told.logprobs) != (model, json_mode, logprobs):
            told = self._told = LLMInfo(
                backend=self.server.backend,
                model=model,
                where=self.server.where,
                json_mode=json_mode,
                small=self.server.small,
                keeps_deadline=True,
                logprobs=logprobs,
            )
        return told  # each call reads it several times

    @property
    def meter(self) -> Meter:
        """The account of all calls in this process with the same settings."""
        return shared_meter(self.config)

    async def complete(self, request: ChatRequest) -> Completion:
        """Answer one request.

        The seed sent is `(seed + sample_index) mod 2**31`. If the model's text is unusable, the request is sent once
        more with another seed; if the server's response is malformed, with the same seed. If the model used up its
        limit while it thought, see `llm.thinking_tokens`.

        Raises:
            LLMRequestError: The server refuses such requests: bad key, unknown model, no credit.
            LLMContextError: The messages are too long for the model.
            LLMUnavailableError: No answer after all retries.
            LLMReplyError: The answer was unusable twice.
            LLMLimitedError: The server asks to wait longer than the call may take.
            ConfigError: An environment variable that the settings name is not set.
            BudgetError: The remaining budget is too small for the call.
        """
        return await background.submit(self._complete(request))

    @property
    def refused_fields(self) -> frozenset[str]:
        """Fields of a request that the server was seen to refuse for this model."""
        return self._pool.refused(self.server.model or self._pool.found_model)

    @property
    def dead_controls(self) -> frozenset[str]:
        """Controls that have no effect because the server refuses them."""
        return self._pool.dead(self.server.model or self._pool.found_model)

    async def model_name(self) -> str:
        """The model's name; the server is asked for it if none was given.

        Raises:
            LLMRequestError: The server has no model or several.
            LLMUnavailableError: It does not answer.
        """
        if self.server.model:
            return self.server.model
        return await background.submit(self._pool.default_model(CallAccount(Deadline(self.config.round_timeout))))

    async def count_choices(self, request: ChatRequest, n: int) -> int:
        """How many choices come back where `n` are asked for in one call.

        Raises:
            LLMError: As `complete`.
        """
        return await background.submit(self._count_choices(request, n))

    async def kept_note(self, key: str) -> str | None:
        """A text that `keep_note` kept in the cache; `None` if there is none or the cache is off."""
        cache = self._pool.cache
        return None if cache is None else await background.submit(cache.get_note(key))

    async def keep_note(self, key: str, text: str) -> None:
        """Keep a text in the cache, if it is on."""
        cache = self._pool.cache
        if cache is not None:
            await background.submit(cache.put_note(key, text))

    async def prepare(self) -> None:
        """Load all packages that the first call needs, and read the key; no server is contacted or started.

        Raises:
            LLMRequestError: The key can't be sent.
            ConfigError: An environment variable that `llm.extra_body` or `llm.extra_headers` names is not set.
        """
        await background.submit(self._pool.prepare(self))

    async def reach(self) -> None:
        """Check that the server answers, by asking for its list of models; any response counts.

        Raises:
            LLMUnavailableError: No answer after all retries.
        """
        await background.submit(self._pool.reach())

    async def aclose(self) -> None:
        """Close the connections unless another client of this process uses them; safe to call twice."""
        await background.submit(self._pool.leave(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(where={self.server.where!r}, model={self.server.model!r})"

    async def _complete(self, request: ChatRequest) -> Completion:
        pool = self._pool
        pool.join(self)
        tally = CallAccount(Deadline(self.config.round_timeout))
        try:
            model = await self._model(pool, request, tally)
            async with tally.deadline:
                done = await self._look_up_or_ask(pool, request, model, tally)
        except TimeoutError:
            tally.fault = "timeout"
            late = LLMUnavailableError(f"{self.server.where}: no usable answer within {self.config.round_timeout:g} s")
            count_failure(pool.meter, request, late, tally)
            raise late from None
        except (LLMError, BudgetError, asyncio.CancelledError) as error:
            count_failure(pool.meter, request, error, tally)
            raise
        pool.meter.add(request, done.usage)
        return done

    async def _model(self, pool: ServerPool, request: ChatRequest, tally: CallAccount) -> str:
        """The name to send: the request's, unless it is this client's own, for which the server may have a path."""
        if request.model and request.model != self.info.model:
            return request.model
        return self.server.model or await pool.default_model(tally)

    async def _look_up_or_ask(
        self, pool: ServerPool, request: ChatRequest, model: str, tally: CallAccount
    ) -> Completion:
        if pool.cache is None or request.bypass_cache:
            return await self._ask(pool, request, model, tally)
        extra, _ = pool.extra(request.role, request.agent)
        key = request_key(self.server.identity, model, request, self.config.thinking_tokens, extra)
        async with pool.turn(key):
            kept = await pool.cache.get(key)
            if kept is not None:
                return kept
            done = await self._ask(pool, request, model, tally)
            tally.deadline.pause()  # the answer is here and paid for: a timeout must not discard it
            await pool.cache.put(key, done)
        return done

    async def _ask(self, pool: ServerPool, request: ChatRequest, model: str, tally: CallAccount) -> Completion:
        """Send the request, and once more if the answer is unusable."""
        seed = (request.seed + request.sample_index) % 2**31
        try:
            return await self._ask_once(pool, request, model, seed, tally)
        except UnusableError as error:
            if error.by_model:
                seed = derive_seed("again", request.seed, request.sample_index)
        try:
            return await self._ask_once(pool, request, model, seed, tally)
        except UnusableError as error:
            raise LLMReplyError(f"{self.server.where}: {error}, also when asked again") from None

    async def _ask_once(
        self, pool: ServerPool, request: ChatRequest, model: str, seed: int, tally: CallAccount
    ) -> Completion:
        """Send the request with the tokens that the model may think, and again if they were raised because of it.

        Raises:
            UnusableError: The answer is unusable.
            LLMReplyError: The limit was used up by thought.
        """
        limits, room = pool.thinking, pool.thinking.of(model)
        try:
            done = await self._send(pool, request, model, seed, room, tally)
            if not (done.thought and ran_out(done.finish_reason) and limits.raise_for(model, room, self.server.where)):
                return done
        except UnusableError as error:
            if not error.thinking:
                raise
            if not limits.raise_for(model, room, self.server.where):
                raise self._thought_too_long(request, room) from None
        try:
            return await self._send(pool, request, model, seed, limits.of(model), tally)
        except UnusableError as error:
            if error.thinking:
                raise self._thought_too_long(request, limits.of(model)) from None
            raise

    def _thought_too_long(self, request: ChatRequest, room: int) -> LLMReplyError:
        return LLMReplyError(
            f"{self.server.where}: the model used up its limit of {request.max_tokens} + {room} tokens while it "
            f"thought; raise llm.thinking_tokens (now {room})"
        )

    async def _send(
        self, pool: ServerPool, request: ChatRequest, model: str, seed: int, room: int, tally: CallAccount
    ) -> Completion:
        """Send the request with `room` more tokens for thought, fewer if they do not fit into the model's context."""
        while True:
            longer = replace(request, max_tokens=request.max_tokens + room) if room else request
            try:
                done = await self._send_once(pool, longer, model, seed, tally)
            except LLMContextError as error:
                smaller = pool.thinking.smaller(room)
                if smaller is None and room:
                    raise LLMContextError(f"{error}, or lower llm.thinking_tokens ({room})") from None
                if smaller is None:
                    raise
                room = smaller
            else:
                pool.thinking.accepted(model, room)
                return done

    async def _send_once(
        self, pool: ServerPool, request: ChatRequest, model: str, seed: int, tally: CallAccount
    ) -> Completion:
        prompt_tokens = most_prompt_tokens(request)
        _, extra = pool.extra(request.role, request.agent)
        async with pool.meter.hold(prompt_tokens, request.max_tokens):
            raw, where = await pool.post(
                lambda refused: self._body(request, model, seed, refused),
                model,
                prompt_tokens + request.max_tokens,
                tally,
                extra.headers,
            )
            try:
                answer = read_answer(raw, request, model)
            except UnusableError as error:
                tally.usage += error.usage
                tally.fault = "unusable"
                pool.meter.fault("unusable", where)
                pool.meter.send(error.usage, where)
                raise
            tally.usage += answer.usage
            pool.meter.send(answer.usage, where)
            pool.meter.check_counted(answer.usage, where)
        return replace(answer, usage=tally.total(calls=1))

    async def _count_choices(self, request: ChatRequest, n: int) -> int:
        pool = self._pool
        tally = CallAccount(Deadline(self.config.round_timeout))
        model = await self._model(pool, request, tally)
        longer = replace(request, max_tokens=request.max_tokens + pool.thinking.of(model))
        _, extra = pool.extra(request.role, request.agent)
        prompt, most = most_prompt_tokens(request), n * longer.max_tokens
        try:
            async with tally.deadline, pool.meter.hold(prompt, most):
                raw, where = await pool.post(
                    lambda refused: {**self._body(longer, model, request.seed, refused), "n": n},
                    model,
                    prompt + most,
                    tally,
                    extra.headers,
                )
        except TimeoutError:
            late = f"{self.server.where}: no answer within {self.config.round_timeout:g} s"
            raise LLMUnavailableError(late) from None
        count, usage = read_choices(raw)
        pool.meter.send(usage, where)
        pool.meter.add(request, replace(usage, calls=1))
        return count

    def _body(self, request: ChatRequest, model: str, seed: int, refused: Collection[str]) -> dict[str, Any]:
        _, extra = self._pool.extra(request.role, request.agent)
        return request_body(
            request,
            model=model,
            seed=seed,
            penalty_fields=self.server.penalty_fields,
            sampler_fields=self.server.sampler_fields,
            refused=refused,
            extra=extra.body,
        )
