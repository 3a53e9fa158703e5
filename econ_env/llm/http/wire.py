"""Converts a request to the body of a chat completion, and a server's response to a completion."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection
from itertools import islice
from typing import Any

from econ_env.answers.json_field import read_json_field
from econ_env.llm.http.secrets import scrub, well_formed
from econ_env.llm.protocol import ChatRequest, Completion
from econ_env.records import Usage

PENALTY_FIELDS = ("repetition_penalty", "repeat_penalty")
"""Field names of the repetition penalty: first for vLLM and Together, second for llama.cpp and Ollama."""

OPTIONAL_FIELDS = (*PENALTY_FIELDS, "response_format", "seed")
"""Fields that are omitted when a server refuses them."""

_LONGEST_QUOTE = 200
_MOST_BRACES = 50
_LENIENT = json.JSONDecoder(strict=False)


class UnusableError(Exception):
    """A server's response that is not a usable completion.

    Attributes:
        usage: Its cost.
        by_model: Whether the model's own text is unusable, so that another seed may help.
    """

    def __init__(self, text: str, usage: Usage, *, by_model: bool) -> None:
        super().__init__(text)
        self.usage = usage
        self.by_model = by_model


def request_body(
    request: ChatRequest, *, model: str, seed: int, penalty_fields: Collection[str], refused: Collection[str]
) -> dict[str, Any]:
    """The body of a chat completion.

    Args:
        request: The request to convert.
        model: The model's name at the server.
        seed: Sampling seed.
        penalty_fields: Field names for the repetition penalty at this server.
        refused: Optional fields that this server has refused before; they are left out.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": well_formed(message.content)} for message in request.messages],
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": seed,
    }
    body |= dict.fromkeys(penalty_fields, request.repetition_penalty)
    if request.json_schema is not None:
        schema = {"name": "reply", "strict": True, "schema": dict(request.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return {name: value for name, value in body.items() if name not in refused}


def most_prompt_tokens(request: ChatRequest) -> int:
    """Estimated upper bound on the messages' tokens: one per three bytes, 8 per message and 24 per request."""
    return sum(len(message.content.encode("utf-8", "replace")) // 3 + 8 for message in request.messages) + 24


def read_answer(raw: bytes, request: ChatRequest, model: str) -> Completion:
    """A server's answer as a completion.

    Args:
        raw: The body of a successful response.
        request: What was asked.
        model: The model that was asked, never empty.

    Raises:
        UnusableError: It is not JSON, has no text, or has no JSON object where one is required.
    """
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        raise UnusableError(_no_json(raw), Usage(), by_model=False) from None
    if not isinstance(payload, dict):
        raise UnusableError(f"the server sent a JSON {type(payload).__name__}, not an object", Usage(), by_model=False)
    usage = _usage(payload.get("usage"))
    choice = _first(payload.get("choices"))
    if choice is None:
        raise UnusableError(f"the server's response has no choices: {_quote(payload)}", usage, by_model=False)
    finish = choice.get("finish_reason")
    message = choice.get("message")
    written = _text(message.get("content")) if isinstance(message, dict) else None
    if written is None:
        raise UnusableError(f"the server sent no text (finish_reason {finish!r})", usage, by_model=False)
    text = well_formed(written)
    if not text.strip():
        raise UnusableError(f"the model wrote nothing (finish_reason {finish!r})", usage, by_model=True)
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        raise UnusableError("the text is an HTML page", usage, by_model=False)
    if request.require_json and not _holds_json_object(text):
        raise UnusableError(f"no JSON object in the text (finish_reason {finish!r})", usage, by_model=True)
    name = payload.get("model")
    return Completion(
        text=text,
        finish_reason=well_formed(finish) if isinstance(finish, str) and finish else "stop",
        model=well_formed(name) if isinstance(name, str) and name else model,
        usage=usage,
    )


def read_models(raw: bytes) -> list[str]:
    """Names of the models that a server lists; empty if the response can't be read."""
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        return []
    rows = payload.get("data") if isinstance(payload, dict) else payload
    if not isinstance(rows, list):
        return []
    return [row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _first(choices: Any) -> dict[str, Any] | None:
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return None


def _text(content: Any) -> str | None:
    """The text of a message; some servers send it as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(part for part in parts if isinstance(part, str)) if parts else None
    return None


def _usage(counts: Any) -> Usage:
    if not isinstance(counts, dict):
        return Usage()
    details = counts.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
        cached_prompt_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else 0,
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _holds_json_object(text: str) -> bool:
    for match in islice(re.finditer(r"\{", text), _MOST_BRACES):
        with contextlib.suppress(ValueError, RecursionError):
            found, _ = _LENIENT.raw_decode(text, match.start())
            if found:
                return True
    return read_json_field(text) is not None


def _no_json(raw: bytes) -> str:
    head = raw[:500].decode("utf-8", "replace").strip()
    if not head:
        return "the server sent nothing"
    if head.lower().startswith(("<!doctype html", "<html")):
        return "the server sent an HTML page"
    return f"the server sent text that is not JSON: {scrub(head)[:60]!r}"


def _quote(payload: Any) -> str:
    return scrub(json.dumps(payload, ensure_ascii=False))[:_LONGEST_QUOTE]
