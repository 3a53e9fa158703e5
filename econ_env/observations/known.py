"""Defines what one executor may know, and so what an added observation part may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from econ_env.episode import Episode
from econ_env.observations.tally import Tally
from econ_env.records import Commitment, Reply


@dataclass(frozen=True)
class Known:
    """All that one executor may know: no gold answer, and nothing that other executors said.

    Of the others it knows only how many have spoken, agree with it, and agree with one another.
    """

    agent: int
    """Its number, from 0."""
    n_agents: int
    """Number of executors."""
    question: str
    """The problem's question."""
    strategy: str | None
    """The coordinator's plan, if there is one."""
    replies: tuple[Reply, ...]
    """Its own reply that stood in each round of the episode so far, oldest first."""
    commitments: tuple[Commitment, ...]
    """The team's commitment of each of these rounds."""
    decision: int
    """Number of submitted decisions."""
    max_rounds: int
    """Decisions per episode."""
    rounds: int = 0
    """Rounds of the running decision so far."""
    tally: Tally | None = None
    """How its reply stands among the team's; `None` before the first round of a decision."""
    price: float = 0.0
    """What a call, or 1,000 tokens, takes off the rewards."""


def known_to_each(
    n_agents: int, episode: Episode, decision: int, max_rounds: int, tallies: Sequence[Tally | None], price: float
) -> list[Known]:
    """What each executor may know of a running episode.

    Args:
        n_agents: Number of executors.
        episode: The episode so far.
        decision: Decisions that were submitted.
        max_rounds: Decisions of an episode.
        tallies: How the reply of each stands, after a round of the running decision.
        price: What a call, or 1,000 tokens, takes off the rewards.
    """
    running = episode.decisions[-1]
    rounds = [round_ for one in episode.decisions for round_ in one.rounds]
    strategy = None if episode.strategy is None else episode.strategy.text
    commitments = tuple(round_.commitment for round_ in rounds)
    replies = list(zip(*(round_.replies for round_ in rounds), strict=True)) or [()] * n_agents
    return [
        Known(
            agent=agent,
            n_agents=n_agents,
            question=episode.problem.question,
            strategy=strategy,
            replies=own,
            commitments=commitments,
            decision=decision,
            max_rounds=max_rounds,
            rounds=0 if running.submitted else len(running.rounds),
            tally=tally,
            price=price,
        )
        for agent, (own, tally) in enumerate(zip(replies, tallies, strict=True))
    ]
