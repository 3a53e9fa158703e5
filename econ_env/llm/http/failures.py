"""Turns server failures into one-line errors, and separates temporary from permanent ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from econ_env.errors import LLMContextError, LLMError, LLMReplyError, LLMRequestError
from econ_env.llm.http.fields import LENGTH_FIELDS, PENALTY_FIELDS, RefusedFieldError
from econ_env.llm.http.refusals import read_refusal
from econ_env.llm.http.secrets import scrub
from econ_env.llm.http.waits import retry_after
from econ_env.llm.meter import Reason

_LONGEST_MESSAGE = 240
_BOUNDS = {
    "temperature": "change sampling.temperature_min or sampling.temperature_max",
    "top_p": "change sampling.top_p_default, or sampling.p_min and p_max where p sets top_p",
    "min_p": "change sampling.min_p",
    **dict.fromkeys(PENALTY_FIELDS, "change sampling.p_min or sampling.p_max"),
}
"""What to change where a server takes a control, but not this value."""
_CONTEXT = re.compile(
    r"context[ _](length|size|window)|maximum context|exceed_context|prompt is too long|input is too long|"
    r"too many (input )?tokens|max_new_tokens",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model.{0,120}(not.{0,3}found|not exist|unknown|not available|unable|invalid|not supported)|"
    r"(not.{0,3}found|unable to access|unknown|invalid).{0,20}model",
    re.IGNORECASE | re.DOTALL,
)
_CODES = (
    (re.compile(r"rate.?limit|too many requests|quota|throttl", re.IGNORECASE), 429),
    (re.compile(r"api.?key|authenticat|unauthori[sz]ed", re.IGNORECASE), 401),
    (re.compile(r"invalid.?request|bad.?request|context.{0,8}length", re.IGNORECASE), 400),
)
_FILTER = re.compile(r"content.{0,10}(filter|policy|management)|moderation|safety", re.IGNORECASE)
_NO_MONEY = re.compile(
    r"insufficient[_ ](quota|credit|balance|fund)|exceeded your current quota|"
    r"(out of|no|not enough) credits?|credit balance|billing[_ ](hard_limit|not_active)",
    re.IGNORECASE,
)


class TransientError(Exception):
    """An attempt failed, but another attempt may succeed.

    Attributes:
        reason: The kind of failure, for the account.
        retry_after: Seconds that the server asks to wait; `None` if it gave none.
    """

    def __init__(self, text: str, reason: Reason, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.retry_after = retry_after


def status_failure(
    status: int, text: str, headers: Mapping[str, str], *, url: str, key_advice: str, sent: Mapping[str, Any]
) -> LLMError | TransientError | RefusedFieldError:
    """The error that a response with an error status stands for.

    Args:
        status: HTTP status, at least 400.
        text: The response's body.
        headers: Its headers.
        url: The server's base URL without credentials.
        key_advice: What to do when the key is refused.
        sent: The body that was sent; empty for a request for the list of models.
    """
    said = _message(text)
    line = f"{url} answered {status}" + (f": {said}" if said else "")
    if status == 403 and "logprobs" in sent and re.search(r"\blogprobs\b", said):  # OpenAI, for models that think
        return RefusedFieldError(line, ("logprobs",))
    if status in (401, 403):
        return LLMRequestError(f"{line}; {key_advice}")
    if status == 402 or (status == 429 and _NO_MONEY.search(said)):
        return LLMRequestError(f"{line}; your account at the server has no credit left; add some")
    if status in (408, 409, 425, 429) or status >= 500:
        if status >= 500 and _CONTEXT.search(said):
            return LLMContextError(f"{line}; shorten the messages or use a model with a longer context")
        reason: Reason = "rate_limited" if status == 429 else "server_error"
        return TransientError(line, reason, retry_after(headers))
    if status == 413 or _CONTEXT.search(said):
        return LLMContextError(f"{line}; shorten the messages or use a model with a longer context")
    if status in (400, 422) and sent and (refused := _refused(line, text, sent)) is not None:
        return refused
    if status in (400, 404, 422) and _NO_MODEL.search(said):
        return LLMRequestError(f"{line}; the server has no model {sent.get('model')!r}")
    if status == 404:
        return LLMRequestError(f"{line}; nothing is served at this address: the base URL of most servers ends in /v1")
    if _FILTER.search(said):
        return LLMReplyError(f"{line}; the server's filter refused this request")
    if status in (400, 422) and (guessed := read_refusal(text, sent).guessed):
        return RefusedFieldError(line, guessed, guessed=True)
    return LLMRequestError(line)


def hidden_failure(content: bytes) -> tuple[int, str] | None:
    """The status and body of an error that a server sent with a status of success; `None` if it sent none.

    Gateways do so (OpenRouter: https://openrouter.ai/docs/api-reference/errors): once the first byte is sent they can
    no longer change the status, and put an `error` into the response or into its choice.

    Args:
        content: The response's body.
    """
    if b'"error"' not in content:
        return None
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    choices = payload.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    failed = payload.get("object") == "error" or choice.get("finish_reason") == "error"
    error = payload.get("error") or choice.get("error")
    if not error and not failed:
        return None
    if not error:
        error = payload.get("message") or "the server ended its answer with an error"
    return _code(error, payload), json.dumps({"error": error})


def _code(error: Any, payload: Mapping[str, Any]) -> int:
    """The status that an error means; 502 if it names none."""
    parts = [error, payload] if isinstance(error, Mapping) else [payload]
    for part in parts:
        for name in ("code", "status", "status_code"):
            value = part.get(name)
            if isinstance(value, str) and value.isdecimal():
                value = int(value)
            if type(value) is int and 400 <= value < 600:
                return value
    said = json.dumps(error)
    return next((code for pattern, code in _CODES if pattern.search(said)), 502)


def connection_failure(error: BaseException, url: str) -> TransientError:
    """The error for a connection that could not be opened or was lost."""
    root = error
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
    if isinstance(root, ConnectionRefusedError):
        what = "connection refused; is a server running there?"
    else:
        what = scrub(str(root)) or type(root).__name__
    return TransientError(f"no connection to {url}: {what}", "connection")


def _refused(line: str, text: str, sent: Mapping[str, Any]) -> LLMError | RefusedFieldError | None:
    """What a refusal of fields or of a value stands for; `None` if it names none."""
    refusal = read_refusal(text, sent)
    if refusal.fields:
        return RefusedFieldError(line, refusal.fields)
    field = refusal.out_of_range
    if field is None:
        return None
    if field in LENGTH_FIELDS:
        return LLMContextError(f"{line}; the server limits {field}: lower llm.thinking_tokens or env.reply_max_tokens")
    if field in _BOUNDS:
        return LLMRequestError(f"{line}; the server does not take {field} {sent[field]:g}: {_BOUNDS[field]}")
    return RefusedFieldError(line, (field,))  # its value turns it off, so nothing is lost without it


def _message(text: str) -> str:
    """A server's error message as one short line without secrets."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = "an HTML page" if text.lstrip()[:15].lower().startswith(("<!doctype", "<html")) else text
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(key):
            code = found.get("code")
            found = (
                found[key] if not isinstance(code, str) or not isinstance(found[key], str) else f"{found[key]} ({code})"
            )
    said = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    said = scrub(said)
    return said if len(said) <= _LONGEST_MESSAGE else said[: _LONGEST_MESSAGE - 1] + "…"
