"""Counts how each executor's answer stands among the team's: shares and lengths alone, never what another one said."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from econ_env.records import Reply


@dataclass(frozen=True, slots=True)
class Tally:
    """How an executor's reply stands among those of its team in a round."""

    spoken: bool
    """Whether it has spoken in this decision."""
    share: float
    """Share of the standing answers that are the same as its own, which is one of them; 0 without an own answer."""
    leads: bool
    """Whether no answer is more frequent than its own."""
    team_spoken: float
    """Share of the executors that have spoken in this decision."""
    largest: float
    """Share of the most frequent answer; 0 if there is none."""
    second: float
    """Share of the second most frequent answer; 0 if there is none."""
    length: float
    """Length of its reply, in [0, 1]; see `length_of`."""
    length_agreeing: float
    """Mean length of the replies with its answer; 0 without an own answer."""
    length_team: float
    """Mean length of all replies; 0 if there is none."""
    number: float
    """A number in (0, 1] that executors with the same answer share; 0 without an own answer."""


def length_of(reply: Reply) -> float:
    """Length of a reply: log(1 + characters) / 10, at most 1; 0 where it is unknown or there is no reply."""
    return 0.0 if reply.chars is None else min(1.0, math.log1p(reply.chars) / 10.0)


def tallies(replies: Sequence[Reply], labels: Sequence[int]) -> list[Tally]:
    """The tally of each executor.

    Args:
        replies: The replies that stand, one per executor.
        labels: A number for the answer of each, equal where the answer rule calls two the same; -1 for no answer.
    """
    votes = Counter(label for label in labels if label >= 0)
    answers = max(1, votes.total())
    counts = sorted(votes.values(), reverse=True)
    largest, second = ([count / answers for count in counts] + [0.0, 0.0])[:2]
    lengths = [length_of(reply) for reply in replies]
    spoken = [not reply.silent for reply in replies]
    sums: dict[int, float] = {}
    for label, length in zip(labels, lengths, strict=True):
        if label >= 0:
            sums[label] = sums.get(label, 0.0) + length
    given = [length for reply, length in zip(replies, lengths, strict=True) if reply.valid]
    team = (sum(spoken) / len(replies), largest, second)
    mean = sum(given) / max(1, len(given))
    return [
        Tally(own, 0.0, False, *team, length, 0.0, mean, 0.0)
        if label < 0
        else Tally(
            own,
            votes[label] / answers,
            votes[label] == counts[0],
            *team,
            length,
            sums[label] / votes[label],
            mean,
            (label + 1) / len(replies),
        )
        for own, label, length in zip(spoken, labels, lengths, strict=True)
    ]
