"""Says how a team found an answer: who was asked in each round and why, how far each was believed, why it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from econ_agents.trial import Expected
from econ_env.config import RewardConfig
from econ_env.records import Round

_STOPS = {
    "commitment_repeated": "two rounds gave the same answer",
    "small_change": "no control would have moved",
    "oscillation": "the controls went round in a circle",
    "all_invalid": "no reply was valid",
    "max_rounds": "all rounds were used",
}
"""Why a team without the control `speak` stopped, and one that used all rounds."""


@dataclass(frozen=True)
class Standing:
    """How an executor stands after a round."""

    agent: str
    """Its name."""
    status: str
    """`valid`, `invalid`, or `silent` for one that has not spoken."""
    answer: str | None
    """The answer of the reply that stands."""
    right: float | None
    """How likely this reply is right by the team's belief, in [0, 1]; `None` without a reply, or where nothing is
    believed."""
    weight: float | None
    """How much it counts in the vote, in [0, 1]; `None` without a reply, or where executors do not weigh."""
    gain: float | None
    """What the team expected to gain, less the price, if this executor spoke next; `None` for one that has spoken, or
    where nothing is expected."""


@dataclass(frozen=True)
class Wave:
    """One round of a team whose executors may stay silent."""

    asked: tuple[str, ...]
    """Names of those who were asked; nobody in a last round that counts what stands."""
    gains: tuple[float | None, ...]
    """What each of these calls was expected to gain before it was made, less its price; `None` where nothing was."""
    after: tuple[Standing, ...]
    """All executors after the round."""


@dataclass(frozen=True)
class Account:
    """How a team found its answer."""

    waves: tuple[Wave, ...]
    """The rounds; empty for teams in which everybody is asked in each round."""
    stopped: str
    """Why it stopped, in words."""


def account(
    rounds: Sequence[Round],
    controls: Sequence[str],
    reason: str,
    expected: Sequence[Expected] | None,
    reward: RewardConfig,
    price: float,
) -> Account:
    """Make the account of a decision.

    Args:
        rounds: Its rounds.
        controls: Names of the team's controls.
        reason: Why refinement ended, as `StopReason` has it.
        expected: What the policy told before each of the rounds; `None` if it told nothing.
        reward: Says what `price` is the price of.
        price: The price in this episode.
    """
    if "speak" not in controls:
        return Account((), _STOPS.get(reason, reason.replace("_", " ")))
    waves = []
    for number, round_ in enumerate(rounds):
        # What is thought of a reply, and what it weighs, is said by the next round's action, after it was heard.
        later = min(number + 1, len(rounds) - 1)
        before = None if expected is None else expected[number]
        after = None if expected is None else expected[later]
        gains = tuple(_number(before, "gain", _place(round_, agent)) for agent in round_.asked)
        weighed = rounds[later] if "weight" in controls else None
        waves.append(Wave(round_.asked, gains, _standings(round_, weighed, after)))
    return Account(tuple(waves), _stopped(waves, reason, reward, price))


def _standings(round_: Round, weighed: Round | None, told: Expected | None) -> tuple[Standing, ...]:
    return tuple(
        Standing(
            agent=reply.agent,
            status=reply.status,
            answer=reply.answer,
            right=_number(told, "right", place) if reply.valid else None,
            weight=weighed.replies[place].controls.weight if weighed is not None and reply.valid else None,
            gain=_number(told, "gain", place) if reply.silent else None,
        )
        for place, reply in enumerate(round_.replies)
    )


def _place(round_: Round, agent: str) -> int:
    return [reply.agent for reply in round_.replies].index(agent)


def _number(told: Expected | None, what: str, place: int) -> float | None:
    if told is None:
        return None
    return (told.right if what == "right" else told.gain)[place]


def _stopped(waves: Sequence[Wave], reason: str, reward: RewardConfig, price: float) -> str:
    last = waves[-1].after
    silent = [one for one in last if one.status == "silent"]
    if not silent:
        return "everyone has spoken"
    if reason != "silence":
        return _STOPS.get(reason, reason.replace("_", " "))
    if any(one.gain is None or one.gain > 0.0 for one in silent):
        return "nobody spoke"  # a policy that does not go by gains
    if price == 0.0:
        return "no call was expected to gain anything"
    per = "" if reward.price_per == "call" else " per 1,000 tokens"
    return f"no call was expected to gain more than its price, {price:g}{per}"
