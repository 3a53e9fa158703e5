"""Trains Sample Factory's APPO on the joint view of several teams, in one process and in step with the learner.

Its own multi-agent environments need gymnasium 0.29, whose wrappers pass attributes on: with a newer one its wrappers
lose the number of agents.

python benchmarks/plugins/run.py sample_factory_appo
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import gymnasium
import torch
from known_task import normalized_team, run_trial
from sample_factory.algo.learning.learner import Learner
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.model.actor_critic import create_actor_critic
from sample_factory.model.model_utils import get_rnn_size
from sample_factory.train import run_rl

from econ_env.wrappers import JointView

EPISODES = 4800
TEAMS = 24
SETTINGS = {
    "env": "econ",
    "experiment": "econ",
    "device": "cpu",
    "seed": 0,
    "serial_mode": True,
    "async_rl": False,
    "num_workers": 1,
    "num_envs_per_worker": TEAMS,
    "worker_num_splits": 1,
    "rollout": 5,
    "recurrence": 1,
    "use_rnn": False,
    "batch_size": 120,
    "num_batches_per_epoch": 1,
    "num_epochs": 8,
    "learning_rate": 1e-3,
    "exploration_loss_coeff": 0.0,
    "reward_clip": 10.0,
    "normalize_input": False,
    "encoder_mlp_layers": "64 64",
    "nonlinearity": "tanh",
    "policy_init_gain": 1.0,
    "adaptive_stddev": False,
    "initial_stddev": 0.5,
    "decorrelate_envs_on_one_worker": False,
    "save_every_sec": 10_000,
}


def make_team(_: str, __: Any, ___: Any, render_mode: str | None = None) -> JointView:
    """What Sample Factory calls, also in a process that only looks at the spaces."""
    return JointView(normalized_team())


def settings(folder: str) -> Any:
    """Sample Factory's configuration, which comes from a command line."""
    chosen = {**SETTINGS, "train_dir": folder, "train_for_env_steps": EPISODES}
    words = [f"--{name}" if name == "encoder_mlp_layers" else f"--{name}={value}" for name, value in chosen.items()]
    at = words.index("--encoder_mlp_layers")
    words[at + 1 : at + 1] = str(chosen["encoder_mlp_layers"]).split()
    parser, _ = parse_sf_args(words)
    return parse_full_cfg(parser, words)


def main(folder: str) -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    register_env("econ", make_team)
    cfg = settings(folder)
    env = make_team("econ", None, None)
    policy = create_actor_critic(cfg, gymnasium.spaces.Dict(obs=env.observation_space), env.action_space)
    policy.eval()

    def act(observations: Mapping[str, Any], state: Any) -> dict[str, Any]:
        with torch.no_grad():
            policy(policy.normalize_obs({"obs": torch.as_tensor(state)[None]}), torch.zeros(1, get_rnn_size(cfg)))
            means = policy.action_distribution().means[0].numpy()
        return dict(zip(observations, means.reshape(len(observations), -1), strict=True))

    def train() -> int:
        run_rl(cfg)
        saved = Learner.get_checkpoints(Learner.checkpoint_dir(cfg, 0), "checkpoint_*")
        found = Learner.load_checkpoint(saved, torch.device("cpu"))
        policy.load_state_dict(found["model"])
        return int(found["env_steps"])

    run_trial("sample-factory", normalized_team, act, train)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as logs:
        main(logs)
