"""Makes every text that is sent to a model, from the problem and the team's earlier texts, with pure functions.

Text that all problems share comes first, so that a server's prompt cache can reuse it. A change of any text here needs
a new `PROMPT_VERSION`, which is written into every result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from econ_env import plugins
from econ_env.llm.protocol import Message

PROMPT_VERSION = "econ-prompts-v3"

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
"""JSON schema of a reply or a commitment; the reasoning comes before the answer."""

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
# A small model that must give a reason first calculates again instead of comparing. In 33 SVAMP rounds the executors
# differed and one was right: a 0.5B coordinator chose right in 13 with a reason, and in 23 with the answer alone.
_COMMITMENT = {
    "text": (
        "You are given a math problem and several solutions. Decide which result is right. "
        "Reply with one line of the form: The answer is X."
    ),
    "json": (
        "You are given a math problem and several solutions. Decide which result is right. Reply with one JSON object: "
        '{"reasoning": "one short sentence", "answer": "the final answer alone"}.'
    ),
}
_DEBATE_HEARD = "These solutions are by other agents; any of them, and your own, may be wrong."
# The question comes last, and the answer's format is not repeated: otherwise small models answer without any steps.
_DEBATE_AGAIN = {
    "text": "Use what is right in them, and solve the problem again in a few short steps.",
    "json": "Use what is right in them, and solve the problem again. Reply with one JSON object as before.",
}
_DEBATE_ALONE = {
    "text": "Check your solution, and solve the problem again in a few short steps.",
    "json": "Check your solution, and solve the problem again. Reply with one JSON object as before.",
}


class PromptSet(Protocol):
    """All prompts of the models; any object with these attributes can be given as `prompts=`.

    The answer rule must be able to read the answer in the replies and commitments that the prompts ask for; in `json`
    these must follow `REPLY_SCHEMA`. The simulated model can read prompts that keep the headings of this module and
    whose system messages for strategy, executor and commitment begin with different sentences.

    It must be picklable, and its functions pure; `econ_env.testing.check_prompt_set` tests all of this.
    """

    @property
    def name(self) -> str:
        """Name and version, written into every result. A change of any text needs a new one."""

    def strategy(self, question: str, tokens: int) -> tuple[Message, ...]:
        """The prompt for the coordinator's plan of at most `tokens` tokens."""

    def executor(
        self, question: str, strategy: str | None, last_answer: str | None, form: ReplyFormat
    ) -> tuple[Message, ...]:
        """The prompt for an executor's reply."""

    def commitment(self, question: str, replies: Sequence[str], form: ReplyFormat) -> tuple[Message, ...]:
        """The prompt for a commitment: condense replies, or the local commitments of clusters, into one answer."""

    def debate(
        self, question: str, said: Sequence[str | None], heard: Sequence[Sequence[str]], form: ReplyFormat
    ) -> tuple[Message, ...]:
        """The prompt for an agent's next reply in a debate."""


class _Example(NamedTuple):
    """A solved problem, shown to models that reply in text: the smallest ones follow examples, not rules."""

    question: str
    plan: str
    solutions: tuple[str, str, str]
    reply: str
    commitment: str


_EXAMPLES = (
    _Example(
        "Tom has 5 apples and buys 3 more. How many apples does he have?",
        "Add the apples he buys to those he has.",
        ("5 + 3 = 8. The answer is 8.", "5 - 3 = 2. The answer is 2.", "3 more than 5 is 8. The answer is 8."),
        "5 + 3 = 8. The answer is 8.",
        "The answer is 8.",
    ),
    _Example(
        "A shelf holds 9 books. Mia takes 4 of them and brings back 1. How many books are on the shelf?",
        "Subtract the books she takes, then add the one she brings back.",
        (
            "9 + 4 + 1 = 14. The answer is 14.",
            "9 - 4 = 5, and 5 + 1 = 6. The answer is 6.",
            "9 - 4 = 5. The answer is 5.",
        ),
        "9 - 4 = 5, and 5 + 1 = 6. The answer is 6.",
        "The answer is 6.",
    ),
)


@dataclass(frozen=True, slots=True)
class EconPrompts:
    """The default prompts, worded so that small models can follow them too."""

    name: str = PROMPT_VERSION

    def strategy(self, question: str, tokens: int) -> tuple[Message, ...]:
        """The prompt for the coordinator's plan of at most `tokens` tokens."""
        messages = [Message("system", _STRATEGY.format(tokens=tokens))]
        for example in _EXAMPLES:
            messages += [Message("user", _asks_plan(example.question)), Message("assistant", example.plan)]
        return (*messages, Message("user", _asks_plan(question)))

    def executor(
        self, question: str, strategy: str | None, last_answer: str | None, form: ReplyFormat
    ) -> tuple[Message, ...]:
        """The prompt for an executor's reply.

        Args:
            question: The problem's question.
            strategy: The coordinator's plan, if there is one.
            last_answer: The answer of the last commitment, if there is one.
            form: Format of the reply, JSON or text.
        """
        # The last answer comes before the question: a small model does not follow the examples' format if text comes
        # after the question. Of 30 SVAMP problems a 0.5B model solved 4 with the answer after the question (19 replies
        # ran out of tokens), 8 with it before the question (2 replies), and 9 without it, in the first round.
        parts = [] if last_answer is None else [f"{LAST_ANSWER_HEADING}{last_answer}\nIt may be wrong."]
        parts.append(f"{QUESTION_HEADING}{question}")
        if strategy:
            parts.append(f"{PLAN_HEADING}{strategy}")
        asked = Message("user", "\n\n".join(parts))
        shown = [(f"{QUESTION_HEADING}{example.question}", example.reply) for example in _EXAMPLES]
        return (Message("system", _EXECUTOR[form]), *(_turns(shown) if form == "text" else ()), asked)

    def commitment(self, question: str, replies: Sequence[str], form: ReplyFormat) -> tuple[Message, ...]:
        """The prompt for a commitment: condense the replies into one answer."""
        asked = Message("user", _with_solutions(question, replies))
        shown = [(_with_solutions(example.question, example.solutions), example.commitment) for example in _EXAMPLES]
        return (Message("system", _COMMITMENT[form]), *(_turns(shown) if form == "text" else ()), asked)

    def debate(
        self, question: str, said: Sequence[str | None], heard: Sequence[Sequence[str]], form: ReplyFormat
    ) -> tuple[Message, ...]:
        """The prompt for an agent's next reply in a debate, with the others' replies of each round so far.

        The chat holds all earlier rounds, as in Du et al. 2023 (https://arxiv.org/abs/2305.14325). It starts with the
        executor's prompt without a plan. In the first round `said` and `heard` are empty, and it is only this prompt.

        Args:
            question: The problem's question.
            said: The agent's own reply in each round; `None` if its call failed.
            heard: The others' valid replies in each round.
            form: Format of the replies, JSON or text.
        """
        messages = list(self.executor(question, None, None, form))
        asked = messages[-1].content
        for own, others in zip(said, heard, strict=True):
            parts = [_DEBATE_HEARD] if others else []
            parts += [f"{REPLIES_HEADING}{number}: {reply.strip()}" for number, reply in enumerate(others, start=1)]
            parts += [_DEBATE_AGAIN[form] if others else _DEBATE_ALONE[form], asked]
            if own is not None:
                messages.append(Message("assistant", own))
            else:  # the last message has no answer, and some servers refuse two user messages in a row
                parts.insert(0, messages.pop().content.removesuffix(asked))
            messages.append(Message("user", "\n\n".join(part.strip() for part in parts if part.strip())))
        return tuple(messages)


DEFAULT_PROMPTS = EconPrompts()
"""The prompts used by default."""


def make_prompts(spec: str | PromptSet) -> PromptSet:
    """Make the prompts that a setting names.

    Args:
        spec: `econ`, the name of a set that a package registers, `module:attribute`, or a prompt set.

    Raises:
        ConfigError: There is no such set, or it lacks a member of `PromptSet`.
    """
    if spec == "econ":
        return DEFAULT_PROMPTS
    prompts: PromptSet = plugins.make(plugins.PROMPT_SETS, spec)
    return prompts


def _asks_plan(question: str) -> str:
    return f"{QUESTION_HEADING}{question}\n\nWrite the plan."


def _with_solutions(question: str, replies: Sequence[str]) -> str:
    parts = [f"{QUESTION_HEADING}{question}"]
    parts += [f"{REPLIES_HEADING}{number}: {reply.strip()}" for number, reply in enumerate(replies, start=1)]
    return "\n\n".join(parts)


def _turns(shown: Sequence[tuple[str, str]]) -> list[Message]:
    turns: list[Message] = []
    for asked, answered in shown:
        turns += [Message("user", asked), Message("assistant", answered)]
    return turns
