"""Reads the final answer of a whole reply, without knowing the gold answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from econ_env.answers.clean import has_content
from econ_env.answers.exact import Number
from econ_env.answers.further import without_further_question
from econ_env.answers.json_field import ends_inside_object, read_json_field
from econ_env.answers.last_number import read_last_number
from econ_env.answers.marks import read_boxed, read_hash
from econ_env.answers.parse import read_form
from econ_env.answers.phrase import read_bare, read_chosen, read_phrase
from econ_env.answers.prose import HEDGE, settle
from econ_env.answers.thought import split_thought

Origin = Literal["json", "boxed", "hash", "phrase", "bare", "number"]
"""Where an answer was read, in the order in which the places are tried."""

_READERS: tuple[tuple[Origin, Callable[[str], str | None]], ...] = (
    ("boxed", read_boxed),
    ("hash", read_hash),
    ("phrase", read_phrase),
    ("phrase", read_chosen),
    ("bare", read_bare),
    ("number", read_last_number),
)
_PLACEHOLDERS = {"answer", "your answer", "final answer", "value"}
_CALCULATION = re.compile(r"<<[^<>\n]*>>")  # GSM8K's calculator marks, `48/2 = <<48/2=24>>24`

_MARK = r"(?i:(?:the\s+)?(?:final\s+|correct\s+)?answer(?:\s+is\b:?|\s*[:=]))"
_MARK_IN_BOX = re.compile(
    rf"{_MARK}\s*(?P<plain>[^\s}}].*)|\\text\s*\{{\s*{_MARK}\s*(?P<typeset>[^\s{{}}][^{{}}]*)\}}"
    rf"|\\text\s*\{{\s*{_MARK}\s*\}}\s*(?P<after>\S.*)",
    re.DOTALL,
)

MAX_REPLY = 20_000
"""Of a longer reply, only this many characters at its end are read."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """The final answer of a reply."""

    answer: str | None
    """The answer as written, without the text around it; `None` if there is none."""
    origin: Origin | None
    """Where it was read; `None` if there is none."""
    parsed_json: bool
    """Whether the reply, or its one code fence, is a valid JSON object with an `answer` field."""


def extract_answer(reply: str) -> Extracted:
    r"""Read the final answer of a reply.

    These are tried in order, and of each kind the last one counts: the `answer` field of JSON, `\boxed{}`, `####`,
    "the answer is", "answer:" or `Answer("C")`, "C is correct" or "I choose C", the reply itself if it is only an
    answer, the last number. Candidates offered together ("5 or 6") are one answer. The content of a box is the answer
    as it stands. Thought is ignored (see `split_thought`), and so is a further question that the model asks itself.
    A reply that is visibly cut off has an answer only if it is marked: JSON cut inside its `answer` field has none,
    and the last number is not read from a text that ends in "so we" or with an open formula.

    Args:
        reply: Any text.

    Returns:
        The answer, and where it was read.
    """
    reply = without_further_question(split_thought(reply).said, _marks_answer)
    field = read_json_field(reply)
    if field is not None:
        answer = _inside(field.text)
        if answer is not None or field.whole or field.cut:
            return Extracted(answer, "json" if answer is not None else None, field.whole)
    tail = _CALCULATION.sub("", reply[-MAX_REPLY:])
    readers = _READERS
    if ends_inside_object(reply):  # a marked answer counts, unless it may be cut itself
        tail, readers = tail.rpartition(" ")[0], _READERS[:-1]
    for origin, read in readers:
        text = read(tail)
        if text is not None and origin in ("boxed", "hash"):
            text = _in_box(text) if origin == "boxed" else _inside(text)
        if text is not None:
            return Extracted(text, origin, parsed_json=False)
    return Extracted(None, None, parsed_json=False)


def _marks_answer(text: str) -> bool:
    """Whether a text marks an answer, or is one."""
    tail = text[-MAX_REPLY:]
    return any(read(tail) is not None for _, read in _READERS[:-1]) or read_json_field(text) is not None


def _in_box(text: str) -> str | None:
    """The answer in a box: its content, which may be marked again at its beginning; it is never searched."""
    if (inner := read_boxed(text)) is not None:
        return inner
    if not has_content(text) or text.strip("<>. ").lower() in _PLACEHOLDERS:
        return None
    mark = _MARK_IN_BOX.fullmatch(text)
    return (mark["plain"] or mark["typeset"] or mark["after"]).strip(" .") if mark else text.strip()


def _inside(text: str) -> str | None:
    r"""The answer in a marked text, which may mark it again: `{"answer": "\\boxed{5}"}`. Else the text as it is."""
    if (box := read_boxed(text)) is not None:
        return _in_box(box)
    for read in (read_hash, read_phrase):
        if (inner := read(text)) is not None:
            return inner
    if not has_content(text) or text.strip("<>. ").lower() in _PLACEHOLDERS:
        return None
    return settle(text) or _last_side(text) or text.strip()


def _last_side(text: str) -> str | None:
    """The last side of an equation in prose: `8 peaches` of `Jake has 15 - 7 = 8 peaches`."""
    _, equals, side = text.rpartition("=")
    return side.strip() if equals and not HEDGE.search(text) and isinstance(read_form(side), Number) else None
