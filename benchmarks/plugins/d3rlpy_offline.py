"""Trains d3rlpy's TD3+BC on stored episodes alone: a Minari data set of random controls, played once by the joint view.

python benchmarks/plugins/run.py d3rlpy_offline
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import d3rlpy
import numpy as np
import torch
from d3rlpy.algos import TD3PlusBCConfig
from d3rlpy.dataset import MDPDataset
from d3rlpy.models.encoders import VectorEncoderFactory
from known_task import normalized_team, run_trial

from econ_env.wrappers import JointView, store_episodes

if TYPE_CHECKING:
    from minari import MinariDataset

EPISODES = 5000
STEPS = 2000
WIDTHS = [64, 64]
RATE = 1e-3


def as_d3rlpy(stored: MinariDataset) -> Any:
    """The set as d3rlpy's buffer: of T + 1 states an episode's first T, since the last one is never acted in."""
    episodes = list(stored)
    return MDPDataset(
        observations=np.concatenate([episode.observations[:-1] for episode in episodes]),
        actions=np.concatenate([episode.actions for episode in episodes]),
        rewards=np.concatenate([episode.rewards for episode in episodes]),
        terminals=np.concatenate([episode.terminations for episode in episodes]),
    )


def main() -> None:
    """Store, train, and print the result; `random` is also what the stored actions reached, up to chance."""
    torch.set_num_threads(1)
    d3rlpy.seed(0)
    stored = store_episodes("econ/random-v0", lambda: JointView(normalized_team()), EPISODES, seed=0)
    buffer = as_d3rlpy(stored)
    learner = TD3PlusBCConfig(
        batch_size=256,
        actor_encoder_factory=VectorEncoderFactory(WIDTHS),
        critic_encoder_factory=VectorEncoderFactory(WIDTHS),
        actor_learning_rate=RATE,
        critic_learning_rate=RATE,
    ).create(device="cpu")
    learner.build_with_dataset(buffer)
    agents = normalized_team().possible_agents

    def act(_: Mapping[str, Any], state: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(agents, learner.predict(state[None])[0].reshape(len(agents), -1), strict=True))

    def train() -> int:
        learner.fit(buffer, n_steps=STEPS, n_steps_per_epoch=STEPS, show_progress=False)
        return EPISODES

    run_trial("d3rlpy", normalized_team, act, train)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # d3rlpy writes its logs below the working folder
        os.environ["MINARI_DATASETS_PATH"] = folder
        main()
