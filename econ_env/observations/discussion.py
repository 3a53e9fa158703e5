"""Defines the parts `discussion`, `answer_numbers` and `working`: how an answer stands, what it is, what led to it."""

from __future__ import annotations

import math
from fractions import Fraction

from econ_env.answers.exact import Number
from econ_env.answers.parse import read_form
from econ_env.answers.working import working_of
from econ_env.observations.known import Known

DISCUSSION = "discussion"
ANSWER_NUMBERS = "answer_numbers"
WORKING = "working"

ROUNDS_SCALE = 8
PRICE_SCALE = 0.1
LARGE = 10**6


class Discussion:
    """Fourteen numbers in [0, 1] about an executor's reply among those that stand in the running decision.

    1 if it has spoken; 1 if it has an answer; the share of the standing answers that are its own; 1 if none is more
    frequent; the share of the team that has spoken; the largest and the second largest share of an answer; the length
    of its reply, log(1 + characters) / 10; the mean length of the replies with its answer, and of all; its confidence
    (the probability of its tokens, see `Confidence`); the rounds of the decision / 8; the price p of a call, or of
    1,000 tokens, as p / (p + 0.1); and a number that executors with the same answer share, and no others. All are cut
    at 1, and 0 where unknown. The answer rule says which answers are the same.

    With the controls `speak` or `weight` the part is added by itself.
    """

    name = DISCUSSION
    dim = 14

    def values(self, known: Known) -> list[float]:
        """The fourteen numbers."""
        price = known.price / (known.price + PRICE_SCALE)
        tally = known.tally
        if tally is None:
            return [0.0] * 12 + [price, 0.0]
        reply = known.replies[-1]
        return [
            float(tally.spoken),
            float(reply.answer is not None),
            tally.share,
            float(tally.leads),
            tally.team_spoken,
            tally.largest,
            tally.second,
            tally.length,
            tally.length_agreeing,
            tally.length_team,
            0.0 if reply.confidence is None else reply.confidence.probability,
            min(1.0, known.rounds / ROUNDS_SCALE),
            price,
            tally.number,
        ]


class AnswerNumbers:
    """Six numbers in [0, 1] about the answer of an executor's last reply.

    1 if it is a number; 1 if it is whole; 1 if it is negative; log10(1 + |value|) / 6, cut at 1; 1 if it is whole and
    divisible by 10; its characters / 20, cut at 1. All are 0 without an answer. What they give away about a set of
    problems (where all gold answers are whole, say) is learned at once: name the part in results.
    """

    name = ANSWER_NUMBERS
    dim = 6

    def values(self, known: Known) -> list[float]:
        """The six numbers."""
        answer = known.replies[-1].answer if known.replies else None
        if answer is None:
            return [0.0] * 6
        form = read_form(answer)
        length = min(1.0, len(answer) / 20.0)
        if not isinstance(form, Number):
            return [0.0] * 5 + [length]
        value = form.value * form.scale
        whole = value.denominator == 1
        size = min(1.0, math.log10(1.0 + float(min(abs(value), Fraction(LARGE)))) / 6.0)
        return [1.0, float(whole), float(value < 0), size, float(whole and value % 10 == 0), length]


class WorkingNumbers:
    """Five numbers in [0, 1] about the working in an executor's last reply: its text before it states the answer.

    log(1 + equations) / 4, cut at 1, of equations whose sides can be computed; 1 if one of them does not hold; 1 if the
    last number of the working is the answer; 1 if the answer is among its numbers; log(1 + numbers) / 5, cut at 1. All
    are 0 without an answer, and where neither the text nor its working is known.
    """

    name = WORKING
    dim = 5

    def values(self, known: Known) -> list[float]:
        """The five numbers."""
        reply = known.replies[-1] if known.replies else None
        if reply is None or reply.answer is None:
            return [0.0] * 5
        working = reply.working
        if working is None:
            if reply.text is None:
                return [0.0] * 5
            working = working_of(reply.text, reply.answer)
        return [
            min(1.0, math.log1p(working.equations) / 4.0),
            float(working.wrong > 0),
            float(working.ends),
            float(working.shows),
            min(1.0, math.log1p(working.numbers) / 5.0),
        ]
