#!/usr/bin/env bash
# Tianshou 2.0.1: making any policy compiles two numba functions, three variants in all, although a policy never calls them.
# They compute GAE and n-step returns in the algorithm's update. So a process that only loads a policy to act with it, or
# an off-policy learner without n-step returns, still waits for the compiler, again in each process: nothing is cached.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "tianshou==2.0.1" "torch>=2.6,<2.14" "gymnasium==1.4.0"
"$work/venv/bin/python" - <<'PY'
import time
from importlib.metadata import version

import numpy as np
import torch
from gymnasium.spaces import Box
from tianshou.algorithm import algorithm_base
from tianshou.algorithm.modelfree.ddpg import ContinuousDeterministicPolicy
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorDeterministic

print("tianshou", version("tianshou"), "numba", version("numba"), "torch", version("torch"))
compiled = {name: value for name, value in vars(algorithm_base).items() if hasattr(value, "signatures")}
before = {name: len(function.signatures) for name, function in compiled.items()}
print("compiled variants before any policy:", before)
space = Box(-1.0, 1.0, (2,), np.float32)
actor = ContinuousActorDeterministic(preprocess_net=Net(state_shape=(3,), hidden_sizes=(8,)), action_shape=(2,))
start = time.perf_counter()
ContinuousDeterministicPolicy(actor=actor, action_space=space)
seconds = time.perf_counter() - start
after = {name: len(function.signatures) for name, function in compiled.items()}
print(f"after making one policy ({seconds:.1f} s):", after)
assert compiled and not any(before.values()), before
assert after["_gae"] == 2 and after["_nstep_return"] == 1, after
PY
echo "still so"
