"""Checks that a factory makes methods in the sense of `econ_env.methods.Method`.

>>> from econ_env.testing import check_method
>>> check_method(MyMethod)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from econ_env.answers import DEFAULT_RULE
from econ_env.config import EnvConfig
from econ_env.errors import LLMReplyError
from econ_env.llm.protocol import ChatRequest, Completion, LLMInfo
from econ_env.methods import Answer, Method, judged
from econ_env.problems.load import ProblemSet, load_problems
from econ_env.records import Problem, Round, Usage
from econ_env.simulation.model import SimulatedLLM
from econ_env.team.rounds import Team
from econ_env.testing.violations import Violations

N_AGENTS = 3
PROBLEMS = 4
OTHER_GOLD = "731904"

Asked = tuple[ChatRequest, ...]


class _Recorded:
    """The simulated model; records its requests, and fails every `fails_every`-th call."""

    def __init__(self, problems: ProblemSet, fails_every: int = 0) -> None:
        self._llm = SimulatedLLM(problems)
        self._fails_every = fails_every
        self.asked: list[ChatRequest] = []

    @property
    def info(self) -> LLMInfo:
        return self._llm.info

    async def complete(self, request: ChatRequest) -> Completion:
        self.asked.append(request)
        await asyncio.sleep(0)
        if self._fails_every and len(self.asked) % self._fails_every == 0:
            raise LLMReplyError("it fails now and then")
        return await self._llm.complete(request)

    async def aclose(self) -> None:
        """Nothing to release."""


def check_method(make: Callable[[Team], Method]) -> None:
    """Check a method on a simulated team of three.

    Args:
        make: Makes the method from a team, like the factory registered under its name; called several times.

    Raises:
        CheckError: All errors found, one per line.
    """
    problems = load_problems("bundled:1", split="test", limit=PROBLEMS)
    with Violations() as found:
        with found.guarding("making it"):
            method = make(_team(_Recorded(problems)))
            found.require(isinstance(method.name, str) and bool(method.name.strip()), "name must be text")
        with found.guarding("answer"):
            answer, asked = _play(make, problems, problems[0])
            _check_answer(found, answer, problems[0], asked)
            again = _play(make, problems, problems[0])
            same = again[1] == asked and _said(again[0]) == _said(answer)
            found.require(same, "the same problem and seed must give the same requests and answers")
            blind, blind_asked = _play(make, problems, replace(problems[0], answer=OTHER_GOLD))
            ignores = blind_asked == asked and _said(blind) == _said(answer)
            found.require(ignores, "the gold answer must not be used: another one changed its requests or answers")
        with found.guarding("answer, of many problems at once,"):
            _check_together(found, make, problems)
        with found.guarding("answer, when every other call fails,"):
            answer, _ = _play(make, problems, problems[1], fails_every=2)
            _check_answer(found, answer, problems[1], None)
        with found.guarding("answer, when every call fails,"):
            answer, _ = _play(make, problems, problems[1], fails_every=1)
            lost = bool(answer.rounds) and answer.rounds[-1].failed and answer.text is None
            found.require(lost, "when every call fails, the last round must have a commitment of source none")


def _team(llm: _Recorded) -> Team:
    return Team(llm, (llm,) * N_AGENTS, EnvConfig(n_agents=N_AGENTS), rule=DEFAULT_RULE)


def _play(
    make: Callable[[Team], Method], problems: ProblemSet, problem: Problem, fails_every: int = 0
) -> tuple[Answer, Asked]:
    """A judged answer, and the requests that were made for it."""
    llm = _Recorded(problems, fails_every)

    async def play() -> Answer:
        return await judged(await make(_team(llm)).answer(problem, 7), DEFAULT_RULE)

    return asyncio.run(play()), tuple(llm.asked)


def _said(answer: Answer) -> list[Round]:
    return [replace(round_, seconds=0.0) for round_ in answer.rounds]


def _check_answer(found: Violations, answer: Answer, problem: Problem, asked: Asked | None) -> None:
    if not found.require(isinstance(answer, Answer), f"answer must return an Answer, got {type(answer).__name__}"):
        return
    found.require(answer.episode.problem == problem, "the episode of an answer must be that of the problem asked")
    if not found.require(bool(answer.rounds), "an answer needs at least one round"):
        return
    last = answer.rounds[-1]
    said = [reply for reply in last.replies if not reply.silent]
    told = all(reply.text is not None if reply.valid else reply.error is not None for reply in said)
    found.require(told, "a valid reply needs its text, an invalid one its error")
    judgement = answer.episode.decisions[-1].judgement
    found.require((judgement is None) == last.failed, "a round must be judged unless nothing valid came back")
    if asked is not None:
        used = sum(answer.usage.values(), Usage()).calls
        found.require(used == len(asked), f"its usage must count every call: it says {used}, {len(asked)} were made")


def _check_together(found: Violations, make: Callable[[Team], Method], problems: ProblemSet) -> None:
    method = make(_team(_Recorded(problems)))

    async def together() -> list[Answer]:
        answers = await asyncio.gather(*(method.answer(problem, 7) for problem in problems))
        return [await judged(answer, DEFAULT_RULE) for answer in answers]

    for answer, problem in zip(asyncio.run(together()), problems, strict=True):
        alone, _ = _play(make, problems, problem)
        found.require(_said(answer) == _said(alone), "problems answered at once must not affect each other")
