"""Samples replies independently: one greedy call, self-consistency, and the best of N by the coordinator.

All samples use the executors' prompt without a plan. With several models, the samples are distributed in turn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from econ_env.errors import ConfigError
from econ_env.llm.seeding import derive_seed
from econ_env.methods.method import Answer
from econ_env.records import Commitment, Problem, PromptEmbedding, Reply, Round, Strategy
from econ_env.team.rounds import Team

TEMPERATURE = 0.7
"""Default temperature of baselines; self-consistency was introduced with it (https://arxiv.org/abs/2203.11171)."""
LOT = 1e-6
"""Largest share of a vote that decides a tie by lot."""
MOST = 10
"""Most asks of executors that share one model, if the team is not larger."""


def neutral_controls(team: Team, temperature: float) -> PromptEmbedding:
    """Controls with this temperature and a neutral p: no penalty, or the default top_p if p sets top_p."""
    return replace(team.config.sampling.neutral, temperature=temperature)


@dataclass(frozen=True)
class SingleCall:
    """One call of the first executor's model at temperature 0."""

    team: Team
    """The team that has the model."""
    name: str = "single"
    """Name in files and tables."""

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Ask once."""
        replies, seconds = await sample(self.team, problem, 1, 0.0, seed)
        return one_round(problem, seed, replies, await self.team.vote(replies), seconds)


@dataclass(frozen=True)
class SelfConsistency:
    """SC@k: k samples, the majority wins (Wang et al. 2023, https://arxiv.org/abs/2203.11171)."""

    team: Team
    """The team that has the models."""
    samples: int
    """k >= 1."""
    temperature: float = TEMPERATURE
    """Temperature of every sample."""
    name: str = "sc"
    """Name in files and tables."""
    lots: bool = False
    """Whether a tie is decided by lot instead of by the first sample; between different models, whose order means
    nothing, the first one would win ties only because it is named first."""

    def __post_init__(self) -> None:
        _at_least_one(self.name, self.samples)

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Sample k replies at once and let them vote."""
        replies, seconds = await sample(self.team, problem, self.samples, self.temperature, seed)
        commitment = await self.team.vote(replies, tie_lots(seed, len(replies)) if self.lots else None)
        return one_round(problem, seed, replies, commitment, seconds)


def tie_lots(seed: int, count: int) -> list[float]:
    """Weights of votes that decide a tie by lot and change nothing else.

    Args:
        seed: Seed of the method's answer.
        count: Number of votes.
    """
    return [1.0 + LOT * derive_seed(seed, "lot", number) / 2**31 for number in range(count)]


@dataclass(frozen=True)
class BestOfN:
    """N samples; the coordinator decides which result is right. Its answer counts even if no sample has it."""

    team: Team
    """The team that has the models and the coordinator."""
    samples: int
    """N >= 1."""
    temperature: float = TEMPERATURE
    """Temperature of every sample."""
    name: str = "best_of_n"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        _at_least_one(self.name, self.samples)
        if self.team.config.commitment == "vote":
            raise ConfigError(f"{self.name} lets the coordinator decide: set commitment to always, not vote")

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Sample N replies at once and let the coordinator decide."""
        replies, seconds = await sample(self.team, problem, self.samples, self.temperature, seed)
        start = time.perf_counter()
        commitment = await self.team.commit(problem, replies, index=0, seed=seed)
        return one_round(problem, seed, replies, commitment, seconds + time.perf_counter() - start)


def model_names(team: Team) -> tuple[str, ...]:
    """The model of each executor, by its name, or by its server's address until that has told the name."""
    return tuple(llm.info.model or llm.info.where for llm in team.executors)


def most_asks(team: Team) -> int:
    """Most asks of a problem by default: each executor once; at least `MOST` if all have the same model."""
    n_executors = len(team.executors)
    return n_executors if len(set(model_names(team))) > 1 else max(MOST, n_executors)


async def sample(
    team: Team, problem: Problem, count: int, temperature: float, seed: int, first: int = 0
) -> tuple[tuple[Reply, ...], float]:
    """Replies to the plain question, and the seconds they took.

    Asks are numbered: number a goes to executor a % n. A request depends on its number and the seed alone, so methods
    that ask the same number of the same problem send the same request.

    Args:
        team: The team that has the models.
        problem: The problem.
        count: How many to ask for, all at once.
        temperature: Temperature of every reply.
        seed: Seed of the method's answer.
        first: Number of the first ask.

    Raises:
        LLMRequestError: As `Team.replies`.
        BudgetError: As `Team.replies`.
    """
    start = time.perf_counter()
    models = [team.executors[number % len(team.executors)] for number in range(first, first + count)]
    prompts = [team.prompts.executor(problem.question, None, None, team.form(llm)) for llm in models]
    controls = [neutral_controls(team, temperature)] * count
    replies = await team.replies(problem, prompts, controls, index=0, seed=seed, first=first)
    return replies, time.perf_counter() - start


def one_round(
    problem: Problem, seed: int, replies: tuple[Reply, ...], commitment: Commitment, seconds: float
) -> Answer:
    """The answer of a method that asks once."""
    return Answer.of(problem, seed, [Round(0, Strategy(None), replies, commitment, seconds)])


def _at_least_one(name: str, samples: int) -> None:
    if samples < 1:
        raise ConfigError(f"{name} needs at least one sample, got {samples}")
