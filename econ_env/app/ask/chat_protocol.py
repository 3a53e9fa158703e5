"""The OpenAI API of chat completions for a served team: reads requests, and writes answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from econ_env.app.ask.details import Told, details, total_usage
from econ_env.app.ask.request import (
    MOST_CHOICES,
    ApiError,
    Asked,
    FormatBody,
    Sampling,
    Turn,
    conversation,
    form_of,
    read,
    turn_of,
    unsupported,
)


class _StreamOptions(BaseModel):
    include_usage: bool | None = None


class _Message(BaseModel):
    """A message; its content is read by `turn_of`."""

    role: Any = None
    content: Any = None
    tool_calls: list[Any] | None = None
    function_call: Any = None


class _ChatBody(Sampling):
    """The fields that are read; all others have no effect."""

    messages: list[_Message] = Field(min_length=1)
    stream_options: _StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    functions: list[Any] | None = None
    function_call: Any = None
    logprobs: bool | None = None
    response_format: FormatBody | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None


def read_chat(values: Any) -> Asked:
    """Read a request for a chat completion.

    Args:
        values: The body, as JSON gives it.

    Raises:
        ApiError: It is wrong, or asks for something that is not supported.
    """
    body = read(_ChatBody, values)
    body.refuse()
    if body.functions:
        raise unsupported("tools", "functions")
    if body.function_call not in (None, "none", "auto"):
        raise unsupported("tools", "function_call")
    if body.logprobs:
        raise unsupported("logprobs", "logprobs")
    if body.audio or "audio" in (body.modalities or ()):
        raise unsupported("audio", "audio" if body.audio else "modalities", one=True)
    if body.web_search_options is not None:
        raise unsupported("web search", "web_search_options", one=True)
    turns = [_turn(message, f"messages.{number}") for number, message in enumerate(body.messages)]
    return Asked(
        model=body.model,
        turns=conversation(turns, "messages"),
        form=form_of(body.response_format, "response_format"),
        seed=body.seed,
        n=body.n or 1,
        stream=bool(body.stream),
        tells_usage=body.stream_options is not None and bool(body.stream_options.include_usage),
        max_tokens=body.max_completion_tokens or body.max_tokens,
        stop=body.stop or (),
        temperature=body.temperature,
        top_p=body.top_p,
    )


def _turn(message: _Message, where: str) -> Turn:
    if message.tool_calls:
        raise unsupported("tools", f"{where}.tool_calls")
    if message.function_call:
        raise unsupported("tools", f"{where}.function_call")
    if message.content is None and message.role != "assistant":
        turn_of(message.role, "", where)  # a wrong role is the better message
        raise ApiError(400, f"{where}.content is missing", "invalid_value", f"{where}.content")
    return turn_of(message.role, message.content, where)


def completion(head: dict[str, Any], told: Sequence[Told]) -> dict[str, Any]:
    """The response body for answers without streaming.

    Args:
        head: `id`, `created` and `model`.
        told: The answers, one per choice.
    """
    choices = [
        {
            "index": number,
            "message": {"role": "assistant", "content": one.words.text, "refusal": None},
            "finish_reason": one.words.finish_reason,
            "logprobs": None,
        }
        for number, one in enumerate(told)
    ]
    body = {**head, "object": "chat.completion", "choices": choices, "usage": _usage(told)}
    found = [details(one) for one in told]
    return {**body, "econ": found[0] if len(found) == 1 else {"choices": found}}


def chunks(head: dict[str, Any], told: Sequence[Told], *, usage: bool) -> Iterator[bytes]:
    """The same answers as server-sent events, one line of text per event.

    Args:
        head: As in `completion`.
        told: As in `completion`.
        usage: Whether the last event has the token counts.
    """

    def event(**part: Any) -> bytes:
        return f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **part})}\n\n".encode()

    def choice(number: int, delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": number, "delta": delta, "finish_reason": finish, "logprobs": None}]

    for number, one in enumerate(told):
        yield event(choices=choice(number, {"role": "assistant", "content": ""}))
        for line in one.words.text.splitlines(keepends=True):
            yield event(choices=choice(number, {"content": line}))
        yield event(choices=choice(number, {}, one.words.finish_reason), econ=details(one))
    if usage:
        yield event(choices=[], usage=_usage(told))
    yield b"data: [DONE]\n\n"


def _usage(told: Sequence[Told]) -> dict[str, Any]:
    usage = total_usage(told)
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_prompt_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.thought_tokens},
    }
