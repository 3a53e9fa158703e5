"""Further reward terms, which others add to AL, TS and CC: what they are computed from, and what they must be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from econ_env import plugins
from econ_env.config import TERMS
from econ_env.embedding import Embeddings
from econ_env.errors import ConfigError, ExtensionError
from econ_env.records import Judgement, Problem, Round

RESERVED = (*TERMS, "answered", "correct", "reward")
"""Names that a further term can't have: the infos hold something else under them."""


@dataclass(frozen=True)
class Submission:
    """A submitted round that did not fail, as it was judged. Its arrays are not to be changed."""

    problem: Problem
    """What was asked, with its gold answer."""
    round: Round
    """Strategy, replies with their tokens and controls, commitment."""
    judgement: Judgement
    """The judge on the commitment."""
    judgements: tuple[Judgement | None, ...]
    """The judge on each reply; `None` for an invalid one."""
    replies: tuple[Embeddings | None, ...]
    """Unit embedding [d] of each reply; `None` for an invalid one."""
    commitment: Embeddings
    """Unit embedding [d] of the commitment."""


class RewardTerm(Protocol):
    """A term of the reward; an object of this shape can be given as one of `reward_terms=`.

    It must be picklable and a pure function; `econ_env.testing.check_reward_term` asks for all of it.

    Example:
        >>> class Brevity:
        ...     name = "brevity"
        ...     def value(self, submission: Submission, agent: int) -> float:
        ...         return 1.0 / (1.0 + len(submission.round.replies[agent].text or "") / 400.0)
    """

    @property
    def name(self) -> str:
        """A lower-case identifier; infos have `reward_NAME` and `team_NAME`."""

    def value(self, submission: Submission, agent: int) -> float:
        """What the executor of this number earns in this term, in [0, 1].

        Asked only for valid replies (invalid ones are paid 0 in every term), in a worker thread. The team's value is
        the mean over the executors.
        """


def make_terms(specs: Iterable[str | RewardTerm]) -> tuple[RewardTerm, ...]:
    """The terms that a setting asks for.

    Args:
        specs: Each the name of one that a package registers, `module:attribute`, or a term.

    Raises:
        ConfigError: There is no such term, it lacks a member of `RewardTerm`, or its name can't be used.
    """
    terms: tuple[RewardTerm, ...] = tuple(plugins.make(plugins.REWARD_TERMS, spec) for spec in specs)
    names: list[str] = []
    for term in terms:
        name = term.name
        if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
            raise ConfigError(f"a reward term's name must be a lower-case identifier, got {name!r}")
        if name in (*RESERVED, *names):
            raise ConfigError(f"the name {name!r} of a reward term is taken; give it another one")
        names.append(name)
    return terms


def term_value(term: RewardTerm, submission: Submission, agent: int) -> float:
    """A term's value, checked.

    Raises:
        ExtensionError: It is no number in [0, 1].
    """
    value = term.value(submission, agent)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise ExtensionError(f"the reward term {term.name!r} must be a number in [0, 1], got {value!r}")
    return number
