"""Makes and checks observation parts besides the standard ones: those of this package, and those that others add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from econ_env import plugins
from econ_env.errors import ConfigError, ExtensionError
from econ_env.observations.confidence import NAME, ReplyConfidence
from econ_env.observations.discussion import (
    ANSWER_NUMBERS,
    DISCUSSION,
    WORKING,
    AnswerNumbers,
    Discussion,
    WorkingNumbers,
)
from econ_env.observations.known import Known
from econ_env.observations.layout import PARTS

Vector = NDArray[np.float32]

BUILT_IN: dict[str, Callable[[], ObservationPart]] = {
    NAME: ReplyConfidence,
    DISCUSSION: Discussion,
    ANSWER_NUMBERS: AnswerNumbers,
    WORKING: WorkingNumbers,
}
"""Parts of this package that a setting can name."""


class ObservationPart(Protocol):
    """Numbers about what an executor knows; an object with these members can be one of `observation_parts=`.

    It must be picklable and a pure function; `econ_env.testing.check_observation_part` tests all of this.

    Examples:
        >>> class QuestionLength:
        ...     name = "question_length"
        ...     dim = 1
        ...     def values(self, known: Known) -> list[float]:
        ...         return [min(1.0, len(known.question) / 1000.0)]
    """

    @property
    def name(self) -> str:
        """An identifier; `observation_layout` gives its slice under this name."""

    @property
    def dim(self) -> int:
        """How many numbers, at least 1."""

    def values(self, known: Known) -> Sequence[float]:
        """The numbers, `dim` of them in [-1, 1]; called for every observation."""


def make_parts(specs: Iterable[str | ObservationPart]) -> tuple[ObservationPart, ...]:
    """Make the parts that a setting names.

    Args:
        specs: Each is a name of `BUILT_IN`, a name that a package registers, `module:attribute`, or a part.

    Raises:
        ConfigError: There is no such part, it lacks a member of `ObservationPart`, or its name or length can't be used.
    """
    parts: tuple[ObservationPart, ...] = tuple(
        BUILT_IN[spec]()
        if isinstance(spec, str) and spec in BUILT_IN
        else plugins.make(plugins.OBSERVATION_PARTS, spec)
        for spec in specs
    )
    names = list(PARTS)
    for part in parts:
        if not isinstance(part.name, str) or not part.name.isidentifier():
            raise ConfigError(f"an observation part's name must be an identifier, got {part.name!r}")
        if part.name in names:
            raise ConfigError(f"the name {part.name!r} of an observation part is taken; give it another one")
        if not isinstance(part.dim, int) or part.dim < 1:
            raise ConfigError(f"the observation part {part.name!r} must have a dim of at least 1, got {part.dim!r}")
        names.append(part.name)
    return parts


def part_values(part: ObservationPart, known: Known) -> Vector:
    """A part's numbers, checked; shape [dim].

    Raises:
        ExtensionError: The part did not return `dim` numbers, or not all are in [-1, 1].
    """
    given: ArrayLike = part.values(known)
    try:
        values = np.asarray(given, np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    if values.shape != (part.dim,) or not np.abs(values).max() <= 1.0:
        raise ExtensionError(
            f"the observation part {part.name!r} must give {part.dim} numbers in [-1, 1], got {given!r}"
        )
    return values
