"""Judges a reply against a gold answer by a named rule, built in or added by another package."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar, TypeVarTuple

from econ_env import plugins
from econ_env.answers.algebra_process import NeedsToWaitError, without_waiting
from econ_env.answers.compare import Majority, gives, label_answers, majority
from econ_env.answers.extract import Extracted, extract_answer
from econ_env.answers.gold import Gold, read_gold
from econ_env.records import Judgement

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


class AnswerRule(Protocol):
    r"""Reads and compares answers; an object with these members can be given to `judge` and to the environment.

    It must be picklable and safe in threads; `econ_env.testing.check_answer_rule` tests all of this.

    Examples:
        >>> class WholeNumbers:
        ...     name = "whole-numbers-v1"
        ...     def extract(self, reply: str) -> Extracted:
        ...         found = re.findall(r"-?\d+", reply)
        ...         return Extracted(found[-1] if found else None, None, parsed_json=False)
        ...     def same(self, answer: str, gold: str) -> bool:
        ...         return int(answer) == int(gold)
    """

    @property
    def name(self) -> str:
        """Name and version, written into every judgement. If any verdict changes, the name must change."""

    def extract(self, reply: str) -> Extracted:
        """Read the final answer of a reply."""

    def same(self, answer: str, gold: str) -> bool:
        """Whether an answer as read is the gold answer."""


@dataclass(frozen=True, slots=True)
class EconAnswerRule:
    """The rule of this package: see `extract_answer`, `same_answer` and, for numbers, `exact.py`."""

    name: str = "econ-answer-v4"

    def extract(self, reply: str) -> Extracted:
        """Read the final answer of a reply, as `extract_answer`."""
        return extract_answer(reply)

    def same(self, answer: str, gold: str) -> bool:
        """Whether an answer gives the gold answer, as `gives`."""
        return gives(answer, gold)


DEFAULT_RULE = EconAnswerRule()
"""The rule that is used if none is given."""


def make_rule(spec: str | AnswerRule) -> AnswerRule:
    """Make the rule that a setting names.

    Args:
        spec: `econ`, a name that a package registers, `module:attribute`, or a rule.

    Raises:
        ConfigError: There is no such rule, or it lacks a member of `AnswerRule`.
    """
    if spec == "econ":
        return DEFAULT_RULE
    rule: AnswerRule = plugins.make(plugins.ANSWER_RULES, spec)
    return rule


def majority_of(answers: Iterable[str | None], rule: AnswerRule) -> Majority | None:
    """The answer with the most votes by a rule; see `majority`."""
    return majority(answers, None if isinstance(rule, EconAnswerRule) else rule.same)


def labels_of(answers: Iterable[str | None], rule: AnswerRule) -> tuple[int, ...]:
    """Number the answers that are different by a rule; see `label_answers`."""
    return label_answers(answers, None if isinstance(rule, EconAnswerRule) else rule.same)


def judge(reply: str, gold: Gold, rule: AnswerRule = DEFAULT_RULE) -> Judgement:
    r"""Judge a reply.

    Safe in threads. Comparing formulas may wait for another process, at most `algebra_process.TIME_LIMIT` seconds (plus
    its start at first use); on an event loop, use `judging`.

    Args:
        reply: What a model wrote.
        gold: The right answer, bare (`18`, `\frac{1}{2}`, `(C)`) or as data sets give it; `read_gold` reads it.
        rule: How to read and compare.

    Returns:
        Verdict, the answer as read, and the rule's name.

    Raises:
        ProblemGoldError: As `read_gold`: for example, the gold answer is empty.
        JudgeError: As `same_answer`.
    """
    return judge_answer(rule.extract(reply).answer, gold, rule)


def judge_answer(answer: str | None, gold: Gold, rule: AnswerRule) -> Judgement:
    """Judge an answer that was read already, such as `Reply.answer`; see `judge`."""
    gold = read_gold(gold)
    if answer is None:
        return Judgement("no_answer", None, rule.name)
    return Judgement("correct" if rule.same(answer, gold) else "wrong", answer, rule.name)


async def judging(rule: AnswerRule, work: Callable[[*Ts], T], *args: *Ts, slow: bool = False) -> T:
    """Run a function that reads or compares answers, without blocking the event loop: the one way to do so there.

    This package's rule judges plain answers directly, which takes less time than switching to a thread and back. Any
    other rule, and comparisons of formulas, may be slow and run in a thread.

    Args:
        rule: The rule that the function reads or compares by.
        work: The function; it may be started twice, so it must not change anything before it has judged.
        args: Its arguments.
        slow: Whether the function runs other code that may be slow; it then always runs in a thread.
    """
    if slow or not isinstance(rule, EconAnswerRule):
        return await asyncio.to_thread(work, *args)
    try:
        with without_waiting():
            return work(*args)
    except NeedsToWaitError:
        return await asyncio.to_thread(work, *args)
