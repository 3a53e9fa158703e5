"""Plays decisions again in which all agents spoke: every order of calls, and every point to stop, is known from them.

Axes: B batch, N agents.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from econ_agents.networks.discussion import Said
from econ_agents.networks.network import TeamNetwork
from econ_agents.networks.voice import Voices, answer_right

DOUBT = 0.25
"""Scale of a logistic curve over the logarithm of (gain + price) / price: a call whose gain is that much of its price
is made with probability 0.69."""

LEAST_PRICE = 1e-3
"""Added to prices, in reward, so that the ratio is known where calls cost nothing."""

LEAST_RATIO = 1e-6 - 1.0
"""A gain is at least minus the price, and so above this share of the price, unless nobody is left to speak."""


def expected_reward(net: TeamNetwork, said: Said, label_BN: Tensor, right_BN: Tensor) -> Tensor:
    """The reward [B] that a team expects, with the prices of its calls taken off.

    The agent that gains most speaks next, as in play. But whether it speaks at all is decided by a lot: with
    probability sigmoid(log(1 + gain / price) / DOUBT), 1/2 where play begins to call. So the reward has a gradient with
    respect to gains, and is ascended directly. On a plain scale the probability would be exactly 1 for gains of many
    prices, without a gradient, and a team that asks everyone at a low price could never learn to stop. That replies
    would have been the same in another order is taken for granted.

    Args:
        net: A network with a voice.
        said: What everyone said.
        label_BN: Numbers of the answers, equal for equal ones; -1 for none.
        right_BN: 1 where an agent's answer is right.
    """
    assert net.voice is not None
    n_agents = said.spoke_BN.shape[1]
    cost_BN = net.voice.costs(said)
    heard_BN = torch.zeros_like(said.spoke_BN)
    reward_B, log_going_B = right_BN.new_zeros(len(right_BN)), right_BN.new_zeros(len(right_BN))
    for call in range(n_agents + 1):
        heard = said.of(heard_BN)
        with torch.no_grad():
            trusted = net.voice.trust(heard)
        gain_BN = net.voice.gains(trusted, heard).masked_fill(heard_BN, -torch.inf)
        gain_B, who_B = gain_BN.max(dim=1)
        cost_B = cost_BN.gather(1, who_B[:, None]).squeeze(1)
        if call:  # the first step asks somebody
            odds_B = _odds_of_call(gain_B, cost_B)
            votes_BN = net.vote_weights(Voices(trusted, gain_BN))
            right_B = answer_right(label_BN.masked_fill(~heard_BN, -1.0), right_BN * heard_BN, votes_BN)
            reward_B = reward_B + (log_going_B + F.logsigmoid(-odds_B)).exp() * right_B
            log_going_B = log_going_B + F.logsigmoid(odds_B)
        if call < n_agents:
            reward_B = reward_B - log_going_B.exp() * cost_B
            heard_BN = heard_BN | F.one_hot(who_B, n_agents).bool()
    return reward_B


def _odds_of_call(gain_B: Tensor, price_B: Tensor) -> Tensor:
    """Log odds [B] of a call; far below 0 for a gain of -inf, where everyone has spoken."""
    ratio_B = (gain_B / (price_B + LEAST_PRICE)).clamp(min=LEAST_RATIO)
    return torch.log1p(ratio_B) / DOUBT
