"""Names the controls of an executor, says which of them p is, and finds their values in a prompt embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from econ_env.records import PromptEmbedding

ControlName = Literal["temperature", "repetition_penalty", "top_p", "min_p", "speak", "weight"]
"""`temperature` to `min_p` set how a model is sampled; `speak` whether it is asked in this round, from 0.5 on; `weight`
how much its answer counts."""

SAMPLERS: tuple[ControlName, ...] = ("temperature", "repetition_penalty", "top_p", "min_p")
"""The controls that a server is asked with."""

DEFAULT_CONTROLS: tuple[ControlName, ...] = ("temperature", "repetition_penalty")

NEUTRAL_PENALTY = 1.0
"""The repetition penalty that changes nothing."""

SPEAKS = 0.5
"""An executor with at least this `speak` is asked."""


def second_of(controls: Sequence[str]) -> Literal["repetition_penalty", "top_p"]:
    """The control that `PromptEmbedding.p` is: the repetition penalty, or top_p if only that is among the controls."""
    return "top_p" if "top_p" in controls and "repetition_penalty" not in controls else "repetition_penalty"


def further_of(controls: Sequence[str]) -> tuple[str, ...]:
    """The controls besides temperature and p, in order."""
    return tuple(name for name in controls if name not in ("temperature", second_of(controls)))


def values_of(embedding: PromptEmbedding, controls: Sequence[str]) -> list[float]:
    """The values of these controls of an action, in order.

    Args:
        embedding: The action, which sets all of them.
        controls: Their names, as `sampling.controls` has them.
    """
    second = second_of(controls)
    return [getattr(embedding, "p" if name == second else name) for name in controls]


def shown_values(embedding: PromptEmbedding, further: Sequence[str]) -> dict[str, float]:
    """The values by the names that infos and results use: `temperature` and `p` always, then the further controls.

    Args:
        embedding: The action.
        further: As `further_of` has them.
    """
    shown = {"temperature": embedding.temperature, "p": embedding.p}
    for name in further:
        shown[name] = getattr(embedding, name)
    return shown


def short_names(controls: Sequence[str]) -> list[str]:
    """The controls as texts name them: T, p, and the others by their names."""
    second = second_of(controls)
    return ["T" if name == "temperature" else "p" if name == second else name for name in controls]


def written(embedding: PromptEmbedding, controls: Sequence[str]) -> str:
    """The values of these controls as short text, such as `T=0.70 p=1.00`."""
    pairs = zip(short_names(controls), values_of(embedding, controls), strict=True)
    return " ".join(f"{name}={value:.2f}" for name, value in pairs)
