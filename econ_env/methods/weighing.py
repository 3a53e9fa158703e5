"""Asks every executor once and weighs their votes: by their accuracy on training problems, or by their confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from econ_env.errors import ConfigError
from econ_env.methods.method import Answer
from econ_env.methods.sampling import TEMPERATURE, one_round, sample
from econ_env.records import Problem
from econ_env.team.rounds import Team


@dataclass(frozen=True)
class BestSingle:
    """One call of the executor that is the best on training problems."""

    team: Team
    """The team that has the models."""
    executor: int
    """Number of the executor, from 0; the first of `order`."""
    temperature: float = TEMPERATURE
    """Temperature of the reply; that at which the executors were compared."""
    name: str = "best_single"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        if not 0 <= self.executor < len(self.team.executors):
            raise ConfigError(f"{self.name}: there is no executor {self.executor}")

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Ask once."""
        replies, seconds = await sample(self.team, problem, 1, self.temperature, seed, self.executor)
        return one_round(problem, seed, replies, await self.team.vote(replies), seconds)


@dataclass(frozen=True)
class WeightedVote:
    """All executors are asked once, and each one's vote has a fixed weight."""

    team: Team
    """The team that has the models."""
    weights: Sequence[float]
    """Weight of each executor; see `vote_weights`."""
    temperature: float = TEMPERATURE
    """Temperature of every reply."""
    name: str = "weighted_vote"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.team.executors) or not all(map(math.isfinite, self.weights)):
            raise ConfigError(
                f"{self.name} needs a weight for each of {len(self.team.executors)} executors, got {list(self.weights)}"
            )

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Ask all at once and let them vote."""
        replies, seconds = await sample(self.team, problem, len(self.weights), self.temperature, seed)
        return one_round(problem, seed, replies, await self.team.vote(replies, self.weights), seconds)


@dataclass(frozen=True)
class ConfidenceVote:
    """All executors are asked once, and each vote's weight follows from the confidence of its reply: CISC.

    Taubenfeld, Sheffer, Ofek et al. 2025, "Confidence Improves Self-Consistency in LLMs",
    https://arxiv.org/abs/2502.06233. The confidence is `Confidence.probability`, what they call response probability.
    """

    team: Team
    """The team that has the models; its replies must come with log-probabilities."""
    softmax_temperature: float
    """T of `confidence_weights`, > 0; see `cisc_temperature`."""
    temperature: float = TEMPERATURE
    """Temperature of every reply."""
    name: str = "cisc"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        if not self.softmax_temperature > 0.0:
            raise ConfigError(f"{self.name} needs a softmax temperature above 0, got {self.softmax_temperature}")

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Ask all at once and let them vote."""
        replies, seconds = await sample(self.team, problem, len(self.team.executors), self.temperature, seed)
        found = [math.nan if reply.confidence is None else reply.confidence.probability for reply in replies]
        weights = confidence_weights(found, self.softmax_temperature)
        return one_round(problem, seed, replies, await self.team.vote(replies, weights), seconds)


def confidence_weights(confidences: Sequence[float], softmax_temperature: float) -> list[float]:
    """softmax(confidence / T) over the replies to a problem.

    A reply whose confidence is unknown gets the mean weight of the others, so it votes as in a majority.

    Args:
        confidences: Confidence of each reply, in (0, 1], or NaN where it is unknown.
        softmax_temperature: T > 0; the larger, the more equal the weights.

    Returns:
        A weight >= 0 for each.
    """
    known = [value for value in confidences if not math.isnan(value)]
    if not known:
        return [1.0] * len(confidences)
    highest = max(known)
    raw = [math.exp((value - highest) / softmax_temperature) for value in confidences]  # NaN stays NaN
    total = math.fsum(value for value in raw if not math.isnan(value))
    return [1.0 / len(known) if math.isnan(value) else value / total for value in raw]
