"""The text that a reader gets, in the form that the reader asks for, once a team has decided its answer.

A team decides by its answers. Where a request asks for a form of its own (JSON, named fields, the number alone), a
model writes the decided answer in that form, and `carries` checks that the text still says it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from econ_env.answers import AnswerRule
from econ_env.llm.protocol import Message

WORDING_VERSION = "econ-wording-v1"

REQUEST_HEADING = "Request:\n"
DECIDED_HEADING = "\n\nThe team's answer: "
SOLUTION_HEADING = "\n\nThe team's solution: "
FORM_HEADING = "\n\nForm of the reply: "

_SYSTEM = (
    "You write the reply to a request that a team has already answered. State the team's answer and do not change it. "
    "Keep to the form that the request asks for, to the letter, and add nothing to it. If it asks for no form, write "
    "one short sentence. Write the reply alone."
)
_AGAIN = "Your last reply was not usable: {why}. Write it again."
_LONGEST_SOLUTION = 2000
_LONGEST_SCHEMA = 30_000
_DEEPEST = 64
"""Most levels of a schema, and of JSON."""

_ASKS_FOR_FORM = re.compile(
    r"""(?ix)
    \[\[\s*\#\# | \#\#\#\# | ``` | \\boxed | \$ANSWER | </?answer> | \bANSWER:
    | \b(?:format(?:ted)?|json|yaml|xml|csv|markdown|template|regex|latex)\b
    | \b(?:reply|respond|answer|return|output|print|write|give|say|state|end|finish|conclude)\s+
      (?:your\s+\w+\s+|the\s+\w+\s+|me\s+|it\s+)?(?:with|only|just|in|as|on|using|by)\b
    | \b(?:only|just|exactly|nothing\s+but)\s+(?:the|a|an|one|your)\s+
      (?:single\s+|final\s+|correct\s+|bare\s+)*
      (?:number|letter|answer|word|value|result|option|choice|digit|integer|name|sentence|line)\b
    | \b(?:last|first|final|single|one)\s+(?:line|word|sentence)\b
    | \bno\s+(?:explanation|other|extra|further|additional|units?|words?|text)\b
    | \bwithout\s+(?:any\s+)?(?:explanation|units?|words?|text)\b
    """
)


class SchemaError(ValueError):
    """A schema that nothing can be checked with."""


@dataclass(frozen=True)
class Form:
    """The form of a text."""

    kind: Literal["text", "json_object", "json_schema"]
    """Text as the request's words ask for it, any JSON object, or JSON that fits a schema."""
    schema: Mapping[str, Any] | None = None
    """The schema; `None` unless the kind is `json_schema`."""

    @classmethod
    def of_schema(cls, schema: Mapping[str, Any]) -> Self:
        """The form of JSON that fits a schema.

        Raises:
            SchemaError: It is no JSON schema, too long, or too deep.
        """
        _check_schema(schema)
        return cls("json_schema", schema)

    @property
    def json(self) -> bool:
        """Whether the text must be JSON."""
        return self.kind != "text"

    @property
    def asked_schema(self) -> Mapping[str, Any] | None:
        """The schema to ask a model with; `None` for text."""
        return {"type": "object"} if self.kind == "json_object" else self.schema

    def fault(self, text: str) -> str | None:
        """What is wrong with a text in this form; `None` if it fits. Plain text always does.

        Raises:
            SchemaError: The schema refers to what is not in it, or to itself without an end; found only now, since
                only what a text uses is looked up.
        """
        if not self.json:
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return "it is not JSON"
        if _too_deep(value):
            return f"it is nested in more than {_DEEPEST} levels"
        if self.schema is None:
            return None if isinstance(value, dict) else "it is not a JSON object"
        return _misfit(value, self.schema)


PLAIN = Form("text")
"""Text."""


def asks_for_form(request: str) -> bool:
    """Whether the words of a request ask for a form of the reply; where it is not sure, yes."""
    return _ASKS_FOR_FORM.search(request) is not None


def wording(
    request: str, answer: str | None, solution: str | None, form: Form, again: tuple[str, str] | None = None
) -> tuple[Message, ...]:
    """The prompt for the text that a reader gets.

    Args:
        request: The whole request, with instructions and earlier turns.
        answer: The team's answer; `None` if its solution has none that could be read.
        solution: How the team found it, or what it says where it has no answer.
        form: The form of the text.
        again: The last reply and what was wrong with it, if it could not be used.
    """
    parts = [REQUEST_HEADING, request.strip()]
    if answer is not None:
        parts += [DECIDED_HEADING, answer]
    if solution:
        parts += [SOLUTION_HEADING, solution.strip()[-_LONGEST_SOLUTION:]]
    if form.schema is not None:
        parts += [FORM_HEADING, "JSON that fits this schema: ", json.dumps(form.schema, ensure_ascii=False)]
    elif form.json:
        parts += [FORM_HEADING, "one JSON object."]
    asked = (Message("system", _SYSTEM), Message("user", "".join(parts)))
    if again is None:
        return asked
    return (*asked, Message("assistant", again[0]), Message("user", _AGAIN.format(why=again[1])))


def opening() -> str:
    """The first sentence of the system message."""
    return _SYSTEM.split(". ")[0]


def repeats_prompt(text: str) -> bool:
    """Whether a text has the prompt's headings, which very small models copy."""
    return any(heading.strip() in text for heading in (DECIDED_HEADING, SOLUTION_HEADING))


def unfenced(text: str) -> str:
    """JSON without the code fence that models like to put around it."""
    found = re.fullmatch(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", text, re.DOTALL | re.IGNORECASE)
    return (found[1] if found else text).strip()


def carries(text: str, answer: str, form: Form, rule: AnswerRule) -> bool:
    """Whether a text says the decided answer, and does not mark another one as the answer; may block, as the rule.

    Args:
        text: The text that was written.
        answer: The decided answer.
        form: The form of the text; JSON must fit it.
        rule: Reads and compares answers.
    """
    if form.json:
        return _json_carries(json.loads(text), answer, rule)
    read = rule.extract(text)
    if read.answer is not None and rule.same(read.answer, answer):
        return True
    if read.answer is None:
        return _stands_in(text, answer)
    if read.origin == "number":  # the last number of a form with several fields may be another field's
        return _is_field(text, answer)
    return _stands_in(read.answer.rpartition("=")[2], answer)  # "4, with confidence 90%", but not "5 + 4 = 9"


# jsonschema is loaded where a request has a schema, so that nothing else waits for it.


def _check_schema(schema: Mapping[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema import SchemaError as NoSchema
    from jsonschema.validators import validator_for

    if _too_deep(schema):
        raise SchemaError(f"the schema is nested in more than {_DEEPEST} levels")
    if len(json.dumps(schema)) > _LONGEST_SCHEMA:
        raise SchemaError(f"the schema is longer than {_LONGEST_SCHEMA:,} characters")
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except NoSchema as error:
        raise SchemaError(f"it is no valid JSON schema: {_one_line(error.message)}") from None
    except Exception as error:  # as in `_misfit`
        raise SchemaError(f"it is no valid JSON schema: {_one_line(f'{type(error).__name__}: {error}')}") from None
    _misfit(None, schema)


def _misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """The first thing in a value that does not fit a schema, in words; `None` if all does.

    Raises:
        SchemaError: As `Form.fault`.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        kind = validator_for(schema, default=Draft202012Validator)
        # With a registry of its own it fetches nothing: by default a reference to a URL would be downloaded.
        found = next(kind(schema, registry=Registry()).iter_errors(value), None)
    except Unresolvable as error:
        raise SchemaError(f"the schema has a reference that leads nowhere: {_one_line(str(error))}") from None
    except RecursionError:
        raise SchemaError("the schema refers to itself without an end") from None
    except re.error as error:
        raise SchemaError(f"the schema has a pattern that can't be read: {error}") from None
    except Exception as error:  # a schema may hold anything, and what is no fault of its form shows in many ways
        raise SchemaError(f"the schema can't be used: {_one_line(f'{type(error).__name__}: {error}')}") from None
    if found is None:
        return None
    where = "".join(f".{part}" for part in found.absolute_path).lstrip(".")
    return f"{where or 'the JSON'} does not fit the schema: {_one_line(found.message)}"


def _json_carries(value: Any, answer: str, rule: AnswerRule) -> bool:
    named = value.get("answer") if isinstance(value, dict) else None
    if isinstance(named, str | int | float):
        return _leaf_carries(named, answer, rule)
    return any(_leaf_carries(leaf, answer, rule) for leaf in _leaves(value))


def _leaf_carries(leaf: str | int | float | bool, answer: str, rule: AnswerRule) -> bool:
    if isinstance(leaf, bool):
        return answer.strip(" .").lower() in (("yes", "true") if leaf else ("no", "false"))
    text = leaf if isinstance(leaf, str) else json.dumps(leaf)
    if not text.strip():
        return False
    read = rule.extract(text).answer
    return rule.same(text.strip(), answer) or (read is not None and rule.same(read, answer)) or _stands_in(text, answer)


def _leaves(value: Any) -> Iterator[str | int | float | bool]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif value is not None:
        yield value


def _too_deep(value: Any) -> bool:
    """Whether JSON has more than `_DEEPEST` levels."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        inner = [part for one in level if isinstance(one, dict) for part in one.values()]
        level = inner + [part for one in level if isinstance(one, list) for part in one]
        if not level:
            return False
    return True


def _stands_in(text: str, answer: str) -> bool:
    """Whether a text holds the answer as written, not as a part of a longer number or word."""
    bare = answer.strip(" .")
    if not bare:
        return False
    pattern = rf"(?<![\w.,-]){re.escape(bare)}(?![\w])(?![.,]\d)"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _is_field(text: str, answer: str) -> bool:
    """Whether a text holds the answer as the value of a field: alone on a line, or between marks like `:` and `<`."""
    bare = answer.strip(" .")
    pattern = rf"""(?im)(?:^|[:>\]|"'(*])\s*{re.escape(bare)}\s*\.?\s*(?:$|[<\[|"',;)*}}])"""
    return bool(bare) and re.search(pattern, text) is not None


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 200 else f"{flat[:199]}…"
