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
"""A gain of this share of a call's mean price is followed by a call with probability 0.73 (a logistic curve)."""

LEAST_DOUBT = 1e-3
"""That gain where calls cost next to nothing, in reward."""


def expected_reward(net: TeamNetwork, said: Said, label_BN: Tensor, right_BN: Tensor) -> Tensor:
    """The reward [B] that a team expects, with the prices of its calls taken off.

    The agent that gains most speaks next, as in play. But whether one speaks at all is decided by a lot: with
    probability sigmoid(gain / doubt). So the reward has a gradient with respect to gains, and is ascended directly.
    That replies would have been the same in another order is taken for granted.

    Args:
        net: A network with a voice.
        said: What everyone said.
        label_BN: Numbers of the answers, equal for equal ones; -1 for none.
        right_BN: 1 where an agent's answer is right.
    """
    assert net.voice is not None
    n_agents = said.spoke_BN.shape[1]
    cost_N = net.voice.records.costs(n_agents)
    doubt = (DOUBT * cost_N.mean()).clamp(min=LEAST_DOUBT)
    heard_BN = torch.zeros_like(said.spoke_BN)
    playing_B = right_BN.new_ones(len(right_BN))
    reward_B = torch.zeros_like(playing_B)
    for call in range(n_agents + 1):
        heard = said.of(heard_BN)
        with torch.no_grad():
            trusted = net.voice.trust(heard)
        gain_BN = net.voice.gains(trusted, heard).masked_fill(heard_BN, -torch.inf)
        gain_B, who_B = gain_BN.max(dim=1)
        on_B = torch.sigmoid(gain_B / doubt) if call else torch.ones_like(playing_B)  # the first step asks somebody
        votes_BN = net.vote_weights(Voices(trusted, gain_BN))
        right_B = answer_right(label_BN.masked_fill(~heard_BN, -1.0), right_BN * heard_BN, votes_BN)
        reward_B = reward_B + playing_B * (1.0 - on_B) * right_B
        playing_B = playing_B * on_B
        if call < n_agents:
            reward_B = reward_B - playing_B * cost_N[who_B]
            heard_BN = heard_BN | F.one_hot(who_B, n_agents).bool()
    return reward_B
