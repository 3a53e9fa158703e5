"""Plays a simulated team with failed calls and missing answers, to collect inputs of reward terms and parts.

The teams have one, three and six executors (six in clusters), and four that may stay silent. Episodes have two
decisions, some of them two rounds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from econ_env.errors import LLMReplyError
from econ_env.factory import parallel_env
from econ_env.llm.protocol import ChatRequest, Completion, LLMInfo
from econ_env.observations.known import Known
from econ_env.problems.load import ProblemSet, load_problems
from econ_env.records import Confidence
from econ_env.rewards.added import Submission
from econ_env.simulation.landscape import unit_draw
from econ_env.simulation.model import SimulatedLLM

TEAMS: tuple[tuple[int, dict[str, Any]], ...] = (
    (1, {}),
    (3, {}),
    (6, {}),
    (4, {"sampling": {"controls": ["temperature", "speak", "weight"]}, "commitment": "weighted"}),
)
"""Number of executors and settings of each team."""
PROBLEMS = 6


class _Unreliable:
    """The simulated model, but some calls fail, some give no answer, and some have a confidence."""

    def __init__(self, problems: ProblemSet) -> None:
        self._llm = SimulatedLLM(problems)

    @property
    def info(self) -> LLMInfo:
        return self._llm.info

    async def complete(self, request: ChatRequest) -> Completion:
        draw = unit_draw("unreliable", request.role, request.messages[-1].content, request.seed)
        if draw < 0.2:
            raise LLMReplyError("it fails now and then")
        done = await self._llm.complete(request)
        if draw > 0.6:
            done = replace(done, confidence=Confidence(mean=-draw, lowest=-4.0 * draw, tokens=20))
        return replace(done, text="I do not know.") if draw < 0.4 and request.role != "strategy" else done

    async def aclose(self) -> None:
        """Nothing to release."""


class _Seen:
    """A reward term and an observation part that record their inputs."""

    name = "seen"
    dim = 1

    def __init__(self) -> None:
        self.submissions: list[tuple[Submission, int]] = []
        self.known: list[Known] = []

    def value(self, submission: Submission, agent: int) -> float:
        self.submissions.append((submission, agent))
        return 0.0

    def values(self, known: Known) -> list[float]:
        self.known.append(known)
        return [0.0]


def sample_submissions() -> list[tuple[Submission, int]]:
    """Submissions, each with the number of an executor whose reply is valid."""
    return _play().submissions


def sample_known() -> list[Known]:
    """What executors know, before and after rounds and decisions."""
    return _play().known


def _play() -> _Seen:
    seen, rng = _Seen(), np.random.default_rng(0)
    problems = load_problems("bundled:1", split="test", limit=PROBLEMS)
    for n_agents, config in TEAMS:
        env = parallel_env(
            problems,
            n_agents=n_agents,
            llm=_Unreliable(problems),
            embedder="hash",
            max_rounds=2,
            reward_terms=[seen],
            reward_weights=(0.1, 0.7, 0.1, 0.1),
            observation_parts=[seen],
            config=config,
        )
        space = env.action_space(env.possible_agents[0])
        low, high = ((0.1, 1.0), (2.0, 1.5)) if not config else (space.low, space.high)
        for number in range(PROBLEMS):
            env.reset(seed=number, options={"problem": number})
            while env.agents:
                actions = {agent: rng.uniform(low, high) for agent in env.agents}
                if number % 2:
                    env.deliberate({agent: action * 0.9 for agent, action in actions.items()})
                env.step(actions)
    return seen
