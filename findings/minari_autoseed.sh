#!/usr/bin/env bash
# Minari 0.5.4: `DataCollector.reset()` without a seed gives the environment a new random seed of 64 bits, at every episode. An
# environment that walks through its problems, and goes on to the next one when it is reset without a seed, starts its walk
# anew each time: problems are drawn with repeats instead. `options={"minari_autoseed": False}` stops it, but the environment
# then gets that option too. Without Minari the same loop sees every problem once.
# Also, its extra `hdf5`, the default format, does not install Pillow, without which that format can't be used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "minari[hdf5,create]==0.5.4" "gymnasium==1.4.0"
plain=$("$work/venv/bin/python" -c "import minari.dataset._storages.hdf5_storage" 2>&1 | tail -1 || true)
echo "minari[hdf5] alone: $plain"
[[ $plain == *"No module named 'PIL'"* ]]
"$work/venv/bin/pip" install -q pillow
MINARI_DATASETS_PATH=$work/sets "$work/venv/bin/python" -W ignore - <<'PY'
import gymnasium
import minari
import numpy as np

PROBLEMS = 100


class Walk(gymnasium.Env):
    """Shows problems in a random order, each once; a seed draws another order."""

    observation_space = gymnasium.spaces.Box(0.0, PROBLEMS, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None or not hasattr(self, "order"):
            self.order = list(self.np_random.permutation(PROBLEMS))
            seeds.append(seed)
        given.append(options)
        return np.array([self.order.pop()], np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, True, False, {}


def seen(env, **arguments):
    seeds.clear(), given.clear()
    shown = []
    for _ in range(PROBLEMS):
        shown.append(int(env.reset(**arguments)[0][0]))
        env.step(0)
    return len(set(shown)), len(seeds), given[-1]


seeds, given = [], []
alone = seen(Walk())
collected = seen(minari.DataCollector(Walk()))
stopped = seen(minari.DataCollector(Walk()), options={"minari_autoseed": False})
print("minari", minari.__version__, "- different problems in 100 episodes, seeds given, last options:")
print("alone", alone, "| collected", collected, "| without autoseed", stopped)
assert alone == (PROBLEMS, 1, None), alone
assert collected[0] < 80 and collected[1] == PROBLEMS, collected
assert stopped == (PROBLEMS, 1, {"minari_autoseed": False}), stopped
PY
echo "still so"
