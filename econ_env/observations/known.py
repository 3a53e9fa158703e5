"""Defines what one executor may know, and so what an added observation part may use."""

from __future__ import annotations

from dataclasses import dataclass

from econ_env.episode import Episode
from econ_env.records import Commitment, Reply


@dataclass(frozen=True)
class Known:
    """All that one executor may know: no gold answer, and nothing that other executors said."""

    agent: int
    """Its number, from 0."""
    n_agents: int
    """Number of executors."""
    question: str
    """The problem's question."""
    strategy: str | None
    """The coordinator's plan, if there is one."""
    replies: tuple[Reply, ...]
    """Its own reply of each round of the episode so far, oldest first."""
    commitments: tuple[Commitment, ...]
    """The team's commitment of each of these rounds."""
    decision: int
    """Number of submitted decisions."""
    max_rounds: int
    """Decisions per episode."""


def known_to(agent: int, n_agents: int, episode: Episode, decision: int, max_rounds: int) -> Known:
    """What an executor may know of a running episode.

    Args:
        agent: Its number, from 0.
        n_agents: Number of executors.
        episode: The episode so far.
        decision: Decisions that were submitted.
        max_rounds: Decisions of an episode.
    """
    rounds = [round_ for one in episode.decisions for round_ in one.rounds]
    return Known(
        agent=agent,
        n_agents=n_agents,
        question=episode.problem.question,
        strategy=None if episode.strategy is None else episode.strategy.text,
        replies=tuple(round_.replies[agent] for round_ in rounds),
        commitments=tuple(round_.commitment for round_ in rounds),
        decision=decision,
        max_rounds=max_rounds,
    )
