"""The answer of several replies by majority, without asking anybody."""

from __future__ import annotations

from collections.abc import Sequence

from econ_env.answers import DEFAULT_RULE, AnswerRule, majority_of
from econ_env.records import Commitment, Reply


def vote(replies: Sequence[Reply], rule: AnswerRule = DEFAULT_RULE) -> Commitment:
    """The most frequent answer of the valid replies, in the words of the first that gave it; costs nothing.

    Replies without a readable answer do not vote; if there are only such ones, the first of them is the outcome, which
    the judge will find to have no answer. In a tie the answer that came first wins.

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
