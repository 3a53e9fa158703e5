#!/usr/bin/env bash
# XuanCe 1.4.4: its MAPPO agents never apply `activation_action`, which its own configurations for continuous actions set
# (`sigmoid`): the agents pass it on only if they are continuous, and find out that they are after the policy is built. The
# means of actions then end in a plain linear layer that starts with gain 1. Where observations have some hundred numbers and
# actions are bounded, most first means lie outside the bounds; an environment that clips them sees the same action whatever
# is learned. No message says so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "xuance==1.4.4" "pettingzoo==1.24.3" "torch>=2.6,<2.14"
"$work/venv/bin/python" -W ignore - "$work" 2>/dev/null <<'PY'
import os
import sys
from argparse import Namespace
from importlib.metadata import version
from importlib.resources import files

import numpy as np
import torch
import yaml
from gymnasium.spaces import Box
from xuance.torch.agents import MAPPO_Agents

SIZE = 284
os.chdir(sys.argv[1])  # it makes folders for logs
configs = files("xuance") / "configs"
settings = yaml.safe_load((configs / "basic.yaml").read_text())
settings |= yaml.safe_load((configs / "mappo" / "mpe" / "simple_spread_v3.yaml").read_text())
settings |= {"device": "cpu", "seed": 0, "parallels": 1, "buffer_size": 10}
print("xuance", version("xuance"), settings["policy"], "activation_action:", settings["activation_action"])
agents = MAPPO_Agents(
    Namespace(**settings),
    num_agents=2,
    agent_keys=["agent_0", "agent_1"],
    observation_space={name: Box(-1.0, 1.0, (SIZE,), np.float32) for name in ("agent_0", "agent_1")},
    action_space={name: Box(0.0, 1.0, (2,), np.float32) for name in ("agent_0", "agent_1")},
)
layers = [type(layer).__name__ for layer in agents.policy.actor["agent_0"].mu]
rng = np.random.default_rng(0)
seen = [{name: rng.uniform(-1.0, 1.0, SIZE).astype(np.float32) for name in agents.agent_keys} for _ in range(500)]
chosen = agents.get_actions(seen, test_mode=True, deterministic=True)["actions"]
means = np.array([list(actions.values()) for actions in chosen])
outside = ((means < 0.0) | (means > 1.0)).mean()
print("layers of the means:", *layers)
print(f"first means from {means.min():.2f} to {means.max():.2f}, {outside:.0%} outside [0, 1]")
assert layers[-1] == "Linear", layers
assert outside > 0.3, outside
PY
echo "still so"
