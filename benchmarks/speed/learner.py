"""Measures gradient steps against DDPG on the joint view and QMIX of the same size, and the time to choose controls.

All learners use the same decisions of one team, from the same buffer.
"""

from __future__ import annotations

import copy
import itertools
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tianshou.algorithm import DDPG
from tianshou.algorithm.algorithm_base import OffPolicyAlgorithm, policy_within_training_step
from tianshou.algorithm.modelfree.ddpg import ContinuousDeterministicPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorDeterministic, ContinuousCritic
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.lines import Line, in_turns
from econ_agents.algorithm import EconAlgorithm
from econ_agents.concurrency import torch_threads
from econ_agents.config import AgentConfig
from econ_agents.joint_env import JointEnv
from econ_agents.policy import EconPolicy
from econ_agents.training import RefiningCollector, TeamBuffer, TrainingEnvs, make_buffer
from econ_env import parallel_env

sys.path.append(str(Path(__file__).parents[1] / "plugins"))
from epymarl_qmix import QMix, Step
from epymarl_qmix import loss as qmix_loss

BATCHES = (16, 64, 256)
TEAMS = (3, 8, 32)
DECISIONS = 128
"""Decisions in the buffer."""
STEPS = 16
"""Gradient steps per timing, chosen so that each timing contains one measurement of the gap."""
QMIX_ACTIONS = 25
"""A grid of 5 by 5 controls."""
ACTED = (1, 256)


def updates() -> list[Line]:
    """Seconds per gradient step on one thread, and its floating-point operations.

    Shared parameters are used once for each agent, those of a joint view once for the team. So with equally many
    parameters our step computes more; the ratio of operations shows how much of the time this explains.
    """
    lines: list[Line] = []
    took: dict[tuple[int, int], float] = {}
    with torch_threads(1):
        for agents in TEAMS:
            env, policy, buffer = _played(agents)
            ours = EconAlgorithm(policy)
            size = sum(parameter.numel() for parameter in policy.network.parameters())
            peers = {"DDPG, joint view": _stepping(_ddpg(env, size), buffer), "QMIX": _qmix(env, buffer, size)}
            steps = [_stepping(ours, buffer), *peers.values()]
            for batch in BATCHES:
                mine, *others = in_turns([partial(step, batch) for step in steps], repeats=3)
                took[agents, batch] = mine
                for name, other in zip(peers, others, strict=True):
                    what = f"N={agents}, batch {batch}"
                    lines.append(Line("gradient step", what, 1e3 * mine, "ms", name, 1e3 * other, "lower", 1.0))
            own, *theirs = (_arithmetic(step, BATCHES[0]) for step in steps)
            for name, other in zip(peers, theirs, strict=True):
                what = f"N={agents}, batch {BATCHES[0]}, arithmetic"
                lines.append(Line("gradient step", what, own, "MFLOP", name, other, "lower"))
    for batch in BATCHES:
        few, many = TEAMS[0], TEAMS[-1]
        what, reference = f"N={many}, batch {batch}", f"{many}/{few} times N={few}"
        linear = took[few, batch] * many / few
        lines.append(Line("gradient step", what, 1e3 * took[many, batch], "ms", reference, 1e3 * linear, "lower", 1.0))
    return lines


def acting() -> list[Line]:
    """Seconds to choose controls for a batch of problems, N = 3, against a joint-view actor of the same size."""
    lines = []
    with torch_threads(1), torch.no_grad():
        env, policy, _ = _played(3)
        policy.eval()
        actor_size = sum(p.numel() for part in (policy.network.belief, policy.network.heads) for p in part.parameters())
        actor = _actor(env, _width(lambda width: _actor(env, width), actor_size)).eval()
        first = torch.as_tensor(env.reset(seed=0)[0])
        for problems in ACTED:
            obs_BND = first.expand(problems, -1, -1).contiguous()

            def timed(act: Callable[[], object]) -> float:
                start = time.perf_counter()
                for _ in range(20):
                    act()
                return (time.perf_counter() - start) / 20

            ours, theirs = in_turns(
                [
                    partial(timed, partial(policy.propose, obs_BND)),
                    partial(timed, partial(actor, obs_BND.flatten(1))),
                ],
                repeats=5,
            )
            what = f"controls for {problems} problems"
            lines.append(Line("acting", what, 1e3 * ours, "ms", "DDPG's actor", 1e3 * theirs, "lower"))
    return lines


def _played(agents: int) -> tuple[JointEnv, EconPolicy, TeamBuffer]:
    """A team's environment, its untrained policy, and a buffer of its decisions."""
    config = AgentConfig()
    make = partial(parallel_env, "bundled:1", n_agents=agents, llm="simulated", embedder="hash")
    envs = TrainingEnvs([make] * config.num_envs, seed=0, episodes=DECISIONS)
    torch.manual_seed(0)
    policy = EconPolicy(envs.envs[0].team, config)
    buffer = make_buffer(config.replay, config.num_envs)
    collector = RefiningCollector(
        policy, envs, buffer, rounds=1, config=config.bne,
        exploration_noise=True,
    )  # fmt: skip
    collector.reset()
    collector.collect(n_episode=DECISIONS)
    return envs.envs[0], policy, buffer


def _stepping(algorithm: OffPolicyAlgorithm, buffer: TeamBuffer) -> Callable[[int], float]:
    """A function from batch size to seconds per gradient step, including the sampling of the batch."""

    def step(batch: int) -> float:
        algorithm.policy.train()
        with policy_within_training_step(algorithm.policy):
            start = time.perf_counter()
            for _ in range(STEPS):
                algorithm.update(buffer, batch)
            return (time.perf_counter() - start) / STEPS

    return step


def _arithmetic(step: Callable[[int], float], batch: int) -> float:
    """Millions of floating-point operations per gradient step, in matrix products and attention."""
    with FlopCounterMode(display=False) as counter:
        step(batch)
    return counter.get_total_flops() / STEPS / 1e6


def _width(make: Callable[[int], nn.Module], size: int) -> int:
    """The smallest layer width, in steps of 8, with at least `size` parameters."""
    for width in itertools.count(8, 8):
        if sum(parameter.numel() for parameter in make(width).parameters()) >= size:
            return width
    raise AssertionError


def _actor(env: JointEnv, width: int) -> ContinuousActorDeterministic:
    obs, act = int(np.prod(env.observation_space.shape)), int(np.prod(env.action_space.shape))
    return ContinuousActorDeterministic(
        preprocess_net=Net(state_shape=obs, hidden_sizes=(width,)), action_shape=act, hidden_sizes=(width,)
    )


def _critic(env: JointEnv, width: int) -> ContinuousCritic:
    obs, act = int(np.prod(env.observation_space.shape)), int(np.prod(env.action_space.shape))
    return ContinuousCritic(preprocess_net=Net(state_shape=obs + act, hidden_sizes=(width,)), hidden_sizes=(width,))


def _ddpg(env: JointEnv, size: int) -> DDPG:
    """Tianshou's DDPG with equal widths of actor and critic, at least `size` parameters in total."""
    width = _width(lambda w: nn.ModuleList([_actor(env, w), _critic(env, w)]), size)
    policy = ContinuousDeterministicPolicy(
        actor=_actor(env, width), action_space=env.action_space, observation_space=env.observation_space
    )
    rate = AdamOptimizerFactory(lr=1e-3)
    return DDPG(policy=policy, policy_optim=rate, critic=_critic(env, width), critic_optim=rate)


def _qmix(env: JointEnv, buffer: TeamBuffer, size: int) -> Callable[[int], float]:
    """A function from batch size to seconds per step of a plain QMIX with at least `size` parameters."""
    agents, dim = env.team.n_agents, env.team.obs_dim
    width = _width(lambda w: QMix(agents, dim, QMIX_ACTIONS, hidden=w, mixed=w), size)
    net = QMix(agents, dim, QMIX_ACTIONS, hidden=width, mixed=width)
    target = copy.deepcopy(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)

    def step(batch: int) -> float:
        start = time.perf_counter()
        for _ in range(STEPS):
            rows, _ = buffer.sample(batch)
            steps = [
                Step(*fields)
                for fields in zip(
                    torch.as_tensor(rows.obs),
                    torch.as_tensor(rng.integers(QMIX_ACTIONS, size=(batch, agents))),
                    torch.as_tensor(rows.rew, dtype=torch.float32),
                    torch.as_tensor(rows.obs_next),
                    torch.as_tensor(rows.terminated, dtype=torch.float32),
                    strict=True,
                )
            ]
            optimizer.zero_grad()
            qmix_loss(net, target, steps).backward()
            optimizer.step()
            with torch.no_grad():
                for old, new in zip(target.parameters(), net.parameters(), strict=True):
                    old.lerp_(new, 0.02)
        return (time.perf_counter() - start) / STEPS

    return step
