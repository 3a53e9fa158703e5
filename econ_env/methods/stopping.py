"""Asks one by one, or a few at a time, and stops when enough replies agree.

Asks are numbered as in `sample`: the first replies of these methods are those of self-consistency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb

from econ_env.answers import judging, labels_of
from econ_env.errors import ConfigError
from econ_env.methods.method import Answer
from econ_env.methods.sampling import TEMPERATURE, most_asks, sample
from econ_env.records import Problem, Reply, Round, Strategy
from econ_env.team.rounds import Team

THRESHOLD = 0.8
"""Default threshold of `AdaptiveConsistency`."""
WINDOW = 2
"""Default w of `EarlyStopping`."""
AGREE = 2
"""Default number of `BestFirst`."""


@dataclass
class _Asked:
    """What was asked about a problem so far; every wave of asks is a round, which adds to those before it."""

    team: Team
    problem: Problem
    temperature: float
    seed: int
    rounds: list[Round] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    labels: tuple[int, ...] = ()
    """Labels of all answers, see `labels_of`."""

    @property
    def votes(self) -> list[int]:
        """Votes of each answer, the largest number first."""
        return sorted(Counter(label for label in self.labels if label >= 0).values(), reverse=True)

    async def ask(self, first: int, count: int = 1) -> None:
        """Ask `count` at once, starting with number `first`; the majority of all replies so far is the commitment."""
        replies, seconds = await sample(self.team, self.problem, count, self.temperature, self.seed, first)
        self.replies += replies
        answers = [reply.answer if reply.valid else None for reply in self.replies]
        self.labels = await judging(self.team.rule, labels_of, answers, self.team.rule)
        commitment = await self.team.vote(self.replies)
        place = len(self.rounds)
        self.rounds.append(Round(place, Strategy(None), replies, commitment, seconds, adds=place > 0))

    def answer(self) -> Answer:
        """The majority of all replies."""
        return Answer.of(self.problem, self.seed, self.rounds)


@dataclass(frozen=True)
class AdaptiveConsistency:
    """Asks one by one until the majority is unlikely to change.

    Aggarwal, Madaan, Yang, Mausam 2023, "Let's Sample Step by Step", https://arxiv.org/abs/2305.11860, with the
    stopping criterion that they call Beta.
    """

    team: Team
    """Its executors are asked in turn."""
    threshold: float = THRESHOLD
    """It stops when `surety` exceeds this; in (0.5, 1)."""
    temperature: float = TEMPERATURE
    """Temperature of every reply."""
    most: int | None = None
    """Most asks, >= 1; by default `most_asks`."""
    name: str = "adaptive_consistency"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        if not 0.5 < self.threshold < 1.0:
            raise ConfigError(f"{self.name} needs a threshold between 0.5 and 1, got {self.threshold}")
        _check_most(self.name, self.most)

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Ask until the majority is sure enough, or `most` were asked."""
        asked = _Asked(self.team, problem, self.temperature, seed)
        for number in range(_most(self.team, self.most)):
            await asked.ask(number)
            first, second = (*asked.votes, 0, 0)[:2]
            if surety(first, second) > self.threshold:
                break
        return asked.answer()


def surety(first: int, second: int) -> float:
    """P(p > 1/2) for p from Beta(first + 1, second + 1).

    For whole numbers this is a tail of the binomial distribution, P(X <= first) with X from B(first + second + 1, 1/2).

    Args:
        first: Votes of the most frequent answer, >= 0.
        second: Votes of the next one, >= 0.

    Returns:
        A probability; 1/2 for equal votes.
    """
    trials = first + second + 1
    return float(sum(comb(trials, hits) for hits in range(first + 1)) / 2**trials)


@dataclass(frozen=True)
class EarlyStopping:
    """Asks in windows until all replies of a window have the same answer: ESC.

    Li, Yuan, Feng et al. 2024, "Escape Sky-high Cost: Early-stopping Self-Consistency for Multi-step Reasoning",
    https://arxiv.org/abs/2401.10480.
    """

    team: Team
    """Its executors are asked in turn."""
    window: int = WINDOW
    """w >= 2, the number asked at once."""
    temperature: float = TEMPERATURE
    """Temperature of every reply."""
    most: int | None = None
    """Most asks, >= 1; by default `most_asks`. The last window may be smaller."""
    name: str = "esc"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ConfigError(f"{self.name} needs windows of at least 2, got {self.window}")
        _check_most(self.name, self.most)

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Ask until a window is unanimous, or `most` were asked; the majority of all replies answers."""
        asked = _Asked(self.team, problem, self.temperature, seed)
        most = _most(self.team, self.most)
        for first in range(0, most, self.window):
            await asked.ask(first, min(self.window, most - first))
            seen = set(asked.labels[first:])
            if len(seen) == 1 and min(seen) >= 0:
                break
        return asked.answer()


@dataclass(frozen=True)
class BestFirst:
    """Asks the best executor first, then the next, until enough replies agree.

    Ties go to the answer whose first supporter comes first.
    """

    team: Team
    """The team that has the models."""
    order: Sequence[int]
    """The executors' numbers, the best on training problems first; see `order`."""
    agree: int = AGREE
    """It stops when so many replies have the same answer, >= 2."""
    temperature: float = TEMPERATURE
    """Temperature of every reply."""
    most: int | None = None
    """Most asks, >= 1; by default `most_asks`. After the last executor it begins again with the first."""
    name: str = "best_first"
    """Name in files and tables."""

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.team.executors))):
            raise ConfigError(
                f"{self.name} needs an order of {len(self.team.executors)} executors, got {list(self.order)}"
            )
        if self.agree < 2:
            raise ConfigError(f"{self.name} needs at least 2 replies that agree, got {self.agree}")
        _check_most(self.name, self.most)

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Ask until enough replies agree, or `most` were asked; the majority answers."""
        asked = _Asked(self.team, problem, self.temperature, seed)
        for number in range(_most(self.team, self.most)):
            turn, place = divmod(number, len(self.order))
            await asked.ask(turn * len(self.order) + self.order[place])
            if asked.votes and asked.votes[0] >= self.agree:
                break
        return asked.answer()


def _most(team: Team, most: int | None) -> int:
    return most_asks(team) if most is None else most


def _check_most(name: str, most: int | None) -> None:
    if most is not None and most < 1:
        raise ConfigError(f"{name} needs to ask at least once, got {most}")
