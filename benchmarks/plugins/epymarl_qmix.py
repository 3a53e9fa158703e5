"""Trains our own QMIX on the tuple view, using it as EPyMARL's `gymma` does.

python benchmarks/plugins/epymarl_qmix.py

`epymarl_itself` trains EPyMARL's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from known_task import arguments, discrete_team, run_trial
from torch import Tensor, nn

EPISODES = 3000
RANDOM_EPISODES = 300
LAST_EPSILON = 0.05
BATCH = 64
TAU = 0.02
GAMMA = 0.99


class Step(NamedTuple):
    """One transition; N: agents, D: observation size."""

    obs_ND: Tensor
    actions_N: Tensor
    reward: Tensor
    """Mean of the agents' rewards, like EPyMARL's `common_reward` with `reward_scalarisation: mean`."""
    next_obs_ND: Tensor
    over: Tensor


class QMix(nn.Module):
    """A value for each agent and action, mixed with weights >= 0 computed from the joint observation.

    Rashid et al., 2018 (https://arxiv.org/abs/1803.11485); without recurrence, because episodes are short.
    """

    def __init__(self, n_agents: int, obs: int, n_actions: int, hidden: int = 64, mixed: int = 16) -> None:
        super().__init__()
        self.values = nn.Sequential(nn.Linear(obs + n_agents, hidden), nn.ReLU(), nn.Linear(hidden, n_actions))
        state = n_agents * obs
        self.weights_1, self.bias_1 = nn.Linear(state, n_agents * mixed), nn.Linear(state, mixed)
        self.weights_2 = nn.Linear(state, mixed)
        self.bias_2 = nn.Sequential(nn.Linear(state, mixed), nn.ReLU(), nn.Linear(mixed, 1))

    def each(self, obs_BND: Tensor) -> Tensor:
        """Values [B, N, A]."""
        agents = torch.eye(obs_BND.shape[1]).expand(len(obs_BND), -1, -1)
        return self.values(torch.cat([obs_BND, agents], dim=-1))

    def mix(self, chosen_BN: Tensor, obs_BND: Tensor) -> Tensor:
        """Q_tot [B] of each agent's chosen value."""
        state = obs_BND.flatten(1)
        weights = self.weights_1(state).abs().reshape(*chosen_BN.shape, -1)
        hidden = nn.functional.elu(torch.einsum("bn,bnm->bm", chosen_BN, weights) + self.bias_1(state))
        return (hidden * self.weights_2(state).abs()).sum(-1) + self.bias_2(state).squeeze(-1)


def loss(net: QMix, target: QMix, steps: list[Step]) -> Tensor:
    """Mean squared TD error of Q_tot; the live net chooses the target's actions (double Q)."""
    batch = Step(*(torch.stack(field) for field in zip(*steps, strict=True)))
    chosen = net.each(batch.obs_ND).gather(-1, batch.actions_N[..., None]).squeeze(-1)
    with torch.no_grad():
        best = net.each(batch.next_obs_ND).argmax(-1, keepdim=True)
        following = target.mix(target.each(batch.next_obs_ND).gather(-1, best).squeeze(-1), batch.next_obs_ND)
        aim = batch.reward + GAMMA * (1.0 - batch.over) * following
    return nn.functional.mse_loss(net.mix(chosen, batch.obs_ND), aim)


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    env = gymnasium.make("econ_env:econ_env/Tuple-v0", max_episode_steps=2, **arguments())
    n_agents, n_actions = env.unwrapped.n_agents, int(env.action_space[0].n)
    net, target = (QMix(n_agents, env.observation_space[0].shape[0], n_actions) for _ in range(2))
    target.load_state_dict(net.state_dict())
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    memory: deque[Step] = deque(maxlen=2000)

    def greedy(obs_ND: Tensor) -> np.ndarray:
        with torch.no_grad():
            return net.each(obs_ND[None])[0].argmax(-1).numpy()

    def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return dict(zip(observations, greedy(torch.as_tensor(np.stack(list(observations.values())))), strict=True))

    def learn() -> None:
        rows = rng.integers(len(memory), size=BATCH)
        optimizer.zero_grad()
        loss(net, target, [memory[row] for row in rows]).backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(target.parameters(), net.parameters(), strict=True):
                old.lerp_(new, TAU)

    def train() -> int:
        for episode in range(EPISODES):
            epsilon = max(LAST_EPSILON, 1.0 - max(0, episode - RANDOM_EPISODES) / (0.5 * EPISODES))
            observations, _ = env.reset(seed=0 if episode == 0 else None)
            over = False
            while not over:
                seen = torch.as_tensor(np.stack(observations))
                actions = np.where(rng.random(n_agents) < epsilon, rng.integers(n_actions, size=n_agents), greedy(seen))
                observations, rewards, over, cut, _ = env.step([int(action) for action in actions])
                after = torch.as_tensor(np.stack(observations))
                paid = torch.tensor(sum(rewards) / n_agents)
                memory.append(Step(seen, torch.as_tensor(actions), paid, after, torch.tensor(float(over))))
                over = over or cut
            if episode >= RANDOM_EPISODES:
                learn()
        return EPISODES

    run_trial("torch", discrete_team, act, train)


if __name__ == "__main__":
    main()
