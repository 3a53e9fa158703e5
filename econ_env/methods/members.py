"""Asks every executor once for each of some problems, and keeps what they said and whether it was right."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from econ_env.answers import judge_answer, judging, labels_of
from econ_env.errors import ConfigError
from econ_env.llm.seeding import derive_seed
from econ_env.methods.sampling import model_names, sample
from econ_env.records import Problem, Reply, Usage
from econ_env.team.rounds import Team, all_or_none

NO_ANSWER = -1
"""Label of a reply in which no answer could be read."""
FAILED = -2
"""Label of a failed call: it is neither right nor wrong."""


@dataclass(frozen=True)
class MemberRow:
    """What the executors said to one problem, as plain values."""

    problem: str
    """The problem's id."""
    answers: tuple[str | None, ...]
    """The answer of each executor, as read."""
    labels: tuple[int, ...]
    """Equal for equal answers, from 0 in order of first appearance; else `NO_ANSWER` or `FAILED`."""
    correct: tuple[bool, ...]
    """Whether each is right."""
    confidence: tuple[float | None, ...]
    """`Confidence.probability` of each; `None` where it is unknown."""
    calls: int = 0
    """Calls made."""
    tokens: int = 0
    """Tokens of these calls."""
    error: str | None = None
    """Why the first failed call failed."""

    @property
    def failed(self) -> bool:
        """Whether all calls failed."""
        return all(label == FAILED for label in self.labels)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The row that `dataclasses.asdict` wrote."""
        return cls(
            problem=values["problem"],
            answers=tuple(values["answers"]),
            labels=tuple(values["labels"]),
            correct=tuple(values["correct"]),
            confidence=tuple(values["confidence"]),
            calls=values["calls"],
            tokens=values["tokens"],
            error=values["error"],
        )


@dataclass(frozen=True, eq=False)
class MemberRecord:
    """One reply of each of N executors to each of P problems.

    Raises:
        ConfigError: The shapes differ, or there is no problem or executor.
    """

    answers: tuple[tuple[str | None, ...], ...]
    """Answers [P, N] as read; `None` where there is none."""
    labels: npt.NDArray[np.int64]
    """Labels [P, N]: equal answers to a problem have equal ones, >= 0; else `NO_ANSWER` or `FAILED`."""
    correct: npt.NDArray[np.bool_]
    """Whether each is right, [P, N]."""
    confidence: npt.NDArray[np.float64]
    """Confidences [P, N] in (0, 1]; NaN where unknown."""
    models: tuple[str, ...]
    """Name of each executor's model [N]."""
    calls: int = 0
    """Calls that the record cost."""
    tokens: int = 0
    """Tokens of these calls."""

    def __post_init__(self) -> None:
        shape = len(self.answers), len(self.models)
        shapes = {(len(self.answers), len(row)) for row in self.answers}
        shapes |= {part.shape for part in (self.labels, self.correct, self.confidence)}
        if shapes != {shape} or 0 in shape:
            raise ConfigError(f"a record of {shape[0]} problems and {shape[1]} executors has parts of {sorted(shapes)}")

    @classmethod
    def of(cls, rows: Sequence[MemberRow], models: Sequence[str]) -> Self:
        """The record of these rows.

        Args:
            rows: A row per problem.
            models: Name of each executor's model.

        Raises:
            ConfigError: There are no rows, or they do not fit the executors.
        """
        unknown = math.nan
        try:
            return cls(
                answers=tuple(row.answers for row in rows),
                labels=np.array([row.labels for row in rows], np.int64),
                correct=np.array([row.correct for row in rows], np.bool_),
                confidence=np.array([[unknown if c is None else c for c in row.confidence] for row in rows]),
                models=tuple(models),
                calls=sum(row.calls for row in rows),
                tokens=sum(row.tokens for row in rows),
            )
        except ValueError as error:  # rows of different lengths
            raise ConfigError(f"the rows of a record differ in their executors: {error}") from error


async def ask_members(
    team: Team,
    problems: Sequence[Problem],
    seed: int,
    temperature: float,
    in_flight: int,
    *,
    known: Mapping[str, MemberRow] | None = None,
    told: Callable[[MemberRow], None] | None = None,
) -> MemberRecord:
    """Ask every executor of a team once for each problem, with the plain prompt, and judge every reply.

    The requests are those of self-consistency in a comparison with this seed.

    Args:
        team: The team.
        problems: The problems, with their gold answers, each with an id of its own.
        seed: Seed of the run.
        temperature: Temperature of every reply.
        in_flight: Problems at once, >= 1.
        known: Rows by problem id; these problems are not asked again.
        told: Called with each new row as soon as it is there; an error that it raises ends the work.

    Returns:
        The record, in the order of the problems.

    Raises:
        ConfigError: There are no problems.
        LLMRequestError: As `Team.replies`.
        BudgetError: As `Team.replies`.
        JudgeError: As `judging`.
    """
    rows = dict(known or {})
    waiting = iter([problem for problem in problems if problem.id not in rows])

    async def worker() -> None:
        for problem in waiting:
            row = rows[problem.id] = await _ask(team, problem, seed, temperature)
            if told is not None:
                told(row)

    await all_or_none([asyncio.ensure_future(worker()) for _ in range(in_flight)])
    return MemberRecord.of([rows[problem.id] for problem in problems], model_names(team))


async def _ask(team: Team, problem: Problem, seed: int, temperature: float) -> MemberRow:
    own_seed = derive_seed("episode", seed, problem.id)
    replies, _ = await sample(team, problem, len(team.executors), temperature, own_seed)
    labels, correct = await judging(team.rule, _judge, team, replies, problem.answer)
    usage = sum((reply.usage for reply in replies), Usage())
    return MemberRow(
        problem=problem.id,
        answers=tuple(reply.answer for reply in replies),
        labels=labels,
        correct=correct,
        confidence=tuple(None if r.confidence is None else r.confidence.probability for r in replies),
        calls=usage.calls,
        tokens=usage.tokens,
        error=next((reply.error for reply in replies if reply.error), None),
    )


def _judge(team: Team, replies: Iterable[Reply], gold: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Labels, and whether each reply is right."""
    said = tuple(replies)
    labels = labels_of([reply.answer if reply.valid else None for reply in said], team.rule)
    correct = (reply.valid and judge_answer(reply.answer, gold, team.rule).correct for reply in said)
    marked = (label if reply.valid else FAILED for label, reply in zip(labels, said, strict=True))
    return tuple(marked), tuple(correct)
