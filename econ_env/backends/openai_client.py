"""The client of every server that speaks the OpenAI protocol: limits, retries, cache and account around one HTTP call.

A call goes: cache, budget, a free slot, requests and tokens per minute, HTTP with a deadline; failures that can heal
are tried again with growing waits, an unusable answer is asked for once more. Everything runs on the background loop.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from econ_env import background
from econ_env.backends.line import Line, Server, line_to
from econ_env.backends.wire import UnusableError, most_prompt_tokens
from econ_env.cache import request_key
from econ_env.config import LLMConfig
from econ_env.errors import BudgetError, LLMError
from econ_env.llm import ChatRequest, Completion, LLMInfo
from econ_env.meter import Meter, Reason, shared_meter
from econ_env.records import Usage


@dataclass
class _Tally:
    """What one call has cost so far."""

    usage: Usage = Usage()
    last_fault: Reason = "server_error"


class OpenAIClient:
    """A language model behind an OpenAI-compatible server; speaks the `LLM` protocol.

    All clients of one server with the same settings share connections, limits and cache within a process, and all
    models with the same settings share one account. Pickled, it leaves those behind and opens its own where it is
    unpickled; keys are read from the environment there.

    Args:
        server: Which server and model.
        config: Deadlines, retries, limits, cache, budget.
    """

    def __init__(self, server: Server, config: LLMConfig) -> None:
        self.server = server
        self.config = config

    @property
    def info(self) -> LLMInfo:
        """What is known of the model; without a model's name it is empty until the server was asked."""
        line = line_to(self.server, self.config)
        return LLMInfo(
            backend=self.server.backend,
            model=self.server.model or line.found_model,
            where=self.server.where,
            json_mode=self.server.json_mode and "response_format" not in line.refused,
            small=self.server.small,
        )

    @property
    def meter(self) -> Meter:
        """The account of all calls in this process with the same settings."""
        return shared_meter(self.config)

    async def complete(self, request: ChatRequest) -> Completion:
        """Answer one request.

        The seed sent is `(seed + sample_index) mod 2**31`. If what the model wrote can't be used, it is asked once more
        with another seed; if the server's envelope was broken, with the same.

        Raises:
            LLMRequestError: The server refuses such requests: bad key, unknown model, no money.
            LLMContextError: The messages are too long for the model.
            LLMUnavailableError: No answer after all retries.
            LLMReplyError: Twice an answer that can't be used.
            BudgetError: The budget does not suffice for the call.
        """
        return await background.submit(self._complete(request))

    async def aclose(self) -> None:
        """Close the connections, unless another client of this process uses them; may be called twice."""
        await background.submit(line_to(self.server, self.config).leave(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(where={self.server.where!r}, model={self.server.model!r})"

    async def _complete(self, request: ChatRequest) -> Completion:
        line = line_to(self.server, self.config)
        line.join(self)
        tally = _Tally()
        try:
            model = request.model or self.server.model or await line.default_model()
            cache = None if request.bypass_cache else line.cache
            key = request_key(self.server.identity, model, request)
            done = await cache.get(key) if cache is not None else None
            if done is None:
                done = await self._ask(line, request, model, tally)
                if cache is not None:
                    await cache.put(key, done)
        except (LLMError, BudgetError, asyncio.CancelledError) as error:
            self.meter.fail(request, _reason(error, tally), tally.usage)
            if isinstance(error, LLMError):
                error.usage = tally.usage
            raise
        self.meter.add(request, done.usage)
        return done

    async def _ask(self, line: Line, request: ChatRequest, model: str, tally: _Tally) -> Completion:
        """Ask, and once more if the answer can't be used."""
        seed = (request.seed + request.sample_index) % 2**31
        most = (most_prompt_tokens(request), request.max_tokens)
        while True:
            first = tally.usage.calls == 0
            try:
                async with self.meter.hold(*most):
                    done = await self._answer(line, request, model, seed, tally)
                    tally.usage += done.usage
                    self.meter.send(done.usage)
                return replace(done, usage=replace(tally.usage, calls=1))
            except UnusableError:
                ...
