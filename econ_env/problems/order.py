"""Chooses the problem of each episode: shuffled passes over a set, the next of a stream, or a requested one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from econ_env.errors import ProblemError
from econ_env.problems.load import ProblemSet, ProblemStream
from econ_env.records import Problem


def first_episode_seed(seed: int) -> int:
    """The seed of the first episode after a reset with this seed and a chosen problem."""
    return ProblemOrder(ProblemSet(()), seed).episode_seed()


class ProblemOrder:
    """Draws problems and episode seeds from one random generator; picklable at any time.

    Each pass over a set has a new random order; every problem comes once per pass. A stream is shuffled (by its own
    seed if it has one) and read in that order; at its end it starts again.

    Args:
        problems: The problems.
        seed: Decides order and episode seeds; `None` takes entropy from the system.
    """

    def __init__(self, problems: ProblemSet | ProblemStream, seed: int | None) -> None:
        self._problems = problems
        self._rng = np.random.default_rng(seed)
        self._upcoming: list[int] = []
        self._stream_seed = int(self._rng.integers(2**31))
        self._read = 0
        self._iterator: Iterator[Problem] | None = None

    def next(self) -> Problem:
        """The next problem."""
        if isinstance(self._problems, ProblemStream):
            return self._next_of_stream(self._problems)
        if not self._upcoming:
            self._upcoming = self._rng.permutation(len(self._problems)).tolist()
        return self._problems[self._upcoming.pop()]

    def pick(self, wanted: int | str) -> Problem:
        """The problem with this index or id.

        Raises:
            ProblemError: There is none, or the problems are a stream.
        """
        if isinstance(self._problems, ProblemStream):
            raise ProblemError("a stream has no index; load the problems without streaming to choose one")
        if isinstance(wanted, str):
            for problem in self._problems:
                if problem.id == wanted:
                    return problem
            raise ProblemError(f"no problem has the id {wanted!r}")
        if not 0 <= wanted < len(self._problems):
            raise ProblemError(f"problem {wanted} does not exist; there are {len(self._problems)}, counted from 0")
        return self._problems[int(wanted)]

    def episode_seed(self) -> int:
        """A fresh seed for an episode's samples, in [0, 2**31)."""
        return int(self._rng.integers(2**31))

    def _next_of_stream(self, stream: ProblemStream) -> Problem:
        if self._iterator is None:
            shuffled = replace(stream, seed=self._stream_seed if stream.seed is None else stream.seed)
            self._iterator = islice(iter(shuffled), self._read, None)
        problem = next(self._iterator, None)
        if problem is None:
            self._iterator, self._read = None, 0
            return self._next_of_stream(stream)
        self._read += 1
        return problem

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_iterator": None}
