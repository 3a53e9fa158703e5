"""Turns replayed steps into tensors with named axes.

Axes: B batch, N agents, D observation, S its static part, M memory rows, F features of a row, A controls, R reward
terms (3 or more).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from tianshou.data.types import RolloutBatchProtocol
from torch import Tensor

from econ_agents.team_spec import TeamSpec


class Wave(NamedTuple):
    """A step in which some agents spoke, or none, and the replies that stood after it."""

    spoke: Tensor
    """1 for the agents [B, N] that were asked."""
    amount: Tensor
    """What their calls [B, N] came to, in calls or another unit that has a price."""
    label: Tensor
    """Numbers [B, N] of the answers after the step, equal for equal ones; -1 for none."""
    right: Tensor
    """1 where a reply after the step is right, [B, N]."""
    valid: Tensor
    """1 where there is a valid reply after the step, [B, N]."""


class TeamBatch(NamedTuple):
    """Replayed steps as tensors."""

    obs_BND: Tensor
    """Observations before the step."""
    act_BNA: Tensor
    """Controls, in [-1, 1]."""
    obs_next_BND: Tensor
    """Observations after the step."""
    reward_BN: Tensor
    """What each agent is paid, under the live reward weights if its terms are known; trains Q_i."""
    price_BN: Tensor | float
    """What was taken off it for calls, if it was computed from terms; 0 where calls have no price."""
    team_reward_B: Tensor
    """The team's reward, under the same condition."""
    going_B: Tensor
    """1 where the episode continues after the step, 0 where it terminated."""
    weight_B: Tensor
    """Weight of the row in every loss: 0 for failed problems, else 1 or the importance weight of prioritised replay."""
    parts_BNR: Tensor | None
    """The reward terms that each agent is paid for, if the environment reports them: its own or, if the team's credit
    is `team`, the team's."""
    wave: Wave | None
    """What was said before and after the step, if the environment's executors may stay silent."""
    first_obs_BND: Tensor | None
    """Observations before the first of several rounds; None where decisions took one round."""
    prioritized: bool
    """Whether the replay buffer needs the rows' errors as priorities."""


def to_team_batch(batch: RolloutBatchProtocol, spec: TeamSpec, alpha_R: Tensor) -> TeamBatch:
    """Turn replayed steps into tensors, rewards recomputed with the live weights.

    Args:
        batch: Rows of a replay buffer that was filled from the joint view.
        spec: The team's shape.
        alpha_R: Live weights of the reward terms [R]; used where the rows carry the terms. The result is on its device.
    """
    held = cast("Mapping[str, Any]", batch)  # a Batch supports `in`, but its protocol does not declare it
    info = cast("Mapping[str, Any]", batch.info)
    floats = partial(_floats, device=alpha_R.device)
    obs_BND = floats(batch.obs)
    rows = len(obs_BND)
    parts_BNR, price_BN = _paid_for(info, spec, floats)
    team_B = floats(batch.rew)
    if "team_parts" in info:
        team_B = floats(info["team_parts"]) @ alpha_R - (floats(info["team_price"]) if "team_price" in info else 0.0)
    if parts_BNR is not None:
        reward_BN = parts_BNR @ alpha_R - price_BN
    elif "agent_rewards" in info:
        reward_BN = floats(info["agent_rewards"])
    else:
        reward_BN = team_B[:, None].expand(rows, spec.n_agents)
    weight_B = floats(held["weight"]) if "weight" in held else obs_BND.new_ones(rows)
    if "failed" in info:
        weight_B = weight_B * (1.0 - floats(info["failed"]).reshape(rows))
    extra = cast("Mapping[str, Any]", held["policy"]) if "policy" in held else {}
    return TeamBatch(
        obs_BND=obs_BND,
        act_BNA=floats(batch.act).reshape(rows, spec.n_agents, spec.action_dim),
        obs_next_BND=floats(batch.obs_next),
        reward_BN=reward_BN,
        price_BN=price_BN,
        team_reward_B=team_B.reshape(rows),
        going_B=1.0 - floats(batch.terminated),
        weight_B=weight_B,
        parts_BNR=parts_BNR,
        wave=Wave(**{name: floats(info[f"wave_{name}"]) for name in Wave._fields}) if "wave_spoke" in info else None,
        first_obs_BND=floats(extra["first_obs"]) if "first_obs" in extra else None,
        prioritized="weight" in held,
    )


def _paid_for(
    info: Mapping[str, Any], spec: TeamSpec, floats: Callable[[Any], Tensor]
) -> tuple[Tensor | None, Tensor | float]:
    """The reward terms [B, N, R] that each agent is paid for, if they are known, and the price [B, N] of the calls."""
    priced = "team_price" in info
    if spec.credit == "own":
        parts_BNR = floats(info["reward_parts"]) if "reward_parts" in info else None
        return parts_BNR, floats(info["price"]) if priced else 0.0
    if "team_parts" not in info:
        return None, 0.0
    parts_BNR = floats(info["team_parts"])[:, None].expand(-1, spec.n_agents, -1)
    return parts_BNR, floats(info["team_price"])[:, None].expand(-1, spec.n_agents) if priced else 0.0


def _floats(values: Any, device: torch.device) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32).to(device)
