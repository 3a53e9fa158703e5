"""The OpenAI API of responses for a served team: reads requests, and writes answers. Text goes in and out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from pydantic import BaseModel, Field

from econ_env.app.ask.details import Told, details, total_usage
from econ_env.app.ask.request import (
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


class _Text(BaseModel):
    format: FormatBody | None = None


class _Item(BaseModel):
    """An item of the input; its content is read by `turn_of`."""

    type: str = "message"
    role: Any = None
    content: Any = None


class _ResponseBody(Sampling):
    """The fields that are read; all others have no effect."""

    input: str | list[_Item] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    text: _Text | None = None
    include: list[str] | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    background: bool | None = None
    metadata: dict[str, Any] | None = None
    n: int | None = Field(None, ge=1, le=1)


def read_response(values: Any) -> Asked:
    """Read a request for a response.

    Args:
        values: The body, as JSON gives it.

    Raises:
        ApiError: It is wrong, or asks for something that is not supported.
    """
    body = read(_ResponseBody, values, unions=("str", "list[_Item]"))
    body.refuse()
    if body.include and any("logprobs" in name for name in body.include):
        raise unsupported("logprobs", "include")
    for name in ("previous_response_id", "conversation"):
        if values.get(name) is not None:
            raise ApiError(
                400, f"{name} is not supported, since nothing is stored: send the whole conversation as input",
                "unsupported_parameter", name,
            )  # fmt: skip
    if body.prompt is not None:
        raise unsupported("stored prompts", "prompt")
    if body.background:
        raise unsupported("background", "background", one=True)
    turns = [] if not body.instructions else [Turn("system", body.instructions.strip())]
    if body.input is None:
        raise ApiError(400, "input is missing: give a text or a list of messages", "invalid_value", "input")
    if isinstance(body.input, str):
        turns.append(Turn("user", body.input.strip()))
    else:
        turns += [turn for number, item in enumerate(body.input) if (turn := _turn(item, f"input.{number}"))]
    return Asked(
        model=body.model,
        turns=conversation(turns, "input"),
        form=form_of(None if body.text is None else body.text.format, "text.format"),
        seed=body.seed,
        stream=bool(body.stream),
        max_tokens=body.max_output_tokens,
        stop=body.stop or (),
        temperature=body.temperature,
        top_p=body.top_p,
    )


def _turn(item: _Item, where: str) -> Turn | None:
    """A message; `None` for thought, which is not sent on."""
    if item.type == "reasoning":
        return None
    if "call" in item.type or item.type.startswith("mcp_"):
        raise unsupported("tools", f"{where}.type")
    if item.type == "item_reference":
        raise ApiError(
            400, f"{where}: references are not supported, since nothing is stored: send the item itself",
            "unsupported_parameter", f"{where}.type",
        )  # fmt: skip
    if item.type != "message":
        raise ApiError(400, f"{where} must be a message, not {item.type[:40]!r}", "invalid_value", f"{where}.type")
    return turn_of(item.role, item.content, where)


def response(head: Mapping[str, Any], asked: Asked, told: Told) -> dict[str, Any]:
    """The response body for an answer without streaming.

    Args:
        head: `id`, `created_at` and `model`.
        asked: The request, parts of which clients expect to see again.
        told: The answer.
    """
    body = _started(head, asked)
    usage = total_usage([told])
    cut = told.words.finish_reason == "length"
    return {
        **body,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [_message(head, told, "incomplete" if cut else "completed")],
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_prompt_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.thought_tokens},
            "total_tokens": usage.tokens,
        },
        "econ": details(told),
    }


def events(head: Mapping[str, Any], asked: Asked, told: Told) -> Iterator[bytes]:
    """The same answer as server-sent events with types, one line of text per delta.

    Args:
        head: As in `response`.
        asked: As in `response`.
        told: As in `response`.
    """
    numbers = count()

    def event(kind: str, **values: Any) -> bytes:
        body = {"type": kind, "sequence_number": next(numbers), **values}
        return f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode()

    whole = response(head, asked, told)
    message = whole["output"][0]
    (part,) = message["content"]
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    yield event("response.created", response=_started(head, asked))
    yield event("response.in_progress", response=_started(head, asked))
    started = {**message, "status": "in_progress", "content": []}
    yield event("response.output_item.added", output_index=0, item=started)
    yield event("response.content_part.added", **place, part={**part, "text": ""})
    for line in told.words.text.splitlines(keepends=True):
        yield event("response.output_text.delta", **place, delta=line, logprobs=[])
    yield event("response.output_text.done", **place, text=told.words.text, logprobs=[])
    yield event("response.content_part.done", **place, part=part)
    yield event("response.output_item.done", output_index=0, item=message)
    yield event("response.incomplete" if whole["status"] == "incomplete" else "response.completed", response=whole)


def _started(head: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """A response before its answer; fields that have no meaning here have the values that clients expect."""
    form: dict[str, Any] = {"type": asked.form.kind}
    if asked.form.schema is not None:
        form |= {"name": "reply", "schema": dict(asked.form.schema), "strict": True}
    return {
        **head,
        "object": "response",
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": asked.max_tokens,
        "metadata": {},
        "output": [],
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": asked.temperature,
        "text": {"format": form},
        "tool_choice": "none",
        "tools": [],
        "top_p": asked.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _message(head: Mapping[str, Any], told: Told, status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": told.words.text, "annotations": [], "logprobs": []}
    identity = f"msg_{str(head['id']).partition('_')[2]}"
    return {"id": identity, "type": "message", "role": "assistant", "status": status, "content": [part]}
