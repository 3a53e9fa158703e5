"""Defines and checks reward terms that other packages add to AL, TS and CC."""

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
"""Names that a further term can't have, because the infos always use them; `price`, which they may use, is another."""


@dataclass(frozen=True)
class Submission:
    """A submitted and judged round that did not fail. Do not change its arrays."""

    problem: Problem
    """The problem, with its gold answer."""
    round: Round
    """Strategy, replies with their tokens and controls, commitment."""
    judgement: Judgement
    """The commitment's judgement."""
    judgements: tuple[Judgement | None, ...]
    """Each reply's judgement; `None` for an invalid or silent one."""
    replies: tuple[Embeddings | None, ...]
    """Unit embedding [d] of each reply; `None` for an invalid or silent one."""
    commitment: Embeddings
    """Unit embedding [d] of the commitment."""


class RewardTerm(Protocol):
    """A term of the reward; any object with these attributes can be given in `reward_terms=`.

    It must be picklable and a pure function; `econ_env.testing.check_reward_term` tests all of this.

    Examples:
        >>> class Brevity:
        ...     name = "brevity"
        ...     def value(self, submission: Submission, agent: int) -> float:
        ...         return 1.0 / (1.0 + len(submission.round.replies[agent].text or "") / 400.0)
    """

    @property
    def name(self) -> str:
        """A lower-case identifier; infos have `reward_NAME` and `team_NAME`."""

    def value(self, submission: Submission, agent: int) -> float:
        """The term's value for the executor of this number, in [0, 1].

        Called in a worker thread, and only for valid replies: an invalid or silent one gets 0 in every term. The team's
        value is the mean over the executors that have spoken.
        """


def make_terms(specs: Iterable[str | RewardTerm]) -> tuple[RewardTerm, ...]:
    """Make the terms that a setting names.

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
        if name in (*RESERVED, "price", *names):
            raise ConfigError(f"the name {name!r} of a reward term is taken; choose another one")
        names.append(name)
    return terms


def term_value(term: RewardTerm, submission: Submission, agent: int) -> float:
    """Return a term's value after checking it.

    Raises:
        ExtensionError: It is not a number in [0, 1].
    """
    value = term.value(submission, agent)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise ExtensionError(f"the reward term {term.name!r} must be a number in [0, 1], got {value!r}")
    return number
