"""Checks that an object is an answer rule in the sense of `econ_env.answers.AnswerRule`.

>>> from econ_env.testing import check_answer_rule
>>> check_answer_rule(MyRule())
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations, product

from econ_env.answers import AnswerRule, Extracted, judge
from econ_env.records import Judgement
from econ_env.testing.violations import Violations

GOLDS = ("18", "8", "180", "-18", "7")
"""Answers that are read by default, all different."""
FORMS = ("WHY The answer is GOLD.", '{"reasoning": "WHY", "answer": "GOLD"}')
"""How replies state them by default: as text and as JSON, which the prompts of this package ask for."""
ODD = (
    "",
    " \n\t",
    "?",
    "{",
    '{"answer": ',
    '{"answer": null}',
    "\\boxed{",
    "####",
    "The answer is",
    "\0",
    "🙂" * 50,
    "x " * 9_000,
)
"""Replies without an answer, some of them cut off."""
WHY = "I work through it in order."


def check_answer_rule(rule: AnswerRule, *, golds: Sequence[str] = GOLDS, forms: Sequence[str] = FORMS) -> None:
    """Check an answer rule the way the environment uses it.

    Args:
        rule: The answer rule to check.
        golds: Answers that it must read and distinguish.
        forms: How replies state an answer; `GOLD` stands for it, `WHY` for the reasoning.

    Raises:
        CheckError: All errors found, one per line.
    """
    with Violations() as found:
        found.require(isinstance(rule.name, str) and bool(rule.name.strip()), "name must be text: name and version")
        for reply in ODD:
            with found.guarding(f"extract({reply[:20]!r})"):
                _check_extracted(found, rule, reply)
                accepted = [gold for gold in golds if judge(reply, gold, rule).correct]
                found.require(not accepted, f"{reply[:20]!r} states no answer, but is accepted for {accepted}")
        for form, gold in product(forms, golds):
            with found.guarding(f"judging {gold!r} in the form {form!r}"):
                _check_reading(found, rule, form, gold, [other for other in golds if other != gold])
        with found.guarding("same"):
            _check_same(found, rule, golds)
        replies = [_reply(form, gold) for form, gold in product(forms, golds)]

        def verdicts(judging: AnswerRule) -> list[Judgement]:
            return [judge(reply, gold, judging) for reply, gold in product(replies, golds)]

        with found.guarding("judging in threads"), ThreadPoolExecutor(4) as threads:
            apart = list(threads.map(verdicts, [rule] * 4))
            found.require(apart == [verdicts(rule)] * 4, "verdicts in threads must be the same as outside")
        found.require_copies(rule, verdicts, "verdicts")


def _reply(form: str, gold: str, why: str = WHY) -> str:
    return form.replace("WHY", why).replace("GOLD", gold)


def _check_extracted(found: Violations, rule: AnswerRule, reply: str) -> None:
    read = rule.extract(reply)
    if not found.require(isinstance(read, Extracted), "extract must return an Extracted"):
        return
    text = read.answer is None or (isinstance(read.answer, str) and bool(read.answer.strip()))
    found.require(text, f"an answer must be None or text that is not blank, got {read.answer!r} from {reply[:20]!r}")
    found.require(type(read.parsed_json) is bool, "parsed_json must be True or False")
    found.require(rule.extract(reply) == read, f"extract must be deterministic; {reply[:20]!r} read differently")


def _check_reading(found: Violations, rule: AnswerRule, form: str, gold: str, others: Sequence[str]) -> None:
    reply = _reply(form, gold)
    _check_extracted(found, rule, reply)
    found.require(judge(reply, gold, rule).correct, f"{reply!r} must be accepted for the gold answer {gold!r}")
    for other in others:
        wrong = _reply(form, other, why=f"It is not {gold}.")
        found.require(not judge(wrong, gold, rule).correct, f"{wrong!r} must not be accepted for {gold!r}")
    answer = rule.extract(reply).answer
    if answer is not None:
        again = rule.extract(answer).answer
        found.require(
            again is not None and rule.same(again, answer),
            f"the answer {answer!r} as a whole reply must be read as the same answer",
        )


def _check_same(found: Violations, rule: AnswerRule, golds: Sequence[str]) -> None:
    for gold in golds:
        found.require(rule.same(gold, gold) is True, f"same must be True of {gold!r} and itself")
    for one, other in permutations(golds, 2):
        found.require(rule.same(one, other) is False, f"same must be False of {one!r} and {other!r}")
        found.require(rule.same(one, other) == rule.same(other, one), f"same must be symmetric: {one!r} and {other!r}")
