"""Computes AL from probabilities (`reward.al: likelihood`).

The paper calls AL an "action likelihood" (Xie et al., ICML 2025, https://openreview.net/forum?id=RQwexjUCxm). Our
reading: the action is the reply, and its likelihood the probability that executor i's own model gives to it, per token,
so that a long reply is not punished. Servers give no probability of a text that they did not sample, such as that of
the commitment, so this AL does not say how close a reply is to it; the fidelity in CC still does, by embeddings.
"""

from __future__ import annotations

from econ_env.errors import LLMRequestError
from econ_env.records import Reply


def own_likelihood(reply: Reply) -> float:
    """AL_i = exp(mean log-probability of the tokens of u_i): the geometric mean of their probabilities, in (0, 1].

    Args:
        reply: A valid reply.

    Raises:
        LLMRequestError: Its probability is unknown.
    """
    if reply.confidence is None:
        raise LLMRequestError(no_likelihood(f"the reply of {reply.agent} has none"))
    return reply.confidence.probability


def no_likelihood(why: str) -> str:
    """The message of the error for a missing probability.

    Args:
        why: What has none.
    """
    return f"reward.al: likelihood needs log-probabilities, and {why}; use reward.al: embedding"
