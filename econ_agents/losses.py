"""Defines every loss as a small pure function of tensors; `algorithm` weights and sums them.

Each returns a scalar: the mean over the rows of a batch, rows weighted (weight 0 leaves a row out). Sums over agents
are sums, as in the equations, so the size of a loss grows with the team.
Axes: B batch, N agents, C critics, A controls, K rounds, M candidates, R reward terms, X commitment.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_mean(value_B: Tensor, weight_B: Tensor) -> Tensor:
    """sum_b w_b v_b / number of rows with w_b > 0; 0 if there is none."""
    return (value_B * weight_B).sum() / (weight_B > 0).sum().clamp(min=1)


def td_local(local_CBN: Tensor, target_BN: Tensor, weight_B: Tensor) -> Tensor:
    """sum_i (Q_i - y_i)^2, the mean over critics."""
    return weighted_mean((local_CBN - target_BN).square().sum(-1).mean(0), weight_B)


def td_total(total_B: Tensor, target_B: Tensor, weight_B: Tensor) -> Tensor:
    """(Q_tot - y_tot)^2."""
    return weighted_mean((total_B - target_B).square(), weight_B)


def similarity(aligned_BNX: Tensor, commitment_BX: Tensor, weight_B: Tensor) -> Tensor:
    """sum_i (1 - cos(F_i, C))^2; rows without a commitment (a zero vector) are left out."""
    present_B = weight_B * (commitment_BX.square().sum(-1) > 0)
    cosine_BN = F.cosine_similarity(aligned_BNX, commitment_BX[:, None], dim=-1)
    return weighted_mean((1 - cosine_BN).square().sum(-1), present_B)


def q_consistency(local_BN: Tensor, total_B: Tensor, weight_B: Tensor) -> Tensor:
    """sum_i (Q_i - Q_tot)^2; trains Q_tot only, since local values have their own, better targets."""
    return weighted_mean((local_BN.detach() - total_B[:, None]).square().sum(-1), weight_B)


def encoder(value_BN: Tensor, target_BN: Tensor, weight_B: Tensor) -> Tensor:
    """sum_i TD_i of the values read from the group representation."""
    return weighted_mean((value_BN - target_BN).square().sum(-1), weight_B)


def trust(part_BN: Tensor, none_B: Tensor, right_BN: Tensor, weight_B: Tensor) -> Tensor:
    """The mean of `log_score`."""
    return weighted_mean(log_score(part_BN, none_B, right_BN), weight_B)


def log_score(part_BN: Tensor, none_B: Tensor, right_BN: Tensor) -> Tensor:
    """The log score -log P, [B], of the answer that is right, or of "none" where no answer is.

    Args:
        part_BN: Logarithm of the part of its answer's probability that each agent carries; -inf without an answer.
        none_B: Logarithm of the probability that no answer is right.
        right_BN: 1 where an agent's answer is right.
    """
    right_BN = (right_BN > 0.5) & torch.isfinite(part_BN)
    some_B = right_BN.any(dim=1)
    # Rows without a right answer get one finite entry, since the gradient of a sum of nothing is no number.
    carried_BN = part_BN.masked_fill(~right_BN, -torch.inf).masked_fill(~some_B[:, None], 0.0)
    return -torch.where(some_B, carried_BN.logsumexp(dim=1), none_B)


def gain(reward_B: Tensor, weight_B: Tensor) -> Tensor:
    """The negative reward of decisions that are played again, which gains of calls minimise."""
    return -weighted_mean(reward_B, weight_B)


def equilibrium(payoff_BN: Tensor, best_BN: Tensor, weight_B: Tensor) -> Tensor:
    """The gap sum_i max(0, best_i - u_i): the gains of the best single deviations found; 0 at an equilibrium."""
    return weighted_mean((best_BN.detach() - payoff_BN).clamp(min=0).sum(-1), weight_B)


def response(logit_BNA: Tensor, best_act_BNA: Tensor, gain_BN: Tensor, weight_B: Tensor) -> Tensor:
    """Cross-entropy between an agent's controls and its best deviation, where that has a gain; 0 where both agree.

    Controls and deviations are read as probabilities in [0, 1]. Unlike gradient ascent on the payoff, this keeps
    its full gradient where the payoff is flat or the heads are saturated.
    """
    share_BNA = ((best_act_BNA + 1) / 2).clamp(1e-3, 1 - 1e-3).detach()
    cross_BNA = F.binary_cross_entropy_with_logits(logit_BNA, share_BNA, reduction="none")
    least_BNA = F.binary_cross_entropy(share_BNA, share_BNA, reduction="none")
    pull_BN = (cross_BNA - least_BNA).sum(-1) * (gain_BN.detach() > 0)
    return weighted_mean(pull_BN.sum(-1), weight_B)


def improvement(total_KB: Tensor, weight_B: Tensor) -> Tensor:
    """sum_k max(0, Q_tot of round k - Q_tot of round k+1): later rounds should not score below earlier ones.

    The earlier value has no gradient, so the loss raises the later value and never lowers the earlier one.
    """
    return weighted_mean((total_KB[:-1].detach() - total_KB[1:]).clamp(min=0).sum(0), weight_B)


def reward_weights(parts_BNR: Tensor, alpha_R: Tensor, expected_BN: Tensor, weight_B: Tensor) -> Tensor:
    """sum_i (alpha . parts_i - expected_i)^2, the squared error of the expected rewards under alpha."""
    actual_BN = (parts_BNR * alpha_R).sum(-1)
    return weighted_mean((actual_BN - expected_BN.detach()).square().sum(-1), weight_B)


def ascent(total_B: Tensor, weight_B: Tensor) -> Tensor:
    """-Q_tot, which the heads minimise."""
    return -weighted_mean(total_B, torch.where(weight_B > 0, 1.0, 0.0))
