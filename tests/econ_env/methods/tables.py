"""Teams that answer from a table: what ask number a of any problem says, and by which model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from econ_env.answers import DEFAULT_RULE, AnswerRule
from econ_env.config import EnvConfig
from econ_env.errors import LLMUnavailableError
from econ_env.methods import Answer, Method, judged
from econ_env.records import Confidence, Problem
from econ_env.team.rounds import Team
from econ_env.testing.scripted import ScriptedLLM

PROBLEM = Problem("What is 2 + 2?", "4", "p1")

Said = int | str | None
"""A number as answer, a whole text, or `None` for a call that fails."""


class Sure(ScriptedLLM):
    """Answers from the table, with a confidence for each ask where one is given."""

    confidences: Mapping[int, float] = {}

    async def complete(self, request):
        done = await super().complete(request)
        mean = self.confidences.get(number_of(request))
        return done if mean is None else replace(done, confidence=Confidence(mean, mean, 9))


def number_of(request) -> int:
    return int(request.agent.removeprefix("executor_"))


def table_team(
    said: Sequence[Said] | Mapping[str, Sequence[Said]],
    models: Sequence[str] = ("a", "a", "a"),
    confidences: Mapping[int, float] | None = None,
    rule: AnswerRule = DEFAULT_RULE,
) -> tuple[Team, list]:
    """A team, and the list of its requests in the order in which they were made.

    Args:
        said: What ask 0, 1, ... says, the last one again and again; by problem id if problems differ.
        models: The model of each executor.
        confidences: Mean log-probability by ask.
        rule: Reads and compares.
    """
    requests: list = []

    def say(request):
        requests.append(request)
        own = said[request.problem_id] if isinstance(said, Mapping) else said
        word = own[min(number_of(request), len(own) - 1)]
        if word is None:
            raise LLMUnavailableError("gone")
        return word if isinstance(word, str) else f"{request.agent} finds it. The answer is {word}."

    made = {}
    for name in models:
        made[name] = Sure(say)
        made[name].info = replace(made[name].info, model=name)
        made[name].confidences = confidences or {}
    executors = tuple(made[name] for name in models)
    return Team(executors[0], executors, EnvConfig(n_agents=len(models)), rule=rule), requests


def answered(method: Method, problem: Problem = PROBLEM, seed: int = 11) -> Answer:
    """A judged answer."""

    async def answer():
        return await judged(await method.answer(problem, seed), DEFAULT_RULE)

    return asyncio.run(answer())


def numbers(requests) -> list[int]:
    """The numbers of these asks."""
    return [number_of(request) for request in requests]


def verdict(answer: Answer) -> str | None:
    judgement = answer.episode.decisions[-1].judgement
    return None if judgement is None else judgement.verdict
