"""Trainers of other projects learn on the environment, each in a Python environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "plugins"
OVERLAYS = {
    "tianshou_ddpg": "own",
    "epymarl_qmix": "own",
    "torchrl_mappo": "shared",
    "sb3_supersuit": "shared",
    "skrl_mappo": "shared",
    "benchmarl_task": "benchmarl",
    "rllib_ppo": "rllib",
    "agilerl_maddpg": "agilerl",
}
SHARE = 0.4
"""Of the way from random to the best controls. Means of random controls over a trial's 200 episodes stray from 0 by
0.04 of it (standard error); an untrained policy in the middle of the bounds reaches less than 0."""


@pytest.mark.thirdparty
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "trial", [pytest.param(name, marks=pytest.mark.xdist_group(overlay)) for name, overlay in OVERLAYS.items()]
)
def test_it_learns(trial):
    command = [sys.executable, FOLDER / "run.py", trial]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"library"')))
    print(json.dumps(result))
    assert result["untrained"] < result["random"] + 0.1
    assert result["share"] > SHARE
    assert result["trained"] <= 1.0


def test_every_script_is_run():
    helpers = {"run", "known_task"}
    assert {path.stem for path in FOLDER.glob("*.py")} - helpers == OVERLAYS.keys()


def test_a_trial_that_does_not_exist_is_one_clear_line():
    done = subprocess.run([sys.executable, FOLDER / "run.py", "rlib"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'rllib_ppo'" in done.stderr
    assert "Traceback" not in done.stderr
