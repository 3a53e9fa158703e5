"""Finds the team's answer by counting its members' answers, without a model call.

The functions compare answers by a rule, which may block; in a coroutine use `Team.vote` or `judging`.
"""

from __future__ import annotations

from collections.abc import Sequence

from econ_env.answers import AnswerRule, heaviest, labels_of, majority_of
from econ_env.records import Commitment, Reply


def vote(
    replies: Sequence[Reply] | Sequence[Commitment], rule: AnswerRule, weights: Sequence[float] | None = None
) -> Commitment:
    """The answer with the most votes of the valid replies, with the text of the first reply that has it; no call.

    Replies without a readable answer do not vote. If no reply has one, the first valid reply is the commitment, and its
    verdict will be `no_answer`. In a tie the answer that comes first wins.

    Args:
        replies: A round's replies, or the commitments of clusters; those without a text do not vote.
        rule: Decides which answers are the same.
        weights: Weight of each reply's vote, finite; by default every vote counts the same.

    Returns:
        A commitment of source `majority`; of source `none` if no reply is valid.
    """
    valid = [reply for reply in replies if _speaks(reply)]
    if not valid:
        return Commitment(None, None, "none", error="no valid reply to vote on")
    first = heaviest(labels_of([reply.answer if _speaks(reply) else None for reply in replies], rule), weights)
    if first is None:
        return Commitment(valid[0].text, None, "majority")
    said = replies[first]
    return Commitment(said.text, said.answer, "majority", parsed_json=said.parsed_json)


def _speaks(part: Reply | Commitment) -> bool:
    return part.valid if isinstance(part, Reply) else part.text is not None


def weights_of(replies: Sequence[Reply]) -> list[float] | None:
    """How much each reply counts in a weighted vote; `None`, so that all count the same, if those that vote weigh 0."""
    voting = (reply.controls.weight for reply in replies if reply.valid and reply.answer is not None)
    return [reply.controls.weight for reply in replies] if any(voting) else None


def majority_commitment(
    said: Sequence[Reply] | Sequence[Commitment], error: str | None, rule: AnswerRule
) -> Commitment:
    """Replace a commitment whose call failed with the most frequent answer, marked as a majority.

    Args:
        said: The replies or local commitments to condense.
        error: Why the coordinator's call failed.
        rule: Decides which answers are the same.
    """
    winner = majority_of((part.answer for part in said), rule)
    if winner is None:
        return Commitment(None, None, "none", error=error)
    return Commitment(stated(winner.answer), winner.answer, "majority", error=error)


def unanimous(said: Sequence[Reply] | Sequence[Commitment], rule: AnswerRule) -> bool:
    """Whether there are at least two, all with the same answer."""
    answers = [part.answer for part in said if part.answer is not None]
    winner = majority_of(answers, rule)
    return len(said) > 1 and winner is not None and winner.votes == len(said)


def stated(answer: str | None) -> str:
    """An answer as a new sentence instead of one executor's text, so that AL favours no executor."""
    return f"The answer is {answer}."
