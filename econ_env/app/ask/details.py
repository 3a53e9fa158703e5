"""What a served team tells of how it found an answer: the field `econ` of every response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from econ_env.app.ask.solver import Solution
from econ_env.app.ask.words import Words
from econ_env.control_names import further_of, shown_values
from econ_env.records import Commitment, Round, Usage


class Told(NamedTuple):
    """An answer for a client."""

    done: Solution
    """What the team decided, and how."""
    words: Words
    """The words that the client gets."""


def total_usage(told: Sequence[Told]) -> Usage:
    """What all answers of a request cost."""
    return sum((one.done.answer.episode.usage + one.words.usage for one in told), Usage())


def details(told: Told) -> dict[str, Any]:
    """How the team found its answer, ready for JSON."""
    answer, words = told.done.answer, told.words
    strategy = answer.episode.strategy
    total = sum(answer.usage.values(), words.usage)
    return {
        "answer": answer.rounds[-1].commitment.answer,
        "words": {"by": "request" if words.written else "team", "error": words.error},
        "strategy": None if strategy is None else strategy.text,
        "rounds": _rounds(told.done),
        "stop_reason": answer.stop_reasons[-1],
        "stopped": told.done.account.stopped,
        "residuals": list(answer.residuals),
        "gap": answer.gap,
        "tokens": {**{role: part.tokens for role, part in answer.usage.items()}, "words": words.usage.tokens},
        "calls": total.calls,
        "cache_hits": total.cache_hits,
        "seconds": round(told.done.seconds, 3),
    }


def _rounds(done: Solution) -> list[dict[str, Any]]:
    """All rounds; where executors may stay silent, also who was asked and what each one is believed."""
    shown = [_round(round_, further_of(done.answer.episode.controls)) for round_ in done.answer.rounds]
    for row, wave in zip(shown, done.account.waves, strict=False):
        row["asked"] = list(wave.asked)
        row["expected_gains"] = list(wave.gains)
        for reply, standing in zip(row["replies"], wave.after, strict=True):
            reply |= {"right": standing.right, "gain": standing.gain}
    return shown


def _round(round_: Round, further: Sequence[str]) -> dict[str, Any]:
    return {
        "replies": [
            {
                "agent": reply.agent,
                **shown_values(reply.controls, further),
                "status": reply.status,
                "text": reply.text,
                "answer": reply.answer,
                "error": reply.error,
            }
            for reply in round_.replies
        ],
        "clusters": [{"agents": list(part.agents), **_commitment(part.commitment)} for part in round_.clusters],
        "commitment": _commitment(round_.commitment),
    }


def _commitment(made: Commitment) -> dict[str, Any]:
    return {"text": made.text, "answer": made.answer, "source": made.source, "error": made.error}
