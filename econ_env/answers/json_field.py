"""Reads the `answer` field of a JSON reply, even if the JSON is in a code fence, inside prose, or slightly broken."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple


class JsonField(NamedTuple):
    """The answer field of a reply."""

    text: str
    """Its value as text; empty for null."""
    whole: bool
    """Whether the reply as a whole, or its one code fence, is a valid JSON object."""
    cut: bool = False
    """Whether the reply ends inside the field; then its text is empty."""


_FENCE = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL | re.IGNORECASE)
_KEY = re.compile(r"""["'“]?(?i:(?:final[ _]?)?answer)["'”]\s*:\s*""")
_STRING = {
    '"': re.compile(r'((?:[^"\\]|\\.|"(?!\s*(?:[,}\]]|$)))*)"', re.DOTALL),
    "'": re.compile(r"((?:[^'\\]|\\.|'(?!\s*(?:[,}\]]|$)))*)'", re.DOTALL),
    "“": re.compile(r"([^”]*)”"),
}
_BARE = re.compile(r"""[^\n}]*?(?=,\s*["'}\n]|\}|\n|$)""")
# "\frac" is valid JSON for a form feed and "rac": such control characters show that backslashes were not doubled
_SWALLOWED = re.compile(r"[\f\x08\t\r\v](?=[a-z])|\n(?=(?:eq?|u|abla|mid|ot|i)(?![a-zA-Z]))")
_LATEX_COMMAND = re.compile(r"(?<!\\)\\(?:[a-zA-Z]{2,}|[()\[\]{}%$,;!])")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_OBJECT = re.compile(r"""(?:```(?:json)?\s*)?\{\s*["'“]\w+["'”]\s*:""")
_MAX_VALUE = 4_000
_MAX_FIELDS = 20


def read_json_field(reply: str) -> JsonField | None:
    """Find the answer field; of several, the last that is not empty.

    Args:
        reply: A whole reply.

    Returns:
        The field, or `None` if the reply has no such field.
    """
    if "nswer" not in reply and "NSWER" not in reply:
        return None
    body = reply.strip()
    if fence := _FENCE.fullmatch(body):
        body = fence[1]
    found = None
    if body.startswith("{") and body.endswith("}"):
        found = _from_object(body)
        if found is not None and not _SWALLOWED.search(found.text):
            return found
    places = [match.end() for match in _KEY.finditer(reply)][-_MAX_FIELDS:]
    texts = [_value_at(reply, place) for place in places]
    if not texts:
        return None
    cut = _is_cut(reply[places[-1] : places[-1] + _MAX_VALUE])
    if cut:
        texts[-1] = ""
    whole = found is not None  # then only its backslashes had to be read again
    text = next((text for text in reversed(texts) if text), "")
    return JsonField(text, whole, cut=cut and not text)


def ends_inside_object(reply: str) -> bool:
    """Whether a reply is a JSON object that ends in the middle of a sentence.

    Args:
        reply: A whole reply.
    """
    body = reply.strip()
    if not _OBJECT.match(body) or body.count("{") <= body.count("}"):
        return False
    return not body.rstrip(" \n,\"'”").endswith((".", "!", "?"))


def _from_object(body: str) -> JsonField | None:
    try:
        loaded = json.loads(body)
    except (ValueError, RecursionError):  # not JSON, or nested too deeply
        return None
    if not isinstance(loaded, dict) or "answer" not in loaded:
        return None
    return JsonField(_as_text(loaded["answer"]), whole=True)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip(" ")  # a tab or form feed may be the start of a LaTeX command
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(_as_text(item) for item in value)
    return json.dumps(value)


def _value_at(reply: str, place: int) -> str:
    """The value that begins here; missing commas, braces or backslashes are tolerated."""
    rest = reply[place : place + _MAX_VALUE]
    pattern = _STRING.get(rest[:1])
    if pattern is not None:
        match = pattern.match(rest, 1)
        raw = match[1] if match else rest[1:].split("\n")[0].rstrip(" }`")
        return _unescape(raw).strip()
    if rest.startswith("["):
        try:
            value, _ = json.JSONDecoder().raw_decode(rest)
        except (ValueError, RecursionError):
            return rest.split("\n")[0].strip()
        return _as_text(value)
    match = _BARE.match(rest)
    text = match[0].strip() if match else ""
    return "" if text in ("null", "None") else text


def _is_cut(rest: str) -> bool:
    """Whether the reply ends inside the value that begins here. A bare number at the very end is complete."""
    if not rest.strip():
        return True
    if rest.startswith("["):
        return not re.search(r"[])}]", rest)
    pattern = _STRING.get(rest[:1])
    if pattern is None or "\n" in rest or len(rest) == _MAX_VALUE or pattern.match(rest, 1):
        return False
    return rest.count("}") <= rest.count("{")  # else only the closing quote is missing


def _unescape(raw: str) -> str:
    """The text of a JSON string; if its LaTeX backslashes are not doubled, they stay as they are."""
    raw = _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), raw.replace('\\"', '"'))
    raw = re.sub(r"(?<!\\)\\n(?![a-zA-Z])", "\n", raw)
    return raw if _LATEX_COMMAND.search(raw) else raw.replace("\\\\", "\\")
