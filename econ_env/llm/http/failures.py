"""Turns server failures into one-line errors, and separates temporary from permanent ones."""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any

from econ_env.errors import LLMContextError, LLMError, LLMReplyError, LLMRequestError
from econ_env.llm.http.secrets import scrub
from econ_env.llm.http.wire import OPTIONAL_FIELDS
from econ_env.llm.meter import Reason

_LONGEST_MESSAGE = 240
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
_JSON_MODE = re.compile(r"response_format|json|schema|structured|grammar|guided", re.IGNORECASE)
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


class RefusedFieldError(Exception):
    """A server refuses an optional field of the request.

    Attributes:
        field: Its name in the request's body.
    """

    def __init__(self, text: str, field: str) -> None:
        super().__init__(text)
        self.field = field


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
        return RefusedFieldError(line, "logprobs")
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
    if status in (400, 422) and (field := _refused_field(said, sent)) is not None:
        return RefusedFieldError(line, field)
    if status in (400, 404, 422) and _NO_MODEL.search(said):
        return LLMRequestError(f"{line}; the server has no model {sent.get('model')!r}")
    if status == 404:
        return LLMRequestError(f"{line}; nothing is served at this address: the base URL of most servers ends in /v1")
    if _FILTER.search(said):
        return LLMReplyError(f"{line}; the server's filter refused this request")
    return LLMRequestError(line)


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


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: `Retry-After` as seconds or as a date; `None` without a valid one.

    Args:
        headers: Response headers, with lower-case names or a case-insensitive mapping.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _refused_field(said: str, sent: Collection[str]) -> str | None:
    for field in OPTIONAL_FIELDS:
        if field in sent and re.search(rf"\b{field}\b", said):
            return field
    if "response_format" in sent and _JSON_MODE.search(said):
        return "response_format"
    return None


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
