"""The replay buffer of a team's decisions; converts it to plain arrays and back, to resume training exactly.

Axes: R environments, each with its own ring buffer; X rows stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from tianshou.data import Batch, PrioritizedVectorReplayBuffer, VectorReplayBuffer
from tianshou.data.types import RolloutBatchProtocol

from econ_agents.config import ReplayConfig

Arrays = dict[str, np.ndarray]

TeamBuffer = VectorReplayBuffer | PrioritizedVectorReplayBuffer

_ROWS = ("obs", "act", "rew", "terminated", "truncated", "done", "obs_next", "info", "policy")
_PLACE, _LAST, _PRIORITY, _EXTREMES = "place", "last_index", "priority", "priority_extremes"


class _Uncompiled:
    """Goes before a buffer in the list of base classes."""

    def _compile(self) -> None:
        """Compile nothing: numba takes seconds for functions that look for neighbouring rows, not used here."""


class UniformReplayBuffer(_Uncompiled, VectorReplayBuffer):
    """Tianshou's `VectorReplayBuffer`, sampled with its own generator, which can be seeded.

    Args:
        total_size: Decisions kept, over all environments.
        num_envs: R.
    """

    def __init__(self, total_size: int, num_envs: int) -> None:
        super().__init__(total_size, num_envs)
        self._generator = np.random.default_rng(0)

    def reseed(self, seed: int) -> None:
        """Restart the sampling from a seed."""
        self._generator = np.random.default_rng(seed)

    def sample_indices(self, batch_size: int | None) -> np.ndarray:
        """Indices of `batch_size` decisions, drawn uniformly with replacement; all of them, in order, for 0."""
        everything = super().sample_indices(0)
        if batch_size is None or batch_size <= 0:
            return everything if batch_size == 0 else self._generator.permutation(everything)
        return self._generator.choice(everything, batch_size)


class _PrioritizedReplayBuffer(_Uncompiled, PrioritizedVectorReplayBuffer):
    """Tianshou's `PrioritizedVectorReplayBuffer`."""


def make_buffer(config: ReplayConfig, num_envs: int) -> TeamBuffer:
    """Make an empty buffer.

    Args:
        config: Capacity and priorities.
        num_envs: R; the capacity is divided among them.
    """
    capacity = max(config.capacity, num_envs)
    if config.prioritized:
        return _PrioritizedReplayBuffer(capacity, num_envs, alpha=config.priority_alpha, beta=config.priority_beta)
    return UniformReplayBuffer(capacity, num_envs)


def to_arrays(buffer: TeamBuffer) -> Arrays:
    """All content of a buffer, by name; use it between collections, when no episode is running."""
    place_X = np.sort(buffer.sample_indices(0))  # by position, not by age
    if not len(place_X):
        return {}
    held = buffer[place_X]
    rows: Arrays = {}
    for name in _ROWS:
        rows |= _flat(name, held[name])
    rows[_PLACE] = place_X
    rows[_LAST] = np.asarray(buffer.last_index)
    if isinstance(buffer, PrioritizedVectorReplayBuffer):
        rows[_PRIORITY] = np.asarray(buffer.weight[place_X])
        rows[_EXTREMES] = np.array([buffer._max_prio, buffer._min_prio])  # of all time, so rows do not give them
    return rows


def fill(buffer: TeamBuffer, arrays: Mapping[str, np.ndarray]) -> None:
    """Put the content of `to_arrays` into an empty buffer of the same size; every row keeps its position."""
    if not arrays:
        return
    columns = {name: rows for name, rows in arrays.items() if name in _ROWS or "/" in name}
    owner_X = np.searchsorted(np.asarray(buffer.subbuffer_edges), arrays[_PLACE], side="right") - 1
    for number, ring in enumerate(buffer.buffers):
        mine = np.flatnonzero(owner_X == number)
        # A full ring buffer continues in its middle: fill it, then write its newer rows again.
        newest = int(arrays[_LAST][number]) - int(buffer.subbuffer_edges[number]) + 1
        again = mine[: newest % ring.maxsize] if len(mine) == ring.maxsize else mine[:0]
        for row in (*mine, *again):
            buffer.add(_nested({name: rows[row : row + 1] for name, rows in columns.items()}), buffer_ids=[number])
    if isinstance(buffer, PrioritizedVectorReplayBuffer):
        buffer.weight[arrays[_PLACE]] = arrays[_PRIORITY]
        buffer._max_prio, buffer._min_prio = arrays[_EXTREMES].tolist()


def _flat(name: str, value: Any) -> Arrays:
    if not isinstance(value, Batch):
        return {name: np.ascontiguousarray(value)}
    rows: Arrays = {}
    for key, inner in value.items():
        rows |= _flat(f"{name}/{key}", inner)
    return rows


def _nested(rows: Mapping[str, np.ndarray]) -> RolloutBatchProtocol:
    tree: dict[str, Any] = {name: {} for name in ("info", "policy")}
    for name, value in rows.items():
        *groups, last = name.split("/")
        inner = tree
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return cast(RolloutBatchProtocol, Batch(tree))
