"""Checks that an object is a prompt set in the sense of `econ_env.team.prompts.PromptSet`.

>>> from econ_env.testing import check_prompt_set
>>> check_prompt_set(MyPrompts())
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from econ_env.llm.protocol import Message
from econ_env.problems.load import load_problems
from econ_env.records import Problem
from econ_env.team.prompts import PromptSet, ReplyFormat
from econ_env.testing.violations import Violations

QUESTIONS = (
    "What is 2 + 3?",
    "How much is {x} of 50%s, if \\frac{1}{2} of it is $5?",
    'Anna says "多少?"\n\nShe has 3 boxes of 4. How many is that?',
)
"""Questions with characters that can break a template."""
PLAN, LAST, OWN = "Add both {numbers}.", "17%", "I took 9 from 20. The answer is 11."
OTHERS = ("First {9}, then 4. The answer is 13.", '{"reasoning": "9 - 4", "answer": "5"}')
TOKENS = 50
FORMS: tuple[ReplyFormat, ...] = ("text", "json")

Messages = tuple[Message, ...]


def check_prompt_set(prompts: PromptSet, *, problems: Iterable[Problem] | None = None) -> None:
    """Check a prompt set the way the team uses it.

    Args:
        prompts: The prompt set to check.
        problems: Problems whose gold answers it must not reveal; by default twenty bundled ones.

    Raises:
        CheckError: All errors found, one per line.
    """
    with Violations() as found:
        found.require(isinstance(prompts.name, str) and bool(prompts.name.strip()), "name must be text with a version")
        for question in QUESTIONS:
            for call, (ask, shown) in _calls(prompts, question).items():
                with found.guarding(call):
                    messages = ask()
                    if _check_messages(found, call, messages):
                        text = _joined(messages)
                        lacking = [part for part in shown if part.strip() not in text]
                        found.require(not lacking, f"{call} must show all of its inputs; it lacks {lacking}")
                        found.require(ask() == messages, f"{call} must ask the same each time")
            with found.guarding("debate"):
                for form in FORMS:
                    first = prompts.debate(question, [], [], form)
                    same = first == prompts.executor(question, None, None, form)
                    found.require(same, "debate without earlier rounds must ask what executor asks without a plan")
        for call, (ask, _) in _calls(prompts, QUESTIONS[0]).items():
            with found.guarding(call):
                text = _joined(ask()).lower()
                named = "json" not in call or ("json" in text and "answer" in text)
                found.require(named, f"{call} must ask for JSON with the field answer")
        with found.guarding("asking the bundled problems"):
            for problem in load_problems("bundled", split="test", limit=20) if problems is None else problems:
                _check_gold(found, prompts, problem)
        found.require_copies(prompts, lambda one: [ask() for ask, _ in _calls(one, QUESTIONS[0]).values()], "messages")


def _calls(prompts: PromptSet, question: str) -> Mapping[str, tuple[Callable[[], Messages], tuple[str, ...]]]:
    """All calls of a prompt set by name, each with the texts that its messages must show."""
    calls: dict[str, tuple[Callable[[], Messages], tuple[str, ...]]] = {
        "strategy": (lambda: prompts.strategy(question, TOKENS), (question,))
    }

    def add(call: str, ask: Callable[[], Messages], *shown: str) -> None:
        calls[call] = (ask, (question, *shown))

    def add_form(form: ReplyFormat) -> None:
        add(f"executor ({form})", lambda: prompts.executor(question, None, None, form))
        add(f"executor ({form}, with a plan)", lambda: prompts.executor(question, PLAN, None, form), PLAN)
        add(f"executor ({form}, in a later round)", lambda: prompts.executor(question, PLAN, LAST, form), PLAN, LAST)
        add(f"commitment ({form})", lambda: prompts.commitment(question, OTHERS, form), *OTHERS)
        add(f"commitment ({form}, of one reply)", lambda: prompts.commitment(question, [OWN], form), OWN)
        add(f"debate ({form})", lambda: prompts.debate(question, [OWN], [OTHERS], form), OWN, *OTHERS)
        add(f"debate ({form}, own call failed)", lambda: prompts.debate(question, [None], [OTHERS], form), *OTHERS)
        add(f"debate ({form}, others' calls failed)", lambda: prompts.debate(question, [OWN], [()], form), OWN)

    for form in FORMS:
        add_form(form)
    return calls


def _joined(messages: Messages) -> str:
    return "\n".join(message.content for message in messages)


def _check_messages(found: Violations, call: str, messages: Messages) -> bool:
    sound = isinstance(messages, tuple) and bool(messages) and all(isinstance(one, Message) for one in messages)
    if not found.require(sound, f"{call} must return a tuple of Message, and not an empty one"):
        return False
    roles = [message.role for message in messages]
    found.require(set(roles) <= {"system", "user", "assistant"}, f"{call} has a role that servers do not know: {roles}")
    found.require("system" not in roles[1:], f"{call} must have a system message first or not at all")
    found.require(roles[-1] == "user", f"{call} must end with a user message, for the model to answer")
    turns = [role for role in roles if role != "system"]
    in_turns = turns[:1] == ["user"] and all(one != other for one, other in pairwise(turns))
    found.require(in_turns, f"{call} must alternate user and assistant, the user first: servers require it")
    found.require(all(message.content.strip() for message in messages), f"{call} must have no blank message")
    return True


def _check_gold(found: Violations, prompts: PromptSet, problem: Problem) -> None:
    """Require that a problem's messages contain its gold answer no more often than those of another question."""
    gold = re.compile(rf"(?<!\w){re.escape(problem.answer)}(?!\w)")

    def times(question: str, ask: Callable[[], Messages]) -> int:
        return len(gold.findall(_joined(ask()).replace(question, "")))

    other = _calls(prompts, QUESTIONS[0])
    for call, (ask, _) in _calls(prompts, problem.question).items():
        leaks = times(problem.question, ask) > times(QUESTIONS[0], other[call][0])
        found.require(not leaks, f"{call} reveals the gold answer {problem.answer!r} of {problem.question[:60]!r}")
