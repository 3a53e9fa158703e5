"""Chooses what baselines need to know of the executors, from a record of their replies to training problems."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from econ_env.answers import heaviest
from econ_env.errors import ConfigError
from econ_env.methods.members import FAILED, MemberRecord
from econ_env.methods.weighing import confidence_weights

CONSTANTS = tuple(math.log(wrong) for wrong in (1, 2, 4, 8, 16, 64, 256, 1024))
"""Values of c that `vote_constant` tries: log K for K wrong answers."""
SOFTMAX_TEMPERATURES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Values of T that `cisc_temperature` tries."""


def accuracies(record: MemberRecord) -> tuple[float, ...]:
    """Each executor's accuracy: (right + 1) / (replies + 2), Laplace's rule of succession.

    Executors of the same model are the same voter, so their replies are counted together. Failed calls do not count; a
    reply without an answer is not right.

    Returns:
        A number in (0, 1) for each of N executors; 1/2 for one without any reply.
    """
    given_N = (record.labels != FAILED).sum(axis=0)
    right_N = (record.correct & (record.labels != FAILED)).sum(axis=0)
    found = {}
    for model in record.models:
        own_N = np.array([name == model for name in record.models])
        found[model] = float((right_N[own_N].sum() + 1) / (given_N[own_N].sum() + 2))
    return tuple(found[model] for model in record.models)


def order(record: MemberRecord) -> tuple[int, ...]:
    """The executors' numbers by their `accuracies`, the best first; equal ones in the order of the team."""
    found = accuracies(record)
    return tuple(sorted(range(len(found)), key=lambda number: -found[number]))


def vote_weights(accuracy: Sequence[float], constant: float) -> tuple[float, ...]:
    """Weights of independent votes: log(p / (1 - p)) + c for an executor of accuracy p.

    With two possible answers, c = 0 is the best rule (Nitzan and Paroush 1982, "Optimal Decision Rules in Uncertain
    Dichotomous Choice Situations", International Economic Review 23:289-297). A voter below one half then votes against
    its own answer, which is only right if there is no third one. With K equally likely wrong answers the best weight is
    log(p / ((1 - p) / K)), so c = log K, as in multi-class AdaBoost (Zhu, Zou, Rosset, Hastie 2009, Statistics and Its
    Interface 2:349-360). Of open answers K is unknown, so `vote_constant` chooses c.

    Args:
        accuracy: p of each executor, in (0, 1).
        constant: c >= 0.
    """
    return tuple(math.log(p / (1.0 - p)) + constant for p in accuracy)


def vote_constant(record: MemberRecord) -> float:
    """The c of `CONSTANTS` with which a weighted vote is right on most problems of the record.

    Of equally good ones it is the largest, which is nearest to a plain majority.
    """
    found = accuracies(record)
    return max(CONSTANTS, key=lambda c: (_right(record, lambda _: vote_weights(found, c)), c))


def cisc_temperature(record: MemberRecord) -> float:
    """The T of `SOFTMAX_TEMPERATURES` with which a vote weighted by confidence is right on most problems of the record.

    Of equally good ones it is the largest, which is nearest to a plain majority.

    Raises:
        ConfigError: No reply has a confidence.
    """
    if np.isnan(record.confidence).all():
        raise ConfigError(
            "cisc needs log-probabilities, and no reply to the training problems has any: set llm.logprobs=true, or "
            "use a server or a record that gives them"
        )
    weights = record.confidence.tolist()
    return max(
        SOFTMAX_TEMPERATURES, key=lambda t: (_right(record, lambda problem: confidence_weights(weights[problem], t)), t)
    )


def _right(record: MemberRecord, weights: Callable[[int], Sequence[float]]) -> int:
    """Problems on which a vote is right."""
    right = 0
    for problem, labels in enumerate(record.labels.tolist()):
        first = heaviest(labels, weights(problem))
        right += first is not None and bool(record.correct[problem, first])
    return right


@dataclass(frozen=True)
class Fitted:
    """What the baselines know of the executors, and what it cost to learn that."""

    problems: int
    """Training problems."""
    calls: int
    """Calls of the record."""
    tokens: int
    """Tokens of these calls."""
    models: tuple[str, ...]
    """Model of each executor."""
    accuracies: tuple[float, ...]
    """See `accuracies`."""
    order: tuple[int, ...]
    """See `order`."""
    constant: float
    """See `vote_constant`."""
    softmax_temperature: float | None
    """See `cisc_temperature`; `None` if no reply has a confidence."""

    @classmethod
    def of(cls, record: MemberRecord) -> Self:
        """Fit all of it to a record."""
        known = not np.isnan(record.confidence).all()
        return cls(
            problems=len(record.answers),
            calls=record.calls,
            tokens=record.tokens,
            models=record.models,
            accuracies=accuracies(record),
            order=order(record),
            constant=vote_constant(record),
            softmax_temperature=cisc_temperature(record) if known else None,
        )

    @property
    def weights(self) -> tuple[float, ...]:
        """Weight of each executor's vote; see `vote_weights`."""
        return vote_weights(self.accuracies, self.constant)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {**asdict(self), "weights": self.weights}
