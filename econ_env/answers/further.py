"""Cuts off what a model writes after its answer: a further question that it asks itself and answers too."""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_HEADINGS = 20
"""Only this many headings are looked at."""

_WORD = r"(?:q|question|problem|exercise|example|puzzle|query|prompt|instruction|input|task|human|user)"
_IN_LINE = r"(?<=[.!?])[ \t]+(?-i:Q|Question|Problem|Human|User)[ \t]*:(?=\s)"
_END_OF_TEXT = r"</s>|<\|(?:endoftext|eot_id|im_end)\|>|<\|(?:im_start|start_header_id)\|>\s*(?:user|human)|\[INST\]"
_HEADING = re.compile(
    rf"(?im)^[ \t]*(?:<\|)?[#>*_\[ \t]*(?:(?:next|new|another|further|follow-up|bonus)[ \t]+)?(?P<word>{_WORD})"
    r"(?:[ \t]*#?(?P<number>\d{1,3}(?:\.\d+)?))?(?:[*_\]]*[ \t]*(?:[:.)](?=[\s*_]|$)|\|>|$)|\|>|\](?=\s))"
    rf"|{_IN_LINE}|{_END_OF_TEXT}"
)
_HINTS = (
    "\nq", "q:", "question", "problem", "exercise", "example", "puzzle", "query", "prompt", "instruction", "input",
    "task", "human", "user", "</s>", "<|", "[inst]",
)  # fmt: skip
_CONCLUSION = re.compile(
    r"(?i)(?:^|[.!?\n])[ \t]*(?:so|thus|therefore|hence|in total|in all|altogether|finally)\b[^.!?\n]*\d[^\n]*\n\s*\Z"
)


def without_further_question(reply: str, marks_answer: Callable[[str], bool]) -> str:
    """A reply up to the first question that the model asks itself after its answer.

    A question begins with a line such as `Q: ...`, `**Question:** ...`, `Problem 2: ...` or `Human: ...`, or after a
    special token that ends a text. It is a further one only if the text before it marks an answer or ends with a
    conclusion (`So ...`): many replies repeat their question first. In a reply that divides its problem into numbered
    questions, the second is no further one.

    Args:
        reply: A reply, without thought.
        marks_answer: Whether a text marks an answer.
    """
    lower = reply.lower()
    if not any(hint in lower for hint in _HINTS):
        return reply  # most replies, at once
    numbered: set[str] = set()
    for count, heading in enumerate(_HEADING.finditer(reply)):
        if count == MAX_HEADINGS:
            break
        word = (heading["word"] or "").lower()
        if heading["number"] and (word in numbered or heading["number"].startswith("1")):
            numbered.add(word)
            continue
        before = reply[: heading.start()]
        if before.strip() and (_CONCLUSION.search(before) or marks_answer(before)):
            return before
    return reply
