"""Trains TorchRL's MAPPO through `PettingZooWrapper`: one policy for all agents, one critic with all observations.

python benchmarks/plugins/run.py torchrl_mappo
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from known_task import normalized_team, run_trial
from tensordict import TensorDict
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torchrl.envs import PettingZooWrapper
from torchrl.envs.utils import ExplorationType, check_env_specs, set_exploration_type
from torchrl.modules import MultiAgentMLP, ProbabilisticActor, TanhNormal
from torchrl.objectives import ClipPPOLoss

GROUP = "executor"
UPDATES = 18
EPISODES_PER_UPDATE = 128
EPOCHS = 8
MINIBATCHES = 4


def build(env: PettingZooWrapper) -> tuple[ProbabilisticActor, ClipPPOLoss]:
    """The actor, and the loss with its critic."""
    observation = env.observation_spec[GROUP, "observation"].shape
    spec = env.full_action_spec[GROUP, "action"]
    agents, size = observation[-2:]

    def net(outputs: int, *, centralised: bool) -> MultiAgentMLP:
        return MultiAgentMLP(
            n_agent_inputs=size,
            n_agent_outputs=outputs,
            n_agents=agents,
            centralized=centralised,
            share_params=True,
            depth=2,
            num_cells=64,
            activation_class=torch.nn.Tanh,
        )

    heads = torch.nn.Sequential(net(2 * spec.shape[-1], centralised=False), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(heads, in_keys=[(GROUP, "observation")], out_keys=[(GROUP, "loc"), (GROUP, "scale")]),
        spec=spec,
        in_keys=[(GROUP, "loc"), (GROUP, "scale")],
        out_keys=[(GROUP, "action")],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": spec.space.low, "high": spec.space.high},
        return_log_prob=True,
        log_prob_key=(GROUP, "sample_log_prob"),
    )
    critic = TensorDictModule(
        net(1, centralised=True), in_keys=[(GROUP, "observation")], out_keys=[(GROUP, "state_value")]
    )
    loss = ClipPPOLoss(actor, critic, entropy_coeff=0.0, normalize_advantage=False)
    loss.set_keys(
        reward=env.reward_key,
        action=env.action_key,
        value=(GROUP, "state_value"),
        done=(GROUP, "done"),
        terminated=(GROUP, "terminated"),
        sample_log_prob=(GROUP, "sample_log_prob"),
    )
    loss.make_value_estimator()
    return actor, loss


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    check_env_specs(PettingZooWrapper(normalized_team()))
    env = PettingZooWrapper(normalized_team(), seed=0)
    actor, loss = build(env)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-3)

    def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
        seen = torch.as_tensor(np.stack(list(observations.values())))
        with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
            actions = actor(TensorDict({GROUP: {"observation": seen}}))[GROUP, "action"]
        return dict(zip(observations, actions.numpy(), strict=True))

    def train() -> int:
        for _ in range(UPDATES):
            with torch.no_grad(), set_exploration_type(ExplorationType.RANDOM):
                steps = env.rollout(EPISODES_PER_UPDATE, actor, break_when_any_done=False)
                loss.value_estimator(
                    steps, params=loss.critic_network_params, target_params=loss.target_critic_network_params
                )
            advantage = steps["advantage"]
            steps["advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
            for _ in range(EPOCHS):
                for rows in torch.randperm(len(steps)).chunk(MINIBATCHES):
                    losses = loss(steps[rows])
                    optimizer.zero_grad()
                    (losses["loss_objective"] + losses["loss_critic"]).backward()
                    torch.nn.utils.clip_grad_norm_(loss.parameters(), 1.0)
                    optimizer.step()
        return UPDATES * EPISODES_PER_UPDATE

    run_trial("torchrl", normalized_team, act, train)


if __name__ == "__main__":
    main()
