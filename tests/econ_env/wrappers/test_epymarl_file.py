"""The file for EPyMARL sets what EPyMARL and the environment need, and never asks a model that costs money."""

import inspect
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
import yaml

from econ_env import parallel_env
from econ_env.wrappers import epymarl_config

GYMMA = {"key", "time_limit", "pretrained_wrapper"}


@pytest.fixture
def settings():
    return yaml.safe_load(Path(f"{epymarl_config()}.yaml").read_text())


def test_it_has_every_argument_of_the_environment(settings):
    assert settings["env_args"].keys() - GYMMA == inspect.signature(parallel_env).parameters.keys()


def test_it_plays_a_simulated_team_wherever_keys_are_set(settings, monkeypatch):
    monkeypatch.setenv("TOGETHER_API_KEY", "never-used")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    arguments = {name: value for name, value in settings["env_args"].items() if name not in GYMMA}
    env = gymnasium.make(settings["env_args"]["key"], max_episode_steps=settings["env_args"]["time_limit"], **arguments)
    env.reset(seed=0)
    _, rewards, terminated, truncated, _ = env.step([0, 12, 24])
    assert (terminated, truncated, len(rewards)) == (True, False, 3)
    team = env.unwrapped.parallel_env.env.team
    assert {llm.info.backend for llm in (team.coordinator, *team.executors)} == {"simulated"}


def test_the_command_prints_where_it_is():
    command = [sys.executable, "-m", "econ_env.wrappers.epymarl"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(f"{printed}.yaml").is_file()
