"""Tests whether two settings of a control draw from different texts: exact permutation tests on few replies.

Under the null hypothesis that the control has no effect, all replies come from one distribution, and any split of them
into two groups was as likely as the one seen. So the probability of a difference this large is the share of splits that
show one (Fisher 1935; the statistic of `differ` is the energy distance of Szekely and Rizzo 2004,
https://pages.stat.wisc.edu/~wahba/stat860public/pdf4/Energy/EnergyDistance10.1002-wics.1375.pdf).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
_MOST_SPLITS = 200_000


def likeness(first: str, second: str) -> float:
    """How alike two replies are: the share of places with the same word, in [0, 1]; 1 for equal texts."""
    one, two = first.split(), second.split()
    if one == two:
        return 1.0
    return sum(a == b for a, b in zip(one, two, strict=False)) / max(len(one), len(two))


def alike(texts: Sequence[str]) -> float:
    """Mean likeness of all pairs of at least two replies."""
    return float(np.mean([likeness(a, b) for a, b in combinations(texts, 2)]))


def narrower(low: Sequence[str], high: Sequence[str]) -> float:
    """Probability, if a control had no effect, that `low` is more alike than `high` by as much as it is.

    Args:
        low: Replies that should be more alike, at least two.
        high: The others, at least two.
    """
    return _share(low, high, lambda within, between, other: within - other)


def differ(one: Sequence[str], two: Sequence[str]) -> float:
    """Probability, if a control had no effect, that two groups of replies differ by as much as they do.

    Args:
        one: Replies under one setting, at least two.
        two: Replies under another, at least two.
    """
    return _share(one, two, lambda within, between, other: within + other - 2.0 * between)


def _share(one: Sequence[str], two: Sequence[str], statistic: Callable[[Matrix, Matrix, Matrix], Matrix]) -> float:
    """Share of splits into groups of these sizes whose statistic is at least that of the split seen.

    The statistic gets the mean likeness within the first group, between both, and within the second, for all splits.
    """
    texts = [*one, *two]
    count, size = len(texts), len(one)
    table = np.array([[likeness(a, b) for b in texts] for a in texts])
    np.fill_diagonal(table, 0.0)
    members = list(combinations(range(count), size))
    if len(members) > _MOST_SPLITS:
        raise ValueError(f"{count} replies have {len(members)} splits, more than can be counted")
    first = np.zeros((len(members), count))
    np.put_along_axis(first, np.array(members), 1.0, axis=1)
    second = 1.0 - first
    rest = count - size
    near = np.einsum("si,ij,sj->s", first, table, first) / (size * (size - 1))
    far = np.einsum("si,ij,sj->s", second, table, second) / (rest * (rest - 1))
    between = np.einsum("si,ij,sj->s", first, table, second) / (size * rest)
    values = statistic(near, between, far)
    return float(np.mean(values >= values[0] - 1e-9))
