"""Builds the observations of executors and the state of the team: spaces, layout and vectors.

An observation holds only what its executor may know: question, strategy, last commitment, its own last reply and
controls, its own past rounds, counters. It never holds another executor's reply, nor the gold answer or anything
computed from it: in use there is no gold answer. Every entry lies in [-1, 1]; entries without a value yet are zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from econ_env.observations.controls import ControlScale
from econ_env.records import Round

Vector = NDArray[np.float32]

MEMORY_FEATURES = ("filled", "temperature", "p", "similarity", "valid", "agrees")
"""A row of `agent_memory`: 1 if the row is used; T and p scaled to [-1, 1]; cosine of the own reply to the commitment;
1 if the reply was valid; 1 if its answer was the commitment's. Other controls take the place of T and p."""

PARTS = ("question", "strategy", "commitment", "reply", "controls", "agent_memory", "counters")
"""The parts that are always there, in order."""

COUNTERS = 2
ROUNDS_SCALE = 8


@dataclass(frozen=True)
class Layout:
    """Where each part lies in an observation of length `size`.

    Args:
        dim: Length d of a text embedding.
        memory_length: Rows M of `agent_memory`.
        max_rounds: Decisions of an episode.
        further: Name and length of each added part; these come last.
        controls: Number A of an executor's controls.
    """

    dim: int
    memory_length: int
    max_rounds: int
    further: tuple[tuple[str, int], ...] = ()
    controls: int = 2

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        """Part name to slice, in order; `agent_memory` reshapes to [M, F], oldest row first."""
        sizes = {
            "question": self.dim,
            "strategy": self.dim,
            "commitment": self.dim,
            "reply": self.dim,
            "controls": self.controls,
            "agent_memory": self.memory_length * self.memory_shape[1],
            "counters": COUNTERS,
            **dict(self.further),
        }
        ends = np.cumsum(list(sizes.values())).tolist()
        return {name: slice(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True)}

    @property
    def memory_shape(self) -> tuple[int, int]:
        """(M, F) of `agent_memory`."""
        return self.memory_length, len(MEMORY_FEATURES) - 2 + self.controls

    @cached_property
    def size(self) -> int:
        """Length D of an observation."""
        return int(max(part.stop for part in self.slices.values()))

    def state_size(self, n_agents: int) -> int:
        """Length of the state: question, strategy, commitment, counters once; all others per executor."""
        memory = self.memory_length * self.memory_shape[1]
        own = self.dim + self.controls + memory + sum(length for _, length in self.further)
        return 3 * self.dim + COUNTERS + n_agents * own

    def space(self) -> Box:
        """The observation space: Box(-1, 1, [D], float32)."""
        return Box(-1.0, 1.0, (self.size,), np.float32)

    def state_space(self, n_agents: int) -> Box:
        """The state space."""
        return Box(-1.0, 1.0, (self.state_size(n_agents),), np.float32)


@dataclass(slots=True)
class Shared:
    """What all executors see.

    Attributes:
        question: Embedding [d].
        strategy: Embedding [d], zero without one.
        commitment: Embedding [d] of the last commitment, zero before the first.
        rounds: Rounds so far in this decision.
        decision: Decisions done.
    """

    question: Vector
    strategy: Vector
    commitment: Vector
    rounds: int = 0
    decision: int = 0


@dataclass(slots=True)
class Private:
    """What one executor sees of itself.

    Attributes:
        reply: Embedding [d] of its last reply, zero if there is none.
        controls: Its last controls in [-1, 1]; shape [A].
        memory: Its past rounds; shape [M, F].
        further: Added parts, one after another.
    """

    reply: Vector
    controls: Vector
    memory: Vector
    further: Vector

    def remember(self, row: Sequence[float]) -> None:
        """Append a memory row [F]; the oldest leaves."""
        self.memory[:-1] = self.memory[1:]
        self.memory[-1] = row


def see(
    shared: Shared,
    everyone: Sequence[Private],
    round_: Round,
    rows: Mapping[str, Vector],
    agreed: Sequence[bool],
    scale: ControlScale,
) -> None:
    """Update what executors see after a round.

    Args:
        shared: What all executors see.
        everyone: What each executor sees of itself.
        round_: The round.
        rows: Unit embedding [d] of each text of the round.
        agreed: For each executor whether its answer is the commitment's.
        scale: Scales the controls.
    """
    zero = np.zeros_like(shared.question)
    shared.commitment = rows[round_.commitment.text] if round_.commitment.text is not None else zero
    shared.rounds += 1
    controls_NA = scale.scaled([reply.controls for reply in round_.replies])
    for own, reply, controls_A, agrees in zip(everyone, round_.replies, controls_NA, agreed, strict=True):
        own.reply = rows[reply.text] if reply.text is not None else zero
        own.controls = controls_A
        similarity = float(own.reply @ shared.commitment)
        own.remember([1.0, *controls_A.tolist(), similarity, float(reply.valid), float(agrees)])


def observations(layout: Layout, shared: Shared, everyone: Sequence[Private]) -> list[Vector]:
    """Each executor's observation, a fresh array of shape [D]."""
    common = np.concatenate([shared.question, shared.strategy, shared.commitment])
    counters = _counters(layout, shared)
    return [_joined(common, own.reply, own.controls, own.memory.ravel(), counters, own.further) for own in everyone]


def state(layout: Layout, shared: Shared, everyone: Sequence[Private]) -> Vector:
    """The team's state with all replies, a fresh array of shape [`layout.state_size(n)`]."""
    parts = [shared.question, shared.strategy, shared.commitment, _counters(layout, shared)]
    for own in everyone:
        parts += [own.reply, own.controls, own.memory.ravel(), own.further]
    return _joined(*parts)


def blank(layout: Layout, question: Vector, n_agents: int) -> tuple[Shared, list[Private]]:
    """What executors see before the first round of an episode."""
    zero = np.zeros(layout.dim, np.float32)
    private = [
        Private(
            reply=zero,
            controls=np.zeros(layout.controls, np.float32),
            memory=np.zeros(layout.memory_shape, np.float32),
            further=np.zeros(sum(length for _, length in layout.further), np.float32),
        )
        for _ in range(n_agents)
    ]
    return Shared(question=question, strategy=zero, commitment=zero), private


def _joined(*parts: Vector) -> Vector:
    """The parts one after another, rounding errors beyond [-1, 1] cut off."""
    row: Vector = np.concatenate(parts, dtype=np.float32)
    np.minimum(row, 1.0, out=row)
    return np.maximum(row, -1.0, out=row)


def _counters(layout: Layout, shared: Shared) -> Vector:
    rounds = min(shared.rounds, ROUNDS_SCALE) / ROUNDS_SCALE
    return np.array([rounds, min(shared.decision, layout.max_rounds) / layout.max_rounds], np.float32)
