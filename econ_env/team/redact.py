"""Removes a leaked answer from a plan."""

from __future__ import annotations

import re

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)


_TENS = "twenty thirty forty fifty sixty seventy eighty ninety hundred"


_NUMBER_WORDS = {word: value for value, word in enumerate(_SMALL.split())} | {
    word: value for value, word in zip(range(20, 101, 10), _TENS.split(), strict=True)
}


_ANNOUNCED = re.compile(r"(?:####|\\boxed|[^.!?\n]*(?:\banswer\s*(?:is|=|:)|\btherefore\b|\bresult\s+is))[^\n]*", re.I)


_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])|\b(?:" + "|".join(_NUMBER_WORDS) + r")\b", re.I)


_LIST_MARK = re.compile(r"^\s*(?:step\s+)?\d+\s*[.):]", re.I | re.M)


_CLAUSE = re.compile(r"(?<=[.!?;])\s+")


def redact_answer(strategy: str, question: str, gold: str) -> tuple[str, bool]:
    """Return a strategy without the answer, and whether anything was removed.

    First, an announced answer ("the answer is", `####`, a box) is cut with the rest of its line. Then
    sentences with a number that is not in the question (in digits or words) are removed, because it can only be a
    result, and sentences with the gold answer, unless the question has it. List numbers ("1.") and "one" may stay.

    Args:
        strategy: The coordinator's text.
        question: The problem's question.
        gold: The gold answer.
    """
    known = {_value(match.group()) for match in _NUMBER.finditer(question)}
    bare = gold.strip()
    secret = bare if len(bare) > 1 and not bare.isdigit() and bare not in question else None

    def tells(sentence: str) -> bool:
        if secret is not None and secret in sentence:
            return True
        numbers = (match.group() for match in _NUMBER.finditer(sentence))
        return any(number.lower() != "one" and _value(number) not in known for number in numbers)

    lines = []
    for line in _ANNOUNCED.sub("", strategy).splitlines():
        mark = _LIST_MARK.match(line)
        start = mark.end() if mark else 0
        kept = " ".join(sentence for sentence in _CLAUSE.split(line[start:].strip()) if not tells(sentence))
        if kept:
            lines.append(f"{line[:start]} {kept.rstrip(' ;,')}".strip())
    text = "\n".join(lines)
    return text, text.split() != strategy.split()


def _value(number: str) -> float:
    word = _NUMBER_WORDS.get(number.lower())
    return float(number.replace(",", "")) if word is None else float(word)
