"""Searches by play for controls that are the same for every problem: CMA-ES over the profile, and UCB1 over a grid.

Axes: N agents, A controls. Profiles lie in the unit box: 0 is the lower bound of a control and 1 its upper one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from econ_env.errors import ConfigError

Profile = npt.NDArray[np.float64]
"""Controls [N, A] in [0, 1]."""

GENERATIONS = 20
"""Generations that `cma_es` plays at least, before candidates get more than one play each."""
SIGMA = 0.25
"""First step size of `cma_es`."""
MARGIN = 0.1
"""Distance of its start from the bounds; on a bound, half of the candidates would lie outside."""
LEVELS = (4, 3)
"""Values of the first and of the second control in the grid, from bound to bound."""
BATCH = 8
"""Plays of `ucb1` at once; it learns their results together."""


class Play(NamedTuple):
    """A training episode to play."""

    problem: int
    """Index of the problem."""
    profile: Profile
    """Controls to play it with."""


PlayAll = Callable[[Sequence[Play]], Awaitable[Sequence[float | None]]]
"""Plays episodes; a score in [0, 1] for each, `None` if it failed."""


def check_plays(base: str, shape: tuple[int, int], plays: int) -> None:
    """Check that a search has enough plays to compare anything.

    Args:
        base: `cma_es` or `bandit`.
        shape: (N, A).
        plays: Episodes to play.

    Raises:
        ConfigError: There are fewer plays than candidates or arms.
    """
    least = population(math.prod(shape)) if base == "cma_es" else len(grid(np.zeros(shape)))
    if plays < least:
        raise ConfigError(f"{base} plays each of {least} controls at least once, with {plays} problems: --fit {least}")


def population(dimension: int) -> int:
    """Candidates in a generation of `cma_es`: 4 + floor(3 ln d), equation 48 of the tutorial."""
    return 4 + math.floor(3.0 * math.log(dimension))


class Plan(NamedTuple):
    """How `cma_es` spends its plays."""

    generations: int
    """Number of generations."""
    candidates: int
    """Candidates in each."""
    each: int
    """Plays of each candidate, with a problem of their own."""

    @property
    def plays(self) -> int:
        """Episodes in all."""
        return self.generations * self.candidates * self.each


def plan(dimension: int, plays: int) -> Plan:
    """Plan at most this number of plays for a search in so many dimensions."""
    candidates = population(dimension)
    each = max(1, plays // (candidates * GENERATIONS))
    return Plan(plays // (candidates * each), candidates, each)


async def cma_es(start: Profile, plays: int, seed: int, play: PlayAll) -> Profile:
    """Search a profile with CMA-ES (Hansen 2016, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772).

    All candidates of a generation play the same problems with the same seeds, so that they are compared like with like.
    A generation without a best candidate, or with one that could not be scored, moves nothing.

    Args:
        start: Mean of the first generation.
        plays: Most episodes to play, at least `population`.
        seed: Seed of the candidates, >= 0.
        play: Plays episodes.

    Returns:
        The mean of the last generation's distribution, which suffers less from chance than the best candidate.
    """
    from cmaes import CMA  # an extra

    bounds = np.tile([0.0, 1.0], (start.size, 1))
    mean = np.clip(start.ravel(), MARGIN, 1.0 - MARGIN)
    planned = plan(start.size, plays)
    size, each, shape = planned.candidates, planned.each, start.shape
    search = CMA(mean=mean, sigma=SIGMA, bounds=bounds, seed=seed, population_size=size)
    for generation in range(planned.generations):
        candidates = [search.ask() for _ in range(size)]
        problems = range(generation * each, (generation + 1) * each)
        asked = [Play(problem, candidate.reshape(shape)) for candidate in candidates for problem in problems]
        scores = await play(asked)
        means = [_mean(scores[number * each : (number + 1) * each]) for number in range(size)]
        known = [mean for mean in means if mean is not None]
        if len(known) == size and len(set(known)) > 1:
            search.tell([(candidate, -mean) for candidate, mean in zip(candidates, known, strict=True)])
    found: Profile = np.clip(search.mean, 0.0, 1.0).reshape(start.shape)
    return found


def grid(start: Profile) -> list[Profile]:
    """The arms of `ucb1`: the first two controls at `LEVELS` values each, the same for all agents, others as at start.

    Args:
        start: Has the values of further controls.
    """
    arms = []
    for values in itertools.product(*(np.linspace(0.0, 1.0, count) for count in LEVELS[: start.shape[1]])):
        arm = start.copy()
        arm[:, : len(values)] = values
        arms.append(arm)
    return arms


async def ucb1(arms: Sequence[Profile], plays: int, play: PlayAll) -> Profile:
    """Find the best of some profiles with UCB1 (Auer, Cesa-Bianchi, Fischer 2002, Machine Learning 47:235-256).

    Each play takes the arm with the largest mean + sqrt(2 ln t / n), t plays in all and n of this arm. Plays of a batch
    are counted in n at once, and in the mean when the batch has ended. A failed play counts in neither.

    Args:
        arms: The profiles.
        plays: Episodes to play, each with a problem of its own; at least as many as arms.
        play: Plays episodes.

    Returns:
        The arm that was played most; of several the one with the largest mean.
    """
    scores: list[list[float]] = [[] for _ in arms]
    for first in range(0, plays, BATCH):
        chosen: list[int] = []
        for _ in range(min(BATCH, plays - first)):
            chosen.append(_most_promising([len(s) + chosen.count(arm) for arm, s in enumerate(scores)], scores))
        found = await play([Play(first + place, arms[arm]) for place, arm in enumerate(chosen)])
        for arm, score in zip(chosen, found, strict=True):
            if score is not None:
                scores[arm].append(score)
    best = max(range(len(arms)), key=lambda arm: (len(scores[arm]), _mean(scores[arm]) or 0.0))
    return arms[best]


def _most_promising(counts: Sequence[int], scores: Sequence[Sequence[float]]) -> int:
    """The arm to play next; the first that was not played yet, if there is one."""
    if 0 in counts:
        return counts.index(0)
    total = math.log(sum(counts))
    bounds = [(_mean(own) or 0.0) + math.sqrt(2.0 * total / count) for own, count in zip(scores, counts, strict=True)]
    return bounds.index(max(bounds))


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
