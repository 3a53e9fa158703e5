"""Refuses models that give no log-probabilities where the reward needs them."""

from __future__ import annotations

from collections.abc import Iterable

from econ_env.errors import ConfigError, LLMRequestError
from econ_env.llm.protocol import Completion, LLMInfo
from econ_env.rewards.likelihood import no_likelihood


def check_offered(models: Iterable[LLMInfo]) -> None:
    """Check that models give log-probabilities, as far as is known before the first call.

    Raises:
        ConfigError: One does not.
    """
    for info in models:
        if not info.logprobs:
            raise ConfigError(no_likelihood(f"{_name(info)} gives none"))


def check_given(done: Completion, info: LLMInfo) -> None:
    """Check that a model's completion has a confidence.

    Raises:
        LLMRequestError: It has none.
    """
    if done.confidence is None:
        kept = " in an answer from the cache (llm.cache_dir)" if done.usage.cache_hits else ""
        raise LLMRequestError(no_likelihood(f"{_name(info)} gives none{kept}"))


def _name(info: LLMInfo) -> str:
    return f"the {info.backend} model" if not info.where else info.where
