"""Judges a reply against a gold answer by a named rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, TypeVarTuple

from econ_env.answers.extract import Extracted, extract_answer
from econ_env.answers.process import NeedsToWaitError, without_waiting
from econ_env.answers.same import same_answer
from econ_env.errors import ProblemGoldError
from econ_env.records import Judgement

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


class AnswerRule(Protocol):
    """How answers are read and compared. Anything of this shape can be given to `judge`."""

    @property
    def name(self) -> str:
        """Name and version, written into every judgement. A change of any verdict needs a new one."""

    def extract(self, reply: str) -> Extracted:
        """Read the final answer of a reply."""

    def same(self, answer: str, gold: str) -> bool:
        """Whether an answer as read is the gold answer."""


@dataclass(frozen=True, slots=True)
class EconAnswerRule:
    """The rule of this package: see `extract_answer`, `same_answer` and, for numbers, `exact.py`."""

    name: str = "econ-answer-v1"

    def extract(self, reply: str) -> Extracted:
        """Read the final answer of a reply, as `extract_answer`."""
        return extract_answer(reply)

    def same(self, answer: str, gold: str) -> bool:
        """Whether an answer is the gold answer, as `same_answer`."""
        return same_answer(answer, gold)


DEFAULT_RULE = EconAnswerRule()
"""The rule that is used if none is given."""


def judge(reply: str, gold: str, rule: AnswerRule = DEFAULT_RULE) -> Judgement:
    r"""Judge a reply.

    Safe in threads. A comparison of formulas may wait for another process, at most `process.TIME_LIMIT` seconds (plus
    its start at first use); from an event loop, call it in a thread if that matters.

    Args:
        reply: What a model wrote.
        gold: The right answer, bare: `18`, `\frac{1}{2}`, `(C)`.
        rule: How to read and compare.

    Returns:
        Verdict, the answer as read, and the rule's name.

    Raises:
        ProblemGoldError: The gold answer is empty.
        JudgeError: As `same_answer`.
    """
    if not gold.strip():
        raise ProblemGoldError("the gold answer is empty")
    answer = rule.extract(reply).answer
    if answer is None:
        return Judgement("no_answer", None, rule.name)
    return Judgement("correct" if rule.same(answer, gold) else "wrong", answer, rule.name)


async def judging(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Do something that judges answers from an event loop: at once, or in a thread if a formula has to be evaluated.

    Plain numbers take less time than the way to a thread and back.

    Args:
        work: May be begun twice, so it must not change anything before it has judged.
        args: Its arguments.
    """
    try:
        with without_waiting():
            return work(*args)
    except NeedsToWaitError:
        return await asyncio.to_thread(work, *args)
