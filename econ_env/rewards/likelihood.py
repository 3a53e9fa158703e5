"""Computes AL from probabilities (`reward.al: likelihood`), and refuses models that give none.

The paper calls AL an "action likelihood" (Xie et al., ICML 2025, https://openreview.net/forum?id=RQwexjUCxm). Our
reading: the action is the reply, and its likelihood the probability that executor i's own model gives to it, per token,
so that a long reply is not punished. Servers give no probability of a text that they did not sample, such as that of
the commitment, so this AL does not say how close a reply is to it; the fidelity in CC still does, by embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable

from econ_env.errors import ConfigError, LLMRequestError
from econ_env.llm.protocol import Completion, LLMInfo
from econ_env.records import Reply


def own_likelihood(reply: Reply) -> float:
    """AL_i = exp(mean log-probability of the tokens of u_i): the geometric mean of their probabilities, in (0, 1].

    Args:
        reply: A valid reply.

    Raises:
        LLMRequestError: Its probability is unknown.
    """
    if reply.confidence is None:
        raise LLMRequestError(_refusal(f"the reply of {reply.agent} has none"))
    return reply.confidence.probability


def check_offered(models: Iterable[LLMInfo]) -> None:
    """Check that models give log-probabilities, as far as is known before the first call.

    Raises:
        ConfigError: One does not.
    """
    for info in models:
        if not info.logprobs:
            raise ConfigError(_refusal(f"{_name(info)} gives none"))


def check_given(done: Completion, info: LLMInfo) -> None:
    """Check that a model's completion has a confidence.

    Raises:
        LLMRequestError: It has none.
    """
    if done.confidence is None:
        kept = " in an answer from the cache (llm.cache_dir)" if done.usage.cache_hits else ""
        raise LLMRequestError(_refusal(f"{_name(info)} gives none{kept}"))


def _name(info: LLMInfo) -> str:
    return f"the {info.backend} model" if not info.where else info.where


def _refusal(why: str) -> str:
    return f"reward.al: likelihood needs log-probabilities, and {why}; use reward.al: embedding"
