"""Estimates shares over problems, with intervals."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ALPHA = 0.05
"""All intervals have level 1 - ALPHA; `problems_needed` plans for a test at level ALPHA."""


class Estimate(NamedTuple):
    """A number with its interval; the bounds are `None` if there is too little data."""

    value: float
    low: float | None
    high: float | None


def share_over_problems(means: FloatArray, answers: int) -> Estimate:
    """The mean share of right answers over problems, with a Wilson interval.

    The interval is Wilson's at the effective number of answers: the one at which independent answers would have the
    variance that the problems' means show (Korn & Graubard 1998, Survey Methodology 24:193-201), at least the number of
    problems and at most that of answers. With one answer per problem that is exactly the number of problems.

    Args:
        means: Share of right answers of each problem, shape (n,), n >= 1.
        answers: Number of answers to all problems.
    """
    share, spread = float(means.mean()), float(means.var() / len(means))
    effective = share * (1.0 - share) / spread if spread > 0.0 else 0.0
    return Estimate(share, *_wilson(share, min(max(effective, len(means)), answers)))


def _wilson(share: float, number: float) -> tuple[float, float]:
    """Bounds of a share of this many answers (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953)."""
    z = NormalDist().inv_cdf(1.0 - ALPHA / 2.0)
    middle = share * number + z**2 / 2.0
    half = z * math.sqrt(share * (1.0 - share) * number + z**2 / 4.0)
    total = number + z**2
    return max(0.0, (middle - half) / total), min(1.0, (middle + half) / total)
