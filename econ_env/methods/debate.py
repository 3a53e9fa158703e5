"""Runs a multi-agent debate: in each round every agent reads the others' replies and answers again; majority wins.

Du, Li, Torralba, Tenenbaum, Mordatch 2023, "Improving Factuality and Reasoning in Language Models through Multiagent
Debate", https://arxiv.org/abs/2305.14325. As there, an agent's chat keeps all earlier rounds, so later rounds
cost more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from econ_env.errors import ConfigError
from econ_env.llm.seeding import derive_seed
from econ_env.methods.method import Answer
from econ_env.methods.sampling import TEMPERATURE, neutral_controls
from econ_env.records import Problem, Reply, Round, Strategy
from econ_env.team.rounds import Team

ROUNDS = 3
"""R by default."""


@dataclass(frozen=True)
class Debate:
    """A debate among the team's executors.

    The requests of the first r rounds are the same for every R. It ends early only if a round has no valid reply.
    """

    team: Team
    """Its executors debate; its coordinator is not asked."""
    n_rounds: int = ROUNDS
    """R >= 1; replies are independent in the first round, and see all earlier ones in later rounds."""
    temperature: float = TEMPERATURE
    """Temperature of every reply."""
    name: str = "debate"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        if self.n_rounds < 1:
            raise ConfigError(f"{self.name} needs at least one round, got {self.n_rounds}")

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Debate for R rounds; the answer of each round, also of the last, is the majority's."""
        rounds: list[Round] = []
        while len(rounds) < self.n_rounds and not (rounds and rounds[-1].failed):
            rounds.append(await self._round(problem, seed, rounds))
        return Answer.of(problem, seed, rounds)

    async def _round(self, problem: Problem, seed: int, before: list[Round]) -> Round:
        start = time.perf_counter()
        past = [round_.replies for round_ in before]
        prompts = [
            self.team.prompts.debate(
                problem.question,
                [replies[number].text for replies in past],
                [_others(replies, number) for replies in past],
                self.team.form(llm),
            )
            for number, llm in enumerate(self.team.executors)
        ]
        controls = [neutral_controls(self.team, self.temperature)] * len(prompts)
        index = len(before)
        # the first round uses the episode's seed, so its requests are those of self-consistency
        own_seed = derive_seed(seed, "debate", index) if index else seed
        replies = await self.team.replies(problem, prompts, controls, index=index, seed=own_seed)
        return Round(index, Strategy(None), replies, await self.team.vote(replies), time.perf_counter() - start)


def _others(replies: tuple[Reply, ...], number: int) -> list[str]:
    return [reply.text for place, reply in enumerate(replies) if place != number and reply.text is not None]
