"""Small teams, settings and replayed decisions for the tests of the learner."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tianshou.data import Batch
from torch import Tensor

from econ_agents.config import AgentConfig, parse_config
from econ_agents.networks.network import TeamNetwork
from econ_agents.team_spec import SHARED, TeamSpec

QUESTION, COMMITMENT, MEMORY, FEATURES = 4, 3, 2, 4
SIZES = (1, 2, 3, 8, 48)

LOSSES = (
    "td_local",
    "td_total",
    "similarity",
    "q_consistency",
    "encoder",
    "policy",
    "equilibrium",
    "response",
    "improvement",
)


def make_spec(n_agents: int = 3, *, commitment: bool = True, memory: bool = True) -> TeamSpec:
    """Two controls in [0, 2] and [1, 1.5]; question, commitment, memory, counter."""
    sizes = {"question": QUESTION}
    sizes |= {"commitment": COMMITMENT} if commitment else {}
    sizes |= {"agent_memory": MEMORY * FEATURES} if memory else {}
    sizes |= {"counters": 1}
    ends = np.cumsum(list(sizes.values())).tolist()
    layout = tuple((name, end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True))
    shape = (MEMORY, FEATURES) if memory else (0, 0)
    return TeamSpec(n_agents, ends[-1], (0.0, 1.0), (2.0, 1.5), layout, shape)


def speaking_spec(n_agents: int) -> TeamSpec:
    """Agents that speak or are silent and weigh what they said; observations have a question and what was said."""
    layout = (("question", 0, QUESTION), ("discussion", QUESTION, QUESTION + 14))
    return TeamSpec(n_agents, QUESTION + 14, (0.0, 0.0), (1.0, 1.0), layout, controls=("speak", "weight"))


def small(**changes: Any) -> AgentConfig:
    """Narrow networks without noise, the gap in every step; `losses=dict(policy=0)` and the like change a group."""
    network = {"hidden_dim": 16, "encoder_dim": 8, "mixer_dim": 8, "heads": 2, "ffn_dim": 16, "input_noise": 0.0}
    values: dict[str, Any] = {"belief_dim": 8, "network": network, "num_envs": 2, "update_interval": 4}
    values |= {"batch_size": 8, "gradient_steps": 1.0}
    values["exploration"] = {"random_episodes": 4, "noise_episodes": 10}
    values["losses"] = {"gap_interval": 1}  # every loss in every step
    for name, value in changes.items():
        values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    return parse_config(values)


def only(*names: str) -> dict[str, float]:
    """Weights of the losses that leave only these on."""
    return {name: 1.0 if name in names else 0.0 for name in LOSSES}


def make_network(spec: TeamSpec | None = None, seed: int = 0, **changes: Any) -> TeamNetwork:
    torch.manual_seed(seed)
    return TeamNetwork(spec or make_spec(), small(**changes))


def observations(spec: TeamSpec, rows: int, seed: int = 0, *, filled: bool = True) -> Tensor:
    """Random observations [B, N, D]; all see the same question and commitment; memory rows are filled or all zero."""
    generator = torch.Generator().manual_seed(seed)
    obs_BND = torch.randn(rows, spec.n_agents, spec.obs_dim, generator=generator)
    for part in map(spec.part, SHARED):
        if part is not None:
            obs_BND[..., slice(*part)] = obs_BND[:, :1, slice(*part)]
    if (part := spec.part("agent_memory")) is not None:
        memory = obs_BND[..., slice(*part)].unflatten(-1, spec.memory_shape)
        memory[..., 0] = 1.0
        if not filled:
            memory.zero_()
    return obs_BND


def replayed(spec: TeamSpec, rows: int = 8, seed: int = 0, *, filled: bool = True, **changes: Any) -> Any:
    """Rows as a buffer gives them; `changes` replace fields of the rows, those of `info` by name."""
    rng = np.random.default_rng(seed)
    parts = rng.uniform(0, 1, (rows, spec.n_agents, 3)).astype(np.float32)
    info: dict[str, Any] = {
        "agent_rewards": parts.sum(-1),
        "reward_parts": parts,
        "team_parts": parts.mean(1),
        "failed": np.zeros(rows),
    }
    fields: dict[str, Any] = {
        "obs": observations(spec, rows, seed, filled=filled).numpy(),
        "act": rng.uniform(-1, 1, (rows, spec.n_agents * spec.action_dim)).astype(np.float32),
        "obs_next": observations(spec, rows, seed + 1, filled=filled).numpy(),
        "rew": rng.uniform(0, 1, rows),
        "terminated": np.zeros(rows, bool),
        "policy": {"first_obs": observations(spec, rows, seed + 2, filled=filled).numpy()},
    }
    for name, value in changes.items():
        (fields if name in fields else info)[name] = value
    info = {name: value for name, value in info.items() if value is not None}
    return Batch(**fields, info=Batch(info))
