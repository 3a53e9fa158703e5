"""Intervals of accuracies and of their differences, by a bootstrap over problems.

Problems are drawn with replacement, with all their seeds and for all methods alike: differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
BATCH = 500
"""Draws that are in memory at once."""

Interval = tuple[float, float]
"""Bounds of 95%."""


@dataclass(frozen=True)
class Outcome:
    """What a method did: S seeds, P problems."""

    correct: NDArray[np.bool_]
    """Whether it was right, [S, P]."""
    calls: NDArray[np.float64]
    """Calls of executors, [S, P]."""

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of seeds in which each problem [P] was right."""
        mean: NDArray[np.float64] = self.correct.mean(axis=0)
        return mean


def rows(outcomes: Mapping[str, Outcome], seed: int = 0) -> list[dict[str, Any]]:
    """A row per method: calls and accuracy, and what it gains on two references, with intervals.

    Args:
        outcomes: By method; `majority` and `best_first@2` are the references, as far as they are there.
        seed: Seed of the bootstrap.

    Returns:
        `method`; `calls`, the mean per problem; `accuracy` in [0, 1] with `ci`; `less_majority` and
        `less_best_first`, the difference with its bounds, or `None` without the reference.
    """
    names = list(outcomes)
    shares_MP = np.stack([outcomes[name].share for name in names])
    means_DM = _resampled(shares_MP, seed)
    made = []
    for place, name in enumerate(names):
        made.append(
            {
                "method": name,
                "calls": float(outcomes[name].calls.mean()),
                "accuracy": float(shares_MP[place].mean()),
                "ci": list(_bounds(means_DM[:, place])),
                "less_majority": _less(shares_MP, means_DM, names, place, "majority"),
                "less_best_first": _less(shares_MP, means_DM, names, place, "best_first@2"),
            }
        )
    return made


def _resampled(shares_MP: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means [D, M] over problems drawn with replacement."""
    problems = shares_MP.shape[1]
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(0, DRAWS, BATCH):
        counts_BP = random.multinomial(problems, np.full(problems, 1.0 / problems), size=BATCH)
        parts.append(counts_BP @ shares_MP.T / problems)
    return np.concatenate(parts)


def _bounds(draws: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def _less(
    shares_MP: NDArray[np.float64], means_DM: NDArray[np.float64], names: list[str], place: int, reference: str
) -> list[float] | None:
    if reference not in names:
        return None
    other = names.index(reference)
    difference = float(shares_MP[place].mean() - shares_MP[other].mean())
    return [difference, *_bounds(means_DM[:, place] - means_DM[:, other])]
