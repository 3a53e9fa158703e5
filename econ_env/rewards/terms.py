"""Computes the reward terms, one pure function each, and their weighted sum.

All take unit vectors or plain numbers and return values in [0, 1]. AL, TS and CC follow the reward system of the ECON
paper (Xie et al., ICML 2025, https://openreview.net/forum?id=RQwexjUCxm), computed on embeddings; AL also from
probabilities. A change of a term needs a new `REWARD_VERSION`, which is written into every result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from econ_env.config import RewardConfig, Weights
from econ_env.embedding import Embeddings
from econ_env.records import RewardParts

REWARD_VERSION = "econ-reward-v1"
"""Version of the terms; results with AL from probabilities have that of `reward_version`."""


def reward_version(config: RewardConfig) -> str:
    """The version of the reward with these settings, for results."""
    return REWARD_VERSION if config.al == "embedding" else f"{REWARD_VERSION}-{config.al}"


def task_specific(correct: bool) -> float:
    """TS: 1.0 for a right answer, else 0.0."""
    return 1.0 if correct else 0.0


def action_likelihood(reply: Embeddings, commitment: Embeddings) -> float:
    """AL_i = (1 + cos(u_i, C)) / 2.

    Args:
        reply: Unit embedding of the reply, shape [d].
        commitment: Unit embedding of the commitment, shape [d].
    """
    return _unit((1.0 + float(reply @ commitment)) / 2.0)


def novelty(replies: Embeddings, index: int) -> float:
    """1 - mean over j != i of max(0, cos(u_i, u_j)); 1.0 if there is only one reply.

    Args:
        replies: Unit embeddings of the valid replies, shape [n, d].
        index: Row of the executor.
    """
    if len(replies) == 1:
        return 1.0
    likeness = np.maximum(replies @ replies[index], 0.0)
    likeness[index] = 0.0
    return _unit(1.0 - float(likeness.sum()) / (len(replies) - 1))


def collaborative_contribution(fidelity: float, novelty_: float, fidelity_weight: float) -> float:
    """CC_i = w_f * fidelity_i + (1 - w_f) * novelty_i.

    Args:
        fidelity: AL_i by embeddings, whatever `reward.al` is: a reply is faithful to the commitment, not to its model.
        novelty_: See `novelty`.
        fidelity_weight: w_f, in [0, 1].
    """
    return _unit(fidelity_weight * fidelity + (1.0 - fidelity_weight) * novelty_)


def weigh(al: float, ts: float, cc: float, weights: Weights, further: Mapping[str, float] | None = None) -> RewardParts:
    """R = a_AL AL + a_TS TS + a_CC CC + sum_k a_k R_k, for weights that sum to 1.

    Args:
        al: AL.
        ts: TS.
        cc: CC.
        weights: alpha, in the order (AL, TS, CC), then of the further terms.
        further: Values of the further terms by name.
    """
    further = further or {}
    total = weights[0] * al + weights[1] * ts + weights[2] * cc
    total += sum(weight * value for weight, value in zip(weights[3:], further.values(), strict=True))
    return RewardParts(al=al, ts=ts, cc=cc, total=_unit(total), further=further)


def nothing(further: Sequence[str] = ()) -> RewardParts:
    """The reward of an invalid or silent reply: 0 in every term, also in the further terms of these names."""
    return RewardParts(al=0.0, ts=0.0, cc=0.0, total=0.0, further=dict.fromkeys(further, 0.0))


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
