"""Takes what executors' calls cost off the rewards (`reward.price`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from econ_env.config import RewardConfig
from econ_env.errors import ConfigError
from econ_env.records import RewardParts, Round, Usage
from econ_env.rewards.scoring import Score

PricePer = Literal["call", "kilotoken"]


def check_price(price: float) -> float:
    """The price as a float.

    Raises:
        ConfigError: It is negative or not finite.
    """
    value = float(price)
    if not 0.0 <= value < math.inf:
        raise ConfigError(f"the price must be a number of at least 0, got {price!r}")
    return value


def drawn_price(config: RewardConfig, seed: int) -> float:
    """The price of an episode between `price` and `price_max`, drawn evenly in its logarithm.

    Args:
        config: Has both.
        seed: A seed in [0, 2**31).
    """
    assert config.price_max is not None
    return config.price * float((config.price_max / config.price) ** (seed / 2**31))


def amounts(rounds: Sequence[Round], per: PricePer) -> list[float]:
    """How much each executor's calls in these rounds are to be paid for: calls, or 1,000 tokens.

    Args:
        rounds: The rounds of a decision, at least one. A reply that stands is paid for in the round that asked for it.
        per: What a price is for: an answered call, or 1,000 tokens of prompt and reply.
    """
    found = dict.fromkeys((reply.agent for round_ in rounds for reply in round_.replies), 0.0)
    for round_ in rounds:
        for reply in round_.given:
            found[reply.agent] += _amount(reply.usage, per)
    return list(found.values())


def costs(rounds: Sequence[Round], price: float, per: PricePer) -> list[float]:
    """What each executor's calls in these rounds cost, in reward.

    Args:
        rounds: As for `amounts`.
        price: What a call, or 1,000 tokens, costs.
        per: As for `amounts`.
    """
    return [price * amount for amount in amounts(rounds, per)]


def charge(score: Score, costs: Sequence[float]) -> Score:
    """The same judgements, with rewards less the costs: each executor's own, and all of them for the team.

    Args:
        score: Judgements and rewards without a price.
        costs: What each executor's calls cost.
    """
    rewards = tuple(_charged(parts, own) for parts, own in zip(score.rewards, costs, strict=True))
    return score._replace(rewards=rewards, team=_charged(score.team, math.fsum(costs)))


def _charged(parts: RewardParts, price: float) -> RewardParts:
    return replace(parts, total=parts.total - price, price=price) if price else parts


def _amount(usage: Usage, per: PricePer) -> float:
    return float(usage.calls) if per == "call" else usage.tokens / 1000.0
