"""Every text that is sent to a model, as pure functions of the problem and of what the team has said so far.

What all problems share comes first, then the question, then what changes from round to round, so that a server's
prompt cache can reuse the prefix. Changing any text here bumps `PROMPT_VERSION`, which is written into every result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from econ_env.llm import Message

PROMPT_VERSION = "econ-prompts-v1"

ReplyFormat = Literal["json", "text"]

QUESTION_HEADING = "Question: "
PLAN_HEADING = "Plan: "
LAST_ANSWER_HEADING = "The team's last answer: "
REPLIES_HEADING = "Solution "

REPLY_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "answer": {"type": "string"}},
    "required": ["reasoning", "answer"],
    "additionalProperties": False,
}
"""What a reply or a commitment looks like in JSON; the reasoning comes before the answer."""

_STRATEGY = (
    "You plan how a team solves a math problem. Write a plan of one or two short sentences, at most {tokens} tokens. "
    "Say which steps to take. Do not calculate and do not state the answer."
)
_EXECUTOR = {
    "text": (
        "You solve math problems. Think in a few short steps, then finish with a line of the form: The answer is X."
    ),
    "json": (
        "You solve math problems. Reply with one JSON object: "
        '{"reasoning": "a few short steps", "answer": "the final answer alone"}.'
    ),
}
_COMMITMENT = {
    "text": (
        "You are given a math problem and several solutions. Decide which result is right. Say why in one short "
        "sentence, then finish with a line of the form: The answer is X."
    ),
    "json": (
        "You are given a math problem and several solutions. Decide which result is right. Reply with one JSON object: "
        '{"reasoning": "one short sentence", "answer": "the final answer alone"}.'
    ),
}
_DEBATE = {
    "text": (
        "Solve the problem again, step by step, with what is right in these solutions; any of them, and your own, may "
        "be wrong. Finish with a line of the form: The answer is X."
    ),
    "json": (
        "Solve the problem again with what is right in these solutions; any of them, and your own, may be wrong. Reply "
        "with one JSON object as before."
    ),
}
_DEBATE_ALONE = {
    "text": "Check your solution and solve the problem again. Finish with a line of the form: The answer is X.",
    "json": "Check your solution and solve the problem again. Reply with one JSON object as before.",
}


def strategy_messages(question: str, tokens: int) -> tuple[Message, ...]:
    """What asks the coordinator for a plan of at most `tokens` tokens."""
    return (
        Message("system", _STRATEGY.format(tokens=tokens)),
        Message("user", f"{QUESTION_HEADING}{question}\n\nWrite the plan."),
    )


def executor_messages(
    question: str, strategy: str | None, last_answer: str | None, form: ReplyFormat
) -> tuple[Message, ...]:
    """What asks an executor for its reply.

    Args:
        question: The problem's question.
        strategy: The coordinator's plan, if there is one.
        last_answer: The answer of the last commitment, once there is one.
        form: Whether the reply is to be JSON or text.
    """
    parts = [f"{QUESTION_HEADING}{question}"]
    if strategy:
        parts.append(f"{PLAN_HEADING}{strategy}")
    if last_answer is not None:
        parts.append(f"{LAST_ANSWER_HEADING}{last_answer}\nIt may be wrong. Solve the problem again yourself.")
    return (Message("system", _EXECUTOR[form]), Message("user", "\n\n".join(parts)))


def commitment_messages(question: str, replies: Sequence[str], form: ReplyFormat) -> tuple[Message, ...]:
    """What asks the coordinator to condense the executors' replies into the team's answer."""
    parts = [f"{QUESTION_HEADING}{question}"]
    parts += [f"{REPLIES_HEADING}{number}: {reply.strip()}" for number, reply in enumerate(replies, start=1)]
    return (Message("system", _COMMITMENT[form]), Message("user", "\n\n".join(parts)))


def debate_messages(
    question: str, said: Sequence[str | None], heard: Sequence[Sequence[str]], form: ReplyFormat
) -> tuple[Message, ...]:
    """What asks an agent of a debate for its next reply, once it has read what the others said in each round so far.

    The chat holds all earlier rounds, as in Du et al. 2023 (https://arxiv.org/abs/2305.14325). It opens with what an
    executor without a plan is asked, so that a debate's first round (`said` and `heard` empty) is just that.

    Args:
        question: The problem's question.
        said: The agent's own reply of each round; `None` where its call failed.
        heard: The others' valid replies of each round.
        form: Whether replies are JSON or text.
    """
    messages = list(executor_messages(question, None, None, form))
    for own, others in zip(said, heard, strict=True):
        parts = [f"{REPLIES_HEADING}{number}: {reply.strip()}" for number, reply in enumerate(others, start=1)]
        parts.append(_DEBATE[form] if others else _DEBATE_ALONE[form])
        if own is None:  # nobody answered the last message, and two in a row are more than some servers take
            parts.insert(0, messages.pop().content)
        else:
            messages.append(Message("assistant", own))
            parts.insert(0, f"{QUESTION_HEADING}{question}")
        messages.append(Message("user", "\n\n".join(parts)))
    return tuple(messages)


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
_BLANK = "[...]"


def redact_answer(strategy: str, question: str, gold: str) -> tuple[str, bool]:
    """A strategy without the answer, and whether anything was taken out.

    Three rules: what follows an announcement ("the answer is", `####`, a box) is cut; numbers that do not occur in
    the question, digits or words, are blanked, since they can only be results; so is the gold answer itself, unless
    the question contains it. List numbers ("1." at the start of a line) and "one" stay.

    Args:
        strategy: The coordinator's text.
        question: The problem's question.
        gold: The gold answer.
    """
    text = _ANNOUNCED.sub("", strategy)
    known = {_value(match.group()) for match in _NUMBER.finditer(question)}
    marks = {(match.start(), match.end()) for match in _LIST_MARK.finditer(text)}

    def blank(match: re.Match[str]) -> str:
        in_mark = any(start <= match.start() and match.end() <= end for start, end in marks)
        keep = in_mark or match.group().lower() == "one" or _value(match.group()) in known
        return match.group() if keep else _BLANK

    text = _NUMBER.sub(blank, text)
    bare = gold.strip()
    if len(bare) > 1 and not bare.isdigit() and bare not in question:
        text = text.replace(bare, _BLANK)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return text, text != strategy.strip()


def _value(number: str) -> float:
    word = _NUMBER_WORDS.get(number.lower())
    return float(number.replace(",", "")) if word is None else float(word)
