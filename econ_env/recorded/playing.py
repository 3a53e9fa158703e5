"""Says which settings a bank can play, and who of its models plays in a team."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from econ_env.config import EnvConfig
from econ_env.errors import BankError
from econ_env.recorded.bank import Bank

DEFAULT_SIZE = EnvConfig().n_agents
"""Number of executors of one model, where it is not given."""


def check_playable(config: EnvConfig, bank: Bank) -> None:
    """Refuse settings that a bank can't play.

    Raises:
        BankError: One of them; the message says what to set.
    """
    if config.strategy != "off":
        raise BankError(f"{bank.name} can't show what a plan changes: set strategy to off")
    if config.commitment not in ("vote", "weighted"):
        raise BankError(f"{bank.name} has no words of a coordinator: set commitment to vote or weighted")
    if config.show_commitment:
        raise BankError(f"{bank.name} can't show what a last commitment changes: set show_commitment to false")
    if config.reward.price_per == "kilotoken" and "tokens" not in bank.numbers:
        raise BankError(f"{bank.name} does not say how many tokens a reply has: set reward.price_per to call")
    weights = config.reward.initial_weights
    if bank.read_replies is None and (weights[0] or weights[2]):
        raise BankError(
            f"{bank.name} has no texts of replies, so AL and CC have no meaning: set reward.initial_weights to 0, 1, 0"
        )


T = TypeVar("T")

PLAYED: Mapping[str, Any] = {"strategy": "off", "commitment": "vote", "show_commitment": False}
"""Settings of episodes that play a bank, where nothing else is given."""


def played_weights(bank: Bank) -> tuple[float, ...] | None:
    """Weights alpha of the rewards of a bank, where none are given; `None` leaves the usual ones.

    AL and CC compare texts, so without texts all weight is on TS.
    """
    return (0.0, 1.0, 0.0) if bank.read_replies is None else None


def played_embedder(bank: Bank, embedder: T) -> T | str:
    """The embedder of a bank's team: none, where `auto` was given and there is no text to embed."""
    texts = bank.has_questions or bank.read_replies is not None
    return "none" if embedder == "auto" and not texts else embedder


def cast(bank: Bank, coordinator: object, executors: Sequence[object], n_agents: int | None) -> tuple[str, ...]:
    """The model of each executor.

    Args:
        bank: The bank.
        coordinator: The coordinator that was given; a bank has none.
        executors: Names given for all executors or for each one; `(None,)` if there are none.
        n_agents: Number of executors; `None` if it was not given.

    Returns:
        The named models; without names every model of the bank once, or its only one for all executors.

    Raises:
        BankError: A model is not in the bank, or it is not clear which ones play.
    """
    if coordinator is not None:
        raise BankError(f"{bank.name} has no coordinator: leave it out, the commitment is a vote")
    given = []
    for name in executors:
        if isinstance(name, str):
            given.append(bank.models[bank.model(name)])
        elif name is not None:
            raise BankError(f"executors of {bank.name} are named by its models: {', '.join(bank.models)}")
    if len(given) == 1:
        return (given[0],) * (n_agents or DEFAULT_SIZE)
    if given:
        return tuple(given)
    if len(bank.models) == 1:
        return bank.models * (n_agents or DEFAULT_SIZE)
    if n_agents in (None, len(bank.models)):
        return bank.models
    raise BankError(
        f"{bank.name} has {len(bank.models)} models for {n_agents} executors; say which ones play: "
        f"{', '.join(bank.models)}"
    )
