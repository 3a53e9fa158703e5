"""Simulates a language model that plays coordinator and executors with a known chance of being right.

It is a pure function of the messages, the controls and the seed: no clock, no random state, no file. It knows the
answers of the problems it was made from. From the messages alone it recognises what to write:

* a strategy: a short plan without numbers,
* an executor's reply: the gold answer with the chance that the `Landscape` gives for (T, p) and the problem's kind,
  otherwise one of the problem's wrong answers, each with the same chance,
* the words of a decided answer for a reader, in the form that is asked for (see `econ_env.simulation.wording`),
* a commitment: the most frequent answer among the given solutions. A tie is decided by a draw that depends on question,
  answer and seed, but not on the order of the solutions.

The same function answers over HTTP: pass `SimulatedLLM(...).serve_reply` to a server that speaks the OpenAI protocol.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple, Self

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from econ_env.answers import extract_answer
from econ_env.errors import ConfigError, LLMReplyError, LLMRequestError
from econ_env.llm.protocol import ChatRequest, Completion, LLMInfo, Message
from econ_env.records import Problem, Usage
from econ_env.simulation.landscape import Landscape, unit_draw
from econ_env.simulation.wording import WordsAsked, worded
from econ_env.team.prompts import (
    DEFAULT_PROMPTS,
    LAST_ANSWER_HEADING,
    PLAN_HEADING,
    QUESTION_HEADING,
    REPLIES_HEADING,
    PromptSet,
    ReplyFormat,
)
from econ_env.team.wording import opening as wording_opening

MODEL = "simulated"

_PLAN_START = ("List what is given.", "Note what is known.", "Write down what the question states.")
_PLAN_MIDDLE = ("Set up the calculation.", "Find which quantities belong together.", "Put the steps in order.")
_PLAN_END = ("Then check the units.", "Then check the size of what comes out.", "Then look back at the question.")
_THOUGHTS = (
    "I take what is given and go step by step.",
    "First I sort the quantities, then I combine them.",
    "I work through the question in order.",
)

_TOKEN = re.compile(r"\w+|[^\w\s]")
_NUMBERED = re.compile(r"(?:^|\n\n)" + re.escape(REPLIES_HEADING) + r"\d+: ")
_NEXT_HEADING = rf"\n\n(?:{re.escape(PLAN_HEADING)}|{re.escape(LAST_ANSWER_HEADING)}|{re.escape(REPLIES_HEADING)}\d+: )"
_MARK = "\0"
"""Placeholder for the question, to find the prompt text after it."""
_FORMS: tuple[ReplyFormat, ...] = ("text", "json")


class _Ask(NamedTuple):
    """A request as read from its messages."""

    role: Literal["strategy", "executor", "commitment", "words"]
    question: str
    solutions: tuple[str, ...]
    as_json: bool


class _BodyMessage(BaseModel):
    role: str
    content: str


class _Body(BaseModel):
    """The used fields of an OpenAI chat-completions request; missing controls are neutral, a missing seed is 0."""

    messages: list[_BodyMessage] = Field(min_length=1)
    temperature: float = 1.0
    repetition_penalty: float = Field(1.0, validation_alias=AliasChoices("repetition_penalty", "repeat_penalty"))
    top_p: float = 1.0
    seed: int = 0
    max_tokens: int | None = Field(None, validation_alias=AliasChoices("max_tokens", "max_completion_tokens"))
    response_format: dict[str, Any] = Field(default_factory=dict)


class _Reader(NamedTuple):
    """Recognises what a request asks for by the first sentence of its system message, and where the question ends."""

    plans: frozenset[str]
    condenses: frozenset[str]
    question_end: re.Pattern[str]

    @classmethod
    def of(cls, prompts: PromptSet) -> Self:
        """Make a reader for a prompt set.

        Raises:
            ConfigError: Prompts for different roles begin with the same sentence.
        """
        plans = [prompts.strategy(_MARK, 1)]
        replies = [prompts.executor(_MARK, None, None, form) for form in _FORMS]
        condenses = [prompts.commitment(_MARK, (), form) for form in _FORMS]
        openings = [frozenset(map(_opening, asked)) for asked in (plans, replies, condenses)]
        if len(frozenset.union(*openings)) < sum(map(len, openings)):
            raise ConfigError(
                f"the simulated model can't read the prompts {prompts.name}: system messages of strategy, executor and "
                "commitment begin alike; give each a different first sentence"
            )
        tails = {asked[-1].content.partition(_MARK)[2] for asked in (*plans, *replies, *condenses)} - {""}
        ends = [_NEXT_HEADING, *map(re.escape, sorted(tails))]
        return cls(openings[0], openings[2], re.compile("|".join(ends)))

    def read(self, messages: Sequence[Message | _BodyMessage], schema: bool) -> _Ask:
        """What the messages of a request ask for.

        Raises:
            LLMReplyError: No message holds a question.
        """
        if _opening(messages) == wording_opening():
            return _Ask("words", next(said.content for said in messages if said.role == "user"), (), schema)
        asked = [said.content for said in messages if said.role == "user" and QUESTION_HEADING in said.content]
        if not asked:
            raise LLMReplyError(f"the simulated model found no {QUESTION_HEADING.strip()!r} in the messages")
        body = asked[-1].partition(QUESTION_HEADING)[2]
        end = self.question_end.search(body)
        question, rest = (body, "") if end is None else (body[: end.start()], body[end.start() :])
        as_json = schema or any("JSON" in message.content for message in messages if message.role == "system")
        opening = _opening(messages)
        if opening in self.plans:
            return _Ask("strategy", question, (), False)
        if opening in self.condenses:
            return _Ask("commitment", question, tuple(_NUMBERED.split(rest)[1:]), as_json)
        return _Ask("executor", question, (), as_json)


class SimulatedLLM:
    """A language model whose chance of being right is known; speaks the `LLM` protocol.

    HTTP requests have one number for seed and sample index, so only their sum counts here:
    (seed + sample_index) mod 2**31.

    Args:
        problems: Problems that it can be asked; it knows their answers.
        landscape: How likely an executor is right; by default each kind's peak follows from its name.
        latency: Seconds that each call takes, >= 0.
        prompts: The prompt set of its requests.

    Raises:
        ConfigError: Two problems have the same question but not the same answer and kind, latency is negative, or
            prompts for different roles begin alike.
    """

    def __init__(
        self,
        problems: Iterable[Problem],
        landscape: Landscape | None = None,
        *,
        latency: float = 0.0,
        prompts: PromptSet = DEFAULT_PROMPTS,
    ) -> None:
        if latency < 0.0:
            raise ConfigError(f"latency must not be negative, got {latency}")
        self.landscape = Landscape() if landscape is None else landscape
        self.latency = latency
        self._reader = _Reader.of(prompts)
        self._key: dict[str, tuple[str, str]] = {}
        for problem in problems:
            known = self._key.setdefault(problem.question.strip(), (problem.answer, problem.kind))
            if known != (problem.answer, problem.kind):
                raise ConfigError(f"problem {problem.id!r} repeats a question with another answer or kind")

    @property
    def info(self) -> LLMInfo:
        """Description of the model."""
        return LLMInfo(backend="simulated", model=MODEL, where="", json_mode=True)

    async def complete(self, request: ChatRequest) -> Completion:
        """Answer one request, after `latency` seconds.

        Raises:
            LLMReplyError: The question is not among the problems, or the messages hold none.
        """
        if self.latency:
            await asyncio.sleep(self.latency)
        by_top_p = self.landscape.sampling.second_action == "top_p"
        text = self._text(
            self._reader.read(request.messages, request.json_schema is not None),
            (request.temperature, request.top_p if by_top_p else request.repetition_penalty),
            (request.seed + request.sample_index) % 2**31,
            request.json_schema,
        )
        cut = _cut(text, request.max_tokens)
        usage = Usage(
            calls=1,
            prompt_tokens=sum(count_tokens(message.content) for message in request.messages),
            completion_tokens=count_tokens(cut),
        )
        return Completion(cut, "stop" if cut == text else "length", request.model or MODEL, usage)

    async def aclose(self) -> None:
        """Nothing to release."""

    def serve_reply(self, body: Mapping[str, Any]) -> str:
        """The same answer as `complete`, for the body of an OpenAI chat-completions request.

        Args:
            body: `messages`, and as far as given `temperature`, `repetition_penalty` (or `repeat_penalty`), `top_p`,
                `seed`, `max_tokens`, `response_format`. Anything else is ignored.

        Raises:
            LLMRequestError: The body is not such a request, or the messages hold no question.
            LLMReplyError: The question is not among the problems.
        """
        try:
            read = _Body.model_validate({name: value for name, value in body.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise LLMRequestError(f"not a chat-completions request: {where}: {first['msg']}") from None
        by_top_p = self.landscape.sampling.second_action == "top_p"
        try:
            ask = self._reader.read(read.messages, read.response_format.get("type", "text") != "text")
        except LLMReplyError as error:
            raise LLMRequestError(str(error)) from None  # no further attempt would help
        controls = (read.temperature, read.top_p if by_top_p else read.repetition_penalty)
        asked_schema = read.response_format.get("json_schema", {}).get("schema")
        return _cut(self._text(ask, controls, read.seed % 2**31, asked_schema), read.max_tokens)

    def wrong_answers(self, question: str) -> tuple[str, ...]:
        """The wrong answers that executors may give to a question.

        Raises:
            LLMReplyError: The question is not among the problems.
        """
        gold, _ = self._lookup(question)
        return wrong_answers(question, gold, self.landscape.wrong_answers)

    def _lookup(self, question: str) -> tuple[str, str]:
        found = self._key.get(question.strip())
        if found is None:
            raise LLMReplyError(
                f"the simulated model has no answer to {question[:60]!r}; make it from all problems that it is asked"
            )
        return found

    def _text(
        self, ask: _Ask, controls: tuple[float, float], seed: int, schema: Mapping[str, Any] | None = None
    ) -> str:
        if ask.role == "words":
            return worded(WordsAsked.read(ask.question), schema)
        gold, kind = self._lookup(ask.question)
        if ask.role == "strategy":
            parts = (_PLAN_START, _PLAN_MIDDLE, _PLAN_END)
            return " ".join(_pick(options, "plan", number, seed) for number, options in enumerate(parts))
        if ask.role == "commitment":
            return _vote(ask, seed)
        if self.landscape.is_right(ask.question, kind, controls, seed):
            answer = gold
        else:
            answer = _pick(self.wrong_answers(ask.question), "wrong", ask.question, seed)
        return _written(_pick(_THOUGHTS, "thought", seed), answer, ask.as_json)


def wrong_answers(question: str, gold: str, count: int) -> tuple[str, ...]:
    """Plausible wrong answers, all different: neighbours of a number, other letters of a choice, else plain numbers.

    Args:
        question: The problem's question.
        gold: Its answer.
        count: How many, at most 20.
    """
    choice = re.fullmatch(r"(\(?)([A-Z])(\)?)", gold.strip()) or re.match(r"(\()([A-J])(\)) ", gold)
    if choice:
        before, letter, after = choice.groups()
        others = [chr(code) for code in range(ord("A"), ord("Z")) if chr(code) != letter]
        return tuple(f"{before}{other}{after}" for other in others[:count])
    value = _number(gold)
    if value is None:
        start = 211 + int(500 * unit_draw("wrong answers", question))
        return tuple(str(start + 13 * number) for number in range(count))
    # Steps grow with the number, so that no tolerance takes a wrong answer for a right one.
    step = Decimal(10 ** max(0, value.adjusted() - 1))
    near = (value + sign * number * step for number in range(1, 2 * count + 1) for sign in (1, -1))
    same_side = [other for other in near if (other < 0) == (value < 0)]
    return tuple(f"{other:f}" for other in same_side[:count])


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def count_tokens(text: str) -> int:
    """Tokens of a text by the simulated model's count: words, numbers and single signs."""
    return len(_TOKEN.findall(text))


def _cut(text: str, tokens: int | None) -> str:
    ends = [match.end() for match in _TOKEN.finditer(text)]
    return text if tokens is None or len(ends) <= tokens else text[: ends[tokens - 1]]


def _pick(options: Sequence[str], *parts: str | int) -> str:
    return options[int(unit_draw("pick", *parts) * len(options))]


def _written(reasoning: str, answer: str, as_json: bool) -> str:
    if as_json:
        return json.dumps({"reasoning": reasoning, "answer": answer}, ensure_ascii=False)
    return f"{reasoning}\nThe answer is {answer}."


def _vote(ask: _Ask, seed: int) -> str:
    read = [extract_answer(solution).answer for solution in ask.solutions]
    votes = Counter(answer for answer in read if answer is not None)
    if not votes:
        raise LLMReplyError(f"none of the {len(ask.solutions)} solutions to {ask.question[:60]!r} states an answer")
    most = max(votes.values())
    tied = [answer for answer, count in votes.items() if count == most]
    winner = min(tied, key=lambda answer: unit_draw("lot", ask.question, answer, seed))
    return _written("I compare the solutions and keep what most of them say.", winner, ask.as_json)


def _opening(messages: Sequence[Message | _BodyMessage]) -> str:
    """The first sentence of the system message."""
    system = next((message.content for message in messages if message.role == "system"), "")
    return system.split(". ")[0]
