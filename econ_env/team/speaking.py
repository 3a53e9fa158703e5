"""Says who is asked in a round and which replies stand, for teams in which executors may stay silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from econ_env.control_names import SPEAKS
from econ_env.records import Commitment, PromptEmbedding, Reply, Round, Usage


def speakers(controls: Sequence[PromptEmbedding], *, first: bool) -> tuple[int, ...]:
    """Numbers of the executors that are asked: those whose `speak` is at least 0.5.

    Args:
        controls: The controls of each executor.
        first: Whether it is the first round of a decision: then at least the executor with the highest `speak` is
            asked, the first of equals.
    """
    found = tuple(number for number, own in enumerate(controls) if own.speak >= SPEAKS)
    if found or not first:
        return found
    return (max(range(len(controls)), key=lambda number: controls[number].speak),)


def standing(
    members: Iterable[int], controls: Sequence[PromptEmbedding], before: Round | None, given: Mapping[int, Reply]
) -> tuple[Reply, ...]:
    """The replies of these executors that stand in a round.

    Args:
        members: Numbers of the executors.
        controls: The round's controls of each executor of the team.
        before: The round before it in the decision, if there is one.
        given: The new replies, by number of the executor.

    Returns:
        The new reply, else the one that stood, with this round's `speak` and `weight`; `silent` where there is neither.
    """
    return tuple(
        given[number]
        if number in given
        else _kept(number, controls[number], None if before is None else before.replies[number])
        for number in members
    )


def _kept(number: int, controls: PromptEmbedding, reply: Reply | None) -> Reply:
    if reply is None or reply.silent:
        return Reply(f"executor_{number}", controls, None, None, "silent")
    sampled = reply.controls
    if (sampled.speak, sampled.weight) == (controls.speak, controls.weight):
        return reply
    how = (sampled.temperature, sampled.p, sampled.top_p, sampled.min_p)
    return replace(reply, controls=PromptEmbedding(*how, controls.speak, controls.weight))


def spoken(replies: Iterable[Reply]) -> list[Reply]:
    """The replies of the executors that have spoken."""
    return [reply for reply in replies if not reply.silent]


def without_cost(made: Commitment) -> Commitment:
    """A commitment that stands in a further round: it was paid for before."""
    return made if made.usage == Usage() else replace(made, usage=Usage())
