"""The team's answer by counting the answers of its members, without a model call.

The functions compare answers by a rule and may wait for it; from a coroutine use `Team.vote`, or `judging`.
"""

from __future__ import annotations

from collections.abc import Sequence

from econ_env.answers import AnswerRule, majority_of
from econ_env.records import Commitment, Reply


def vote(replies: Sequence[Reply], rule: AnswerRule) -> Commitment:
    """The most frequent answer of the valid replies, in the words of the first that gave it; costs nothing.

    Replies without a readable answer do not vote. If no reply has one, the first is the commitment, and the judge will
    say that it has no answer. In a tie the answer that came first wins.

    Args:
        replies: A round's replies.
        rule: Tells which answers are the same.

    Returns:
        A commitment of source `majority`; of source `none` if no reply is valid.
    """
    valid = [reply for reply in replies if reply.valid]
    if not valid:
        return Commitment(None, None, "none", error="no valid reply to vote on")
    winner = majority_of([reply.answer for reply in valid], rule)
    if winner is None:
        return Commitment(valid[0].text, None, "majority")
    first = next(reply for reply in valid if reply.answer == winner.answer)
    return Commitment(first.text, winner.answer, "majority", parsed_json=first.parsed_json)


def majority_commitment(
    said: Sequence[Reply] | Sequence[Commitment], error: str | None, rule: AnswerRule
) -> Commitment:
    """What replaces a commitment whose call failed: the most frequent answer, marked as a majority.

    Args:
        said: The replies or local commitments that were to be condensed.
        error: Why the coordinator's call failed.
        rule: Tells which answers are the same.
    """
    winner = majority_of((part.answer for part in said), rule)
    if winner is None:
        return Commitment(None, None, "none", error=error)
    return Commitment(stated(winner.answer), winner.answer, "majority", error=error)


def unanimous(said: Sequence[Reply] | Sequence[Commitment], rule: AnswerRule) -> bool:
    """Whether there are several, all with the same answer."""
    answers = [part.answer for part in said if part.answer is not None]
    winner = majority_of(answers, rule)
    return len(said) > 1 and winner is not None and winner.votes == len(said)


def stated(answer: str | None) -> str:
    """An answer as a sentence that nobody said, so that AL favours no executor."""
    return f"The answer is {answer}."
