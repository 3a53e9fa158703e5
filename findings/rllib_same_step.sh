#!/usr/bin/env bash
# ray 2.60.0: RLlib takes a vector environment of one's own (`gym_env_vectorize_mode: vector_entry_point`), but assumes that it
# resets at the next step. If the vector says in its metadata that it resets in the same step, RLlib plays the step after each
# end, and drops its action, reward and end without a word: with episodes of one step, half of all episodes are lost. TorchRL
# 0.14.1 asks for the opposite and says so: it refuses vectors that reset at the next step.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "ray[rllib]==2.60.0" "torch>=2.6,<2.14"
cat >"$work/count.py" <<'PY'
import sys

import gymnasium
import numpy as np
import ray
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

played = []


class OneStep(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        played.append(int(action))
        return np.zeros(1, np.float32), 1.0, True, False, {}


def vector(num_envs, mode):
    return SyncVectorEnv([OneStep] * num_envs, autoreset_mode=AutoresetMode(mode))


gymnasium.register("OneStep-v0", entry_point=OneStep, vector_entry_point=vector)
config = (
    PPOConfig()
    .environment("OneStep-v0", env_config={"mode": sys.argv[1]})
    .env_runners(num_envs_per_env_runner=2, gym_env_vectorize_mode=gymnasium.VectorizeMode.VECTOR_ENTRY_POINT)
)
episodes = SingleAgentEnvRunner(config=config).sample(num_timesteps=20, random_actions=True)
ended = sum(episode.is_done for episode in episodes)
print("ray", ray.__version__, "gymnasium", gymnasium.__version__, sys.argv[1], "played", len(played), "kept", ended)
PY
next=$("$work/venv/bin/python" "$work/count.py" NextStep 2>/dev/null | tail -1)
same=$("$work/venv/bin/python" "$work/count.py" SameStep 2>/dev/null | tail -1)
printf '%s\n%s\n' "$next" "$same"
[[ $next == *"played 20 kept 20" ]]
[[ $same == *"played 38 kept 20" ]]
echo "still so"
