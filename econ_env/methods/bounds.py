"""Bounds what methods can reach with one reply of each executor; nobody can play them, since they know the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from econ_env.answers import heaviest
from econ_env.methods.members import MemberRecord


class Stops(NamedTuple):
    """The outcome of the best stopping in hindsight."""

    right: npt.NDArray[np.bool_]
    """Whether each problem [P] is right."""
    asks: npt.NDArray[np.int64]
    """Asks for each problem [P], >= 1."""


def any_right(record: MemberRecord) -> npt.NDArray[np.bool_]:
    """Whether some executor is right on each problem [P]: what a perfect choice among the replies reaches."""
    return np.asarray(record.correct.any(axis=1))


def best_stop(record: MemberRecord, order: Sequence[int]) -> Stops:
    """Ask in this order and stop, in hindsight, at the first ask after which the majority so far is right.

    If it never is, the problem is wrong at one ask. Ties go to the answer whose first supporter comes first.

    Args:
        record: Replies to the problems; P problems, N executors.
        order: The executors' numbers, each once, such as the `order` of another record.
    """
    n_problems = len(record.answers)
    right, asks = np.zeros(n_problems, np.bool_), np.ones(n_problems, np.int64)
    places = list(order)
    for problem in range(n_problems):
        labels = record.labels[problem, places].tolist()
        correct = record.correct[problem, places].tolist()
        for count in range(1, len(places) + 1):
            first = heaviest(labels[:count])
            if first is not None and correct[first]:
                right[problem], asks[problem] = True, count
                break
    return Stops(right, asks)
