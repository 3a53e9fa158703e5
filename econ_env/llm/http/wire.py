"""Converts a request to the body of a chat completion, and a server's response to a completion."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from econ_env.answers.json_field import read_json_field
from econ_env.answers.thought import Parted
from econ_env.llm.http.fields import LENGTH_FIELDS, SAMPLER_FIELDS
from econ_env.llm.http.logprobs import read_confidence
from econ_env.llm.http.message import ran_out, read_message
from econ_env.llm.http.secrets import scrub, well_formed
from econ_env.llm.protocol import ChatRequest, Completion
from econ_env.records import Usage

_FILE = re.compile(r"(?i)(?:[/~\\]|\.{1,2}[/\\]|[a-z]:[/\\]|file:)|.*[/\\].*\.gguf$")
_LONGEST_QUOTE = 200
_MOST_BRACES = 50
_LENIENT = json.JSONDecoder(strict=False)


class UnusableError(Exception):
    """A server's response that is not a usable completion.

    Attributes:
        usage: Its cost.
        by_model: Whether the model's own text is unusable, so that another seed may help.
        thinking: Whether the model used up its limit while it thought, so that only a higher limit may help.
    """

    def __init__(self, text: str, usage: Usage, *, by_model: bool, thinking: bool = False) -> None:
        super().__init__(text)
        self.usage = usage
        self.by_model = by_model
        self.thinking = thinking


def request_body(
    request: ChatRequest,
    *,
    model: str,
    seed: int,
    penalty_fields: Collection[str],
    sampler_fields: Collection[str] = (),
    refused: Collection[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of a chat completion.

    Args:
        request: The request to convert.
        model: The model's name at the server.
        seed: Sampling seed.
        penalty_fields: Field names for the repetition penalty at this server.
        sampler_fields: Field names of further samplers at this server; they get the values that turn them off, but for
            `min_p`.
        refused: Optional fields that this server has refused for this model; they are left out, and a refused
            `max_tokens` is sent as `max_completion_tokens`.
        extra: Fields of a user's own.
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
    body |= {name: request.min_p if name == "min_p" else SAMPLER_FIELDS[name] for name in sampler_fields}
    if request.json_schema is not None:
        schema = {"name": "reply", "strict": True, "schema": dict(request.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.logprobs:
        body["logprobs"] = True
    body |= extra or {}
    short, long = LENGTH_FIELDS
    if short in refused:
        body[long] = request.max_tokens
    return {name: value for name, value in body.items() if name not in refused}


def most_prompt_tokens(request: ChatRequest) -> int:
    """Estimated upper bound on the messages' tokens: one per three bytes, 8 per message and 24 per request."""
    return sum(len(message.content.encode("utf-8", "replace")) // 3 + 8 for message in request.messages) + 24


def read_answer(raw: bytes, request: ChatRequest, model: str) -> Completion:
    """A server's answer as a completion, with thought and text apart.

    Args:
        raw: The body of a successful response.
        request: What was asked.
        model: The model that was asked, never empty.

    Raises:
        UnusableError: It is not JSON, has no text but thought, or has no JSON object where one is required.
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
    found = read_message(message) if isinstance(message, dict) else None
    if found is None and not usage.thought_tokens:
        raise UnusableError(f"the server sent no text (finish_reason {finish!r})", usage, by_model=False)
    thought, text = map(well_formed, found or Parted("", ""))
    thinking = ran_out(finish) and bool(thought or usage.thought_tokens)
    if not text.strip():
        what = "only thought" if thought or usage.thought_tokens else "nothing"
        raise UnusableError(
            f"the model wrote {what} (finish_reason {finish!r})", usage, by_model=True, thinking=thinking
        )
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        raise UnusableError("the text is an HTML page", usage, by_model=False)
    if request.require_json and not _holds_json_object(text):
        what = f"no JSON object in the text (finish_reason {finish!r})"
        raise UnusableError(what, usage, by_model=True, thinking=thinking)
    name = payload.get("model")
    return Completion(
        text=text,
        finish_reason=well_formed(finish) if isinstance(finish, str) and finish else "stop",
        model=without_folders(well_formed(name) if isinstance(name, str) and name else model),
        usage=usage,
        thought=thought,
        confidence=read_confidence(choice.get("logprobs"), text, thinks=bool(thought or usage.thought_tokens)),
    )


def read_choices(raw: bytes) -> tuple[int, Usage]:
    """How many choices a server's answer has, and its cost; none if it can't be read."""
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        return 0, Usage()
    if not isinstance(payload, dict) or not isinstance(payload.get("choices"), list):
        return 0, Usage()
    return len(payload["choices"]), _usage(payload.get("usage"))


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


def without_folders(name: str) -> str:
    """A model's name as it is, or the bare name of the file that a server gives instead (llama.cpp, vLLM)."""
    if not _FILE.match(name):
        return name
    return re.split(r"[\\/]", name.rstrip("\\/"))[-1].removesuffix(".gguf") or "model"


def _usage(counts: Any) -> Usage:
    if not isinstance(counts, dict):
        return Usage()
    details = counts.get("prompt_tokens_details")
    prompt, completion = _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))
    parts = counts.get("completion_tokens_details")
    thought = _count(parts.get("reasoning_tokens")) if isinstance(parts, dict) else 0
    thought = thought or _count(counts.get("reasoning_tokens"))
    # xAI and some gateways to Gemini count thought beside the completion, others as a part of it
    if thought > completion or _count(counts.get("total_tokens")) == prompt + completion + thought:
        completion += thought
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_prompt_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else 0,
        thought_tokens=thought,
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
