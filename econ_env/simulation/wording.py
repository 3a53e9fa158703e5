"""How the simulated model words a decided answer: it keeps to the forms that clients commonly ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from econ_env.team.wording import DECIDED_HEADING, FORM_HEADING, REQUEST_HEADING, SOLUTION_HEADING

_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]")
_ENDS = "completed"
"""The field that marks the end of such a form; it has no value."""
_LAST_LINE = re.compile(r"ANSWER: \$ANSWER")
_HASHES = re.compile(r"^#### \S+", re.MULTILINE)
_JSON_OBJECT = re.compile(r"JSON object\b.*")
_JSON_FIELD = re.compile(r"`(\w+)`")
_BARE = re.compile(
    r"(?i)\b(?:only|just|nothing but)\s+(?:\w+\s+){0,3}(?:number|letter|answer|value|result|word)\b"
    r"|\b(?:number|letter|answer|value|result|word)\s+(?:only|alone)\b"
)
_DEEPEST = 20


class WordsAsked(NamedTuple):
    """A request for the words of an answer, as read from its message."""

    request: str
    """What the reader asked."""
    answer: str | None
    """The decided answer."""
    solution: str
    """How it was found."""
    form: str
    """The JSON that is asked for, in words; empty for text."""

    @classmethod
    def read(cls, content: str) -> Self:
        """Take the message apart; the request comes first and may hold anything, so headings count from the end."""
        rest, form = _split(content, FORM_HEADING)
        rest, solution = _split(rest, SOLUTION_HEADING)
        request, answer = _split(rest, DECIDED_HEADING)
        return cls(request.removeprefix(REQUEST_HEADING), answer, solution or "", (form or "").strip())


def _split(text: str, heading: str) -> tuple[str, str | None]:
    """The text before the last heading and behind it; `None` if there is no such heading."""
    before, found, after = text.rpartition(heading)
    return (before, after) if found else (text, None)


def worded(asked: WordsAsked, schema: Mapping[str, Any] | None) -> str:
    """The answer in the form that was asked for.

    Args:
        asked: The request.
        schema: Schema of the JSON to write; `None` for text.
    """
    answer = asked.answer if asked.answer is not None else asked.solution
    if schema is not None or asked.form:
        fitting = {"type": "object"} if schema is None else schema
        filled = _filled(fitting, "answer", answer, fitting, 0)
        if filled == {}:
            filled = {"answer": answer}
        return json.dumps(filled, ensure_ascii=False)
    names = _FIELD.findall(_asked_fields(asked.request))
    if names:
        return "\n\n".join(_field(name, asked, answer) for name in dict.fromkeys(names))
    objects = _JSON_OBJECT.findall(asked.request)
    if objects and (fields := _JSON_FIELD.findall(objects[-1])):
        return json.dumps({name: _number(answer, whole=False) for name in fields}, ensure_ascii=False)
    if _LAST_LINE.search(asked.request):
        return f"ANSWER: {answer}"
    if _HASHES.search(asked.request):
        return f"#### {answer}"
    if _BARE.search(asked.request):
        return answer
    return f"The answer is {answer}."


def _asked_fields(request: str) -> str:
    """The sentence that says which fields to write, the last of them; else nothing."""
    found = [line for line in request.splitlines() if "output fields" in line and _FIELD.search(line)]
    return found[-1] if found else ""


def _field(name: str, asked: WordsAsked, answer: str) -> str:
    heading = f"[[ ## {name} ## ]]"
    if name == _ENDS:
        return heading
    return f"{heading}\n{asked.solution.strip() or answer if name == 'reasoning' else answer}"


def _filled(schema: Mapping[str, Any], name: str, answer: str, root: Mapping[str, Any], depth: int) -> Any:
    """A value that fits a schema, with the answer wherever a text or a number is asked for."""
    if depth > _DEEPEST:
        return None
    schema = _followed(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return next((option for option in schema["enum"] if str(option) == answer), schema["enum"][0])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _filled(schema[several][0], name, answer, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        parts = schema.get("properties", {})
        return {key: _filled(part, key, answer, root, depth + 1) for key, part in parts.items()}
    if kind == "array":
        return [_filled(schema.get("items", {}), name, answer, root, depth + 1)]
    if kind in ("integer", "number"):
        return _number(answer, whole=kind == "integer")
    if kind == "boolean":
        return answer.strip(" .").lower() in ("yes", "true")
    return None if kind == "null" else answer


def _followed(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind a reference into the same document."""
    place = schema.get("$ref")
    if not isinstance(place, str) or not place.startswith("#/"):
        return schema
    found: Any = root
    for step in place[2:].split("/"):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _number(answer: str, *, whole: bool) -> int | float | str:
    try:
        value = float(answer.replace(",", ""))
        return int(value) if whole or value.is_integer() else value
    except (ValueError, OverflowError):
        return answer
