"""The learner: losses, target networks and optimizers around the team's policy.

Axes: B batch, N agents, D observation, H belief, A controls, M candidates, K rounds, R reward terms.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from tianshou.algorithm.algorithm_base import (
    LaggedNetworkPolyakUpdateAlgorithmMixin,
    OffPolicyAlgorithm,
    TrainingStats,
)
from tianshou.algorithm.optim import OptimizerFactory
from tianshou.data.types import RolloutBatchProtocol
from torch import Tensor, nn

from econ_agents import losses
from econ_agents.batches import TeamBatch, to_team_batch
from econ_agents.belief import squash
from econ_agents.network import Outlook
from econ_agents.policy import EconPolicy, TeamGame


@dataclass(kw_only=True)
class EconTrainingStats(TrainingStats):
    """Losses of a gradient step by name, before weighting; None where a loss is off or can't be had."""

    td_local: float | None = None
    td_total: float | None = None
    similarity: float | None = None
    q_consistency: float | None = None
    encoder: float | None = None
    policy: float | None = None
    equilibrium: float | None = None
    response: float | None = None
    improvement: float | None = None
    alpha: float | None = None
    loss: float = 0.0


class _AdamW(OptimizerFactory):
    def __init__(self, lrs: list[float], weight_decay: float) -> None:
        super().__init__()
        self.lrs, self.weight_decay = lrs, weight_decay

    def create_instances(self, module):
        groups = [{"params": list(m.parameters()), "lr": lr} for m, lr in zip(module.children(), self.lrs, strict=True)]
        return torch.optim.AdamW(groups, weight_decay=self.weight_decay, fused=True), None

    def _create_optimizer_for_params(self, params):
        raise NotImplementedError


@contextmanager
def frozen(params) -> Iterator[None]:
    for p in params:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in params:
            p.requires_grad_(True)


class EconAlgorithm(OffPolicyAlgorithm, LaggedNetworkPolyakUpdateAlgorithmMixin):
    def __init__(self, policy: EconPolicy) -> None:
        super().__init__(policy=policy)
        config = policy.config
        LaggedNetworkPolyakUpdateAlgorithmMixin.__init__(self, tau=config.target_update_tau)
        self.config = config
        net = policy.network
        opt = config.optimizer
        self.target = copy.deepcopy(net).eval().requires_grad_(False)
        self.pairs = list(zip(self.target.parameters(), net.parameters(), strict=True))
        self.value_modules = [net.belief, net.critic, net.encoder, net.mixer]
        values = nn.ModuleList(self.value_modules)
        self.value_params = list(values.parameters())
        self.value_optim = self._create_optimizer(
            values,
            _AdamW([opt.learning_rate] * 2 + [opt.coordinator_learning_rate] * 2, opt.weight_decay),
            opt.max_grad_norm,
        )
        self.actor_optim = self._create_optimizer(
            nn.ModuleList([net.heads]), _AdamW([opt.actor_learning_rate], 0.0), opt.max_grad_norm
        )
        self.gradient_steps = 0
        self.actor_pessimistic = True
        self.actor_grad_belief = False

    def train(self, mode=True):
        if mode != self.training: super().train(mode)
        return self

    def _update_with_batch(self, batch: RolloutBatchProtocol) -> EconTrainingStats:
        policy = self.policy
        rows = to_team_batch(batch, policy.spec, policy.alpha().detach())
        policy.network.belief.observe(rows.obs_BND)
        stats = EconTrainingStats()
        td = self._learn_values(rows, stats)
        self._learn_controls(rows, stats)
        self.gradient_steps += 1
        if self.gradient_steps % self.config.target_update_interval == 0:
            with torch.no_grad():
                for t, q in self.pairs: t.lerp_(q, self.config.target_update_tau)
        if "weight" in batch:
            batch.weight = td
        return stats

    def _learn_values(self, rows: TeamBatch, stats: EconTrainingStats) -> Tensor:
        net, weights, gamma = self.policy.network, self.config.losses, self.config.gamma
        with torch.no_grad():
            if rows.going_B.any():
                ahead: Outlook = self.target(rows.obs_next_BND)
                target_BN = rows.reward_BN + gamma * rows.going_B[:, None] * ahead.local_BN
                target_B = rows.team_reward_B + gamma * rows.going_B * ahead.total_B
            else:
                target_BN, target_B = rows.reward_BN, rows.team_reward_B
        belief = net.belief(rows.obs_BND)
        values = net.values(belief, rows.act_BNA, pessimistic=False, detach_local=not weights.team_gradient)
        total = torch.zeros(())
        def add(name, weight, value):
            nonlocal total
            setattr(stats, name, value.item())
            total = total + weight * value
        w = rows.weight_B
        if weights.td_local: add("td_local", weights.td_local, losses.td_local(values.local_CBN, target_BN, w))
        if weights.td_total: add("td_total", weights.td_total, losses.td_total(values.total_B, target_B, w))
        if weights.q_consistency: add("q_consistency", weights.q_consistency, losses.q_consistency(values.local_CBN.mean(0), values.total_B, w))
        if weights.encoder: add("encoder", weights.encoder, losses.encoder(net.encoder.values(values.group, rows.act_BNA), target_BN, w))
        self.value_optim.step(total)
        return (values.total_B - target_B).detach().abs()

    def _learn_controls(self, rows: TeamBatch, stats: EconTrainingStats) -> None:
        net, weights = self.policy.network, self.config.losses
        with torch.no_grad():
            belief = net.belief(rows.obs_BND)
        w = rows.weight_B
        logits = net.heads(belief)
        act = squash(logits)
        total = torch.zeros(())
        def add(name, weight, value):
            nonlocal total
            setattr(stats, name, value.item())
            total = total + weight * value
        with frozen(self.value_params):
            if weights.policy:
                v = net.values(belief, act, pessimistic=self.actor_pessimistic)
                add("policy", weights.policy, losses.ascent(v.total_B, w))
            if weights.equilibrium or weights.response:
                R = min(weights.candidate_rows, len(act))
                game = TeamGame(net, belief[:R])
                with torch.no_grad():
                    M = weights.candidates
                    cand = torch.rand(R, act.shape[1], M, act.shape[2]) * 2 - 1
                    near = act[:R, :, None] + 0.2 * torch.randn_like(cand)
                    cand = torch.where((torch.arange(M) % 2 == 0)[:, None], cand, near.clamp(-1, 1))
                    u = game.utilities(act[:R], cand)
                    best_BN, idx = u.max(-1)
                    best_act = cand.gather(2, idx[..., None, None].expand(-1, -1, 1, cand.shape[-1])).squeeze(2)
                payoff = game.utilities(act[:R].detach(), act[:R, :, None]).squeeze(-1)
                gain = best_BN - payoff.detach()
                if weights.equilibrium: add("equilibrium", weights.equilibrium, losses.equilibrium(payoff, best_BN, w[:R]))
                if weights.response: add("response", weights.response, losses.response(logits[:R], best_act, gain, w[:R]))
            self.actor_optim.step(total)
