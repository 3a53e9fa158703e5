"""Trainers of other projects learn on the environment, each in a Python environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from benchmarks.plugins.run import python_for
from econ_env.wrappers import epymarl_config

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
    "xuance_mappo": "old_numpy",
    "sample_factory_appo": "old_numpy",
    "d3rlpy_offline": "offline",
    "epymarl_itself": "epymarl",
}
STAND_INS = {"epymarl_itself": FOLDER.parents[1] / "tests" / "thirdparty" / "epymarl_stand_in"}
"""What takes the place of projects that are not on PyPI."""
SHARE = 0.4
"""Of the way from random to the best controls. Means of random controls over a trial's 200 episodes stray from 0 by
0.04 of it (standard error); an untrained policy in the middle of the bounds reaches less than 0."""


@pytest.mark.thirdparty
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "trial", [pytest.param(name, marks=pytest.mark.xdist_group(overlay)) for name, overlay in OVERLAYS.items()]
)
def test_it_learns(trial):
    command = [sys.executable, FOLDER / "run.py", trial, *([STAND_INS[trial]] if trial in STAND_INS else [])]
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


@pytest.mark.thirdparty
@pytest.mark.xdist_group("epymarl")
def test_the_file_for_epymarl_takes_any_argument_and_only_those(tmp_path):
    wanted = ["t_max=3", "env_args.n_agents=2", "env_args.reward_weights=[0.0,1.0,0.0]", "env_args.max_rounds=1"]
    done = epymarl(*wanted, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    refused = epymarl("env_args.colour=red", cwd=tmp_path)
    assert refused.returncode != 0
    assert "env_args.colour" in refused.stderr


def epymarl(*settings, cwd):
    python = python_for(
        "epymarl_itself", Path(os.environ.get("ECON_PLUGINS_CACHE", user_cache_path("econ-bne") / "plugins"))
    )
    main = STAND_INS["epymarl_itself"] / "src" / "main.py"
    command = [python, main, "--config=qmix", f"--env-config={epymarl_config()}", "with", *settings]
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parents[1])}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
