#!/usr/bin/env bash
# gymnasium 1.4.0: `make_vec` resets a finished environment at the next step (`AutoresetMode.NEXT_STEP`), and throws away the
# action of that step. Where episodes have one step, as in bandits or one question each, every second action is never played.
# Nothing warns: the reward of a thrown-away action is 0, and its end is False, like those of an action that was played.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "gymnasium==1.4.0"
"$work/venv/bin/python" - <<'PY'
import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

played = []


class OneStep(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(10)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        played.append(int(action))
        return np.zeros(1, np.float32), 1.0, True, False, {}


def run(**arguments):
    played.clear()
    vector = gymnasium.make_vec("OneStep-v0", num_envs=1, vectorization_mode="sync", **arguments)
    vector.reset(seed=0)
    steps = [vector.step(np.array([action])) for action in range(6)]
    return list(played), [float(step[1][0]) for step in steps], [bool(step[2][0]) for step in steps]


gymnasium.register("OneStep-v0", entry_point=OneStep)
print("gymnasium", gymnasium.__version__, "- actions given: [0, 1, 2, 3, 4, 5]")
default = run()
same = run(vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP})
print("by default:   played, rewards, ends:", *default)
print("same step:    played, rewards, ends:", *same)
assert default == ([0, 2, 4], [1.0, 0.0] * 3, [True, False] * 3), default
assert same == ([0, 1, 2, 3, 4, 5], [1.0] * 6, [True] * 6), same
PY
echo "still so"
