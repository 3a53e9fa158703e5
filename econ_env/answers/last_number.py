"""Reads the last number of a reply that does not mark its answer."""

from __future__ import annotations

import re

from econ_env.answers.parse import read_form
from econ_env.answers.prose import HEDGE, MATH, NUMBER, SENTENCE_END, main_clause, reads_as_answer

MAX_SENTENCE = 1_000
"""Of a longer sentence, only this many characters at its end are read."""

_JOIN = re.compile(r"(?i)\s*(?:[a-z]+\s*)?(?:,|;|/|\bor\b|\band\b|,\s*(?:or|and)\b)\s*(?:also\s+|even\s+)?[$€£]?")
_INSIDE = r"(?:[^()\[\]A-Za-z\\]|\\?(?:infty|infinity|pi|sqrt))*"
_GROUP = re.compile(rf"[(\[]{_INSIDE},\s{_INSIDE}[)\]]")
_DENIED_NUMBER = re.compile(
    r"(?i)(?:\bnot|\bnever|n't(?:\s+be)?)\s+(?:equal\s+to\s+|simply\s+|just\s+)?[$\\(]*(?:[a-z]\s*=\s*)?\d"
)
_STEP = re.compile(
    r"(?im)^[\s#*>-]*(?:step\s*\d+\b[.:)*]*|(?:day|week|month|year|round|part|case)\s*\d+\s*:"
    r"|\(?\d{1,2}[.)](?=\s|\*)|[-*•](?=\s))\s*\**"
)
_STEP_WORD = re.compile(
    r"(?i)\b(?:step|equation|eq\.|question|problem|part|figure|line|case|method|option)\s*#?\s*\(?$"
)
_VERB = re.compile(r"(?i)[,;:]|\b(?:is|are|was|were|equals?|gives?|gets?|makes?|leaves?|has|have|so|then|total)\b")
_CLAIM = re.compile(r"(?i)(?:\b(?:is|are|be|equals?|gets?|gives?|becomes?|have|to)|[:=→])\s*$")
_DETERMINER = r"(?:the|these|those|her|his|their|its)"
_REFERENCE = re.compile(
    rf"\b(?i:(?:out\s+of|(?<!other\s)than|instead\s+of|compared\s+(?:to|with))(?:\s+{_DETERMINER})?"
    rf"|(?:of|from)\s+{_DETERMINER})(?:\s+[A-Za-z-]+)?\s*$"
)
_CIRCUMSTANCE = re.compile(
    rf"{_REFERENCE.pattern}|(?i:\b(?:for|in|at|from|with|over|on|per|during|within|across|among)"
    rf"(?:\s+(?:all|each|every|about|only|just|{_DETERMINER}))?(?:\s+[A-Za-z-]+)?\s*$)"
)
_UNFINISHED = re.compile(
    r"(?:[;:=+/({\[<\\]|\s[-*×]|\b(?:a|an|[Tt]he|of|and|or|to|by|with|from|because|if|than|which|when|where|while|since"
    r"|[Ww]e|their|its|our|your|my)|\\(?:boxed|fbox|frac|text)|(?:^|[.!?\n])[^.!?\n\d]*,)\s*$"
)


def read_last_number(reply: str) -> str | None:
    """The last number or formula with a number in it, outside questions.

    In a sentence with an equals sign it is the number after the last equals sign, unless a clause with its own number
    follows. Numbers joined by a comma, `or`, `and`, `maybe` or similar words are one answer. A number in a comparison,
    reason or condition ("out of the 24", "because 8 > 7", "if she rests 5 days") is not the answer if another number
    comes before it.

    Args:
        reply: A whole reply.

    Returns:
        The number as written; `None` if there is none, or if the reply is visibly cut off.
    """
    if _breaks_off(reply):
        return None
    for line in reversed(reply.split("\n")):
        for sentence in reversed(_sentences(_STEP.sub("", line))):
            if not sentence.rstrip().endswith("?") and (answer := read_sentence(sentence)) is not None:
                return answer
    return None


def read_sentence(sentence: str) -> str | None:
    """The number or formula that a sentence ends with, before a reason or condition; `None` if it denies one."""
    if _DENIED_NUMBER.search(sentence):
        return None
    clause = main_clause(sentence[-MAX_SENTENCE:])
    return _last_formula(clause) or _last_run(clause)


def read_statement(sentence: str) -> str | None:
    """The number that a sentence after "the answer is" states: the object, not a number behind `for`, `in` or `at`."""
    if _DENIED_NUMBER.search(sentence):
        return None
    clause = main_clause(sentence[-MAX_SENTENCE:])
    return _last_formula(clause) or _last_run(clause, _CIRCUMSTANCE)


def _breaks_off(reply: str) -> bool:
    """Whether the reply ends with a word or sign that needs a continuation, or inside a formula or code."""
    if _UNFINISHED.search(reply[-MAX_SENTENCE:]) or reply.count("```") % 2:
        return True
    return any(reply.rfind(start) > reply.rfind(end) for start, end in ((r"\[", r"\]"), (r"\(", r"\)")))


def _sentences(line: str) -> list[str]:
    """The sentences of a line, each with its end mark."""
    ends = [match.end() for match in SENTENCE_END.finditer(line)]
    starts = [0, *ends]
    return [line[start:end] for start, end in zip(starts, [*ends, len(line)], strict=True) if line[start:end].strip()]


def _last_formula(sentence: str) -> str | None:
    """The last piece of LaTeX that the sentence claims, after its last equals sign, if no number comes after it."""
    formulas = list(MATH.finditer(sentence))
    if not formulas or NUMBER.search(sentence, formulas[-1].end()):
        return None
    found = formulas[-1]
    content = next(part for part in found.groups() if part)
    _, equals, side = content.rpartition("=")
    if not equals and not _CLAIM.search(sentence[: found.start()]):
        return None
    side = side.strip()
    return side if re.search(r"\d|\\(?:pi|infty)", side) and reads_as_answer(read_form(side)) else None


def _last_run(sentence: str, aside: re.Pattern[str] = _REFERENCE) -> str | None:
    """The last number that is no aside, together with the numbers before it that are offered as alternatives."""
    found = [match for match in NUMBER.finditer(sentence) if not _STEP_WORD.search(sentence[: match.start()])]
    if not found:
        return None
    while len(found) > 1 and aside.search(sentence[: found[-1].start()]):
        found.pop()
    last = _claimed(sentence, found)
    found = [match for match in found if match.start() <= last.start()]
    first = last
    for match in reversed(found[:-1]):
        between = sentence[match.end() : first.start()]
        if not _JOIN.fullmatch(between) and not (len(between) < 40 and HEDGE.search(between)):
            break
        first = match
    start, end = first.start(), last.end()
    for group in _GROUP.finditer(sentence):
        if group.start() < last.start() < group.end():
            start, end = group.span()
    return sentence[start:end].strip()


def _claimed(sentence: str, found: list[re.Match[str]]) -> re.Match[str]:
    """The number right after the last equals sign if only a phrase follows it, else the last one."""
    equals = sentence.rfind("=") + 1
    after = next((match for match in found if match.start() >= equals), found[-1]) if equals else found[-1]
    if sentence[equals : after.start()].strip(" $*\\([") or _VERB.search(sentence, after.end(), found[-1].start()):
        return found[-1]
    return after
