"""Updates the team's policy: losses, target networks and optimizers.

In the targets, the target network's own heads choose the controls instead of a maximum over continuous controls, as in
FACMAC (Peng et al. 2021, arXiv:2003.06709); the heads ascend Q_tot. Q_tot learns the team's reward, and each Q_i what
its agent is paid: its own reward, or the team's if the environment's `reward_credit` is `team`.
Axes: B batch, N agents, D observation, H belief, A controls, M candidates, K rounds, R reward terms, C critics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, cast

import torch
from tianshou.algorithm.algorithm_base import (
    LaggedNetworkPolyakUpdateAlgorithmMixin,
    OffPolicyAlgorithm,
    TrainingStats,
)
from tianshou.algorithm.optim import OptimizerFactory, TorchOptimizerFactory
from tianshou.data.types import PrioBatchProtocol, RolloutBatchProtocol
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from econ_agents import losses
from econ_agents.batches import TeamBatch, to_team_batch
from econ_agents.networks.belief import squash
from econ_agents.networks.network import Outlook, TeamNetwork, share_statistics
from econ_agents.networks.voice import some_of
from econ_agents.optimizers import AdamW
from econ_agents.played_again import expected_reward
from econ_agents.policy import EconPolicy, TeamGame

NEARBY = 0.2
"""Standard deviation of candidates near an agent's own controls, on [-1, 1]; the other candidates are uniform."""
SMALL_TEAM = 3
"""Largest team that uses all `losses.candidate_rows`; a larger one uses fewer rows, with as many deviations in all."""


@dataclass(kw_only=True)
class EconTrainingStats(TrainingStats):
    """Losses of a gradient step by name, before weighting; None where a loss is off, not due or unavailable."""

    td_local: float | None = None
    """TD_i, summed over agents."""
    td_total: float | None = None
    """TD_tot."""
    similarity: float | None = None
    """SD: distance of the features from the commitment."""
    q_consistency: float | None = None
    """Distance of Q_tot from the Q_i."""
    trust: float | None = None
    """Log score of the beliefs that replies are right."""
    gain: float | None = None
    """TD error of what a call gains."""
    encoder: float | None = None
    """TD_i of the values read from the group representation."""
    policy: float | None = None
    """-Q_tot at the heads' controls."""
    equilibrium: float | None = None
    """Best-response gap of the heads' controls, by the critics."""
    response: float | None = None
    """Distance of the heads' controls from the best deviations found."""
    improvement: float | None = None
    """By how much later rounds are valued below earlier ones; needs more than one round in training."""
    alpha: float | None = None
    """Squared error between the rewards under the live weights and the critics' expectation."""
    weight_ts: float | None = None
    """The live weight of TS."""


class EconAlgorithm(OffPolicyAlgorithm[EconPolicy], LaggedNetworkPolyakUpdateAlgorithmMixin):
    """Updates a team's policy from replayed decisions.

    Args:
        policy: The policy to train; its settings hold loss weights, step sizes and target updates.
    """

    class Optimizer(OffPolicyAlgorithm.Optimizer):
        """Tianshou's optimizer, but it changes gradients only if they must be clipped."""

        def __init__(self, optim: torch.optim.Optimizer, module: nn.Module, max_grad_norm: float | None = None) -> None:
            super().__init__(optim, module, max_grad_norm)
            self._parameters = list(module.parameters())

        def step(self, loss: Tensor, retain_graph: bool | None = None, create_graph: bool = False) -> None:
            """Take one gradient step on the loss."""
            self._optim.zero_grad()
            loss.backward(retain_graph=retain_graph, create_graph=create_graph)  # type: ignore[no-untyped-call] # untyped upstream
            if self._max_grad_norm is not None:
                gradients = [p.grad for p in self._parameters if p.grad is not None]
                norm = nn.utils.get_total_norm(gradients, foreach=True)
                if norm > self._max_grad_norm:
                    nn.utils.clip_grads_with_norm_(self._parameters, self._max_grad_norm, norm, foreach=True)
            self._optim.step()

    def __init__(self, policy: EconPolicy) -> None:
        super().__init__(policy=policy)
        self.config = policy.config
        LaggedNetworkPolyakUpdateAlgorithmMixin.__init__(self, tau=self.config.target_update_tau)
        net, step = policy.network, self.config.optimizer
        self.target = self._add_lagged_network(net)
        self._learned, self._lagged = list(net.parameters()), list(self.target.parameters())
        self._soft_update = get_ema_multi_avg_fn(1.0 - self.tau)  # type: ignore[no-untyped-call] # untyped upstream
        # Soft updates move parameters only, so both networks must share the running input statistics.
        share_statistics(cast(TeamNetwork, self.target.module), net)
        values = nn.ModuleList([net.belief, net.critic, net.encoder, net.mixer])
        rates = [step.learning_rate] * 2 + [step.coordinator_learning_rate] * 2
        decays = [step.weight_decay] * 4
        if net.voice is not None:
            values.append(net.voice)
            rates.append(step.voice_learning_rate)
            decays.append(0.0)  # `losses.shrink` draws its weights to 0
        self.value_params = list(values.parameters())
        self.value_optim = self._create_optimizer(values, _GroupedAdamW(rates, decays), step.max_grad_norm)
        heads = nn.ModuleList([net.heads])
        self.actor_optim = self._create_optimizer(
            heads, _GroupedAdamW([step.actor_learning_rate], [0.0]), step.max_grad_norm
        )
        self.alpha_optim = self._create_optimizer(
            policy.alpha, TorchOptimizerFactory(AdamW, weight_decay=0.0, lr=self.config.alpha.learning_rate)
        )
        self.gradient_steps = 0

    def _update_with_batch(self, batch: RolloutBatchProtocol) -> EconTrainingStats:
        """Take one gradient step on all networks; sets the batch's weights for prioritised replay."""
        policy = self.policy
        rows = to_team_batch(batch, policy.spec, policy.alpha().detach())
        net, stats = policy.network, EconTrainingStats()
        if net.voice is not None:
            net.voice.trust.observe(net.said(rows.obs_next_BND))
        if net.steers:
            net.belief.observe(rows.obs_BND)
            error_B = self._learn_values(rows, net.belief(rows.obs_BND), stats)
        else:
            error_B = self._learn_voice(rows, stats)
        # Noise on the inputs keeps the critics from overfitting, but heads must learn from the beliefs from which they
        # will act: with the weaker signal of noisy ones they learn to exaggerate, and without noise go too far.
        if net.steers:
            with _as_in_play(net.belief, net.encoder):
                self._learn_controls(rows, stats)
        self.gradient_steps += 1
        if self.gradient_steps % self.config.target_update_interval == 0:
            self._update_lagged_network_weights()
        if rows.prioritized:
            # Priorities are stored as doubles; a resumed run must compute with the same values.
            cast(PrioBatchProtocol, batch).weight = error_B.cpu().double()
        return stats

    def train(self, mode: bool = True) -> Self:
        """As in torch, but returns at once if the mode is already set: Tianshou sets it twice in each gradient step."""
        if self.training == self.policy.training == self.policy.network.training == mode:
            return self
        return super().train(mode)

    def _update_lagged_network_weights(self) -> None:
        self._soft_update(self._lagged, self._learned, 0)

    def _learn_values(self, rows: TeamBatch, belief_BNH: Tensor, stats: EconTrainingStats) -> Tensor:
        """Update beliefs, critics, encoder and mixer towards their targets, then alpha; return |TD_tot| [B]."""
        net, weights, gamma = self.policy.network, self.config.losses, self.config.gamma
        future_BN, future_B = torch.zeros_like(rows.reward_BN), torch.zeros_like(rows.team_reward_B)
        if bool(rows.going_B.any()):
            with torch.no_grad():
                ahead: Outlook = self.target.module(rows.obs_next_BND)  # always in eval mode
            future_BN = gamma * rows.going_B[:, None] * ahead.local_BN
            future_B = gamma * rows.going_B * ahead.total_B
        target_BN, target_B = rows.reward_BN + future_BN, rows.team_reward_B + future_B
        values = net.values(belief_BNH, rows.act_BNA, pessimistic=False, detach_local=not weights.team_gradient)
        w_B, total = rows.weight_B, _Total(stats)
        if weights.td_local:
            total.add("td_local", weights.td_local, losses.td_local(values.local_CBN, target_BN, w_B))
        if weights.td_total:
            total.add("td_total", weights.td_total, losses.td_total(values.total_B, target_B, w_B))
        features_BNW = values.features_BNW if weights.similarity else None
        aligned_BNX = None if features_BNW is None else net.mixer.align(features_BNW)
        if aligned_BNX is not None:
            shown = slice(*(self.policy.spec.part("commitment") or (0, 0)))
            commitment_BX = rows.obs_next_BND[:, 0, shown]  # after the step all agents see the same commitment
            total.add("similarity", weights.similarity, losses.similarity(aligned_BNX, commitment_BX, w_B))
        local_BN = values.local_CBN.mean(0)
        if weights.q_consistency:
            total.add("q_consistency", weights.q_consistency, losses.q_consistency(local_BN, values.total_B, w_B))
        if weights.encoder:
            read_BN = net.encoder.values(values.group, rows.act_BNA)
            total.add("encoder", weights.encoder, losses.encoder(read_BN, target_BN, w_B))
        self._add_voice(total, rows)
        total.descend(self.value_optim)
        self._learn_alpha(rows, local_BN.detach() - future_BN + rows.price_BN, stats)
        return (values.total_B - target_B).detach().abs() * (w_B > 0)  # nothing is learned from a failed problem

    def _learn_voice(self, rows: TeamBatch, stats: EconTrainingStats) -> Tensor:
        """Update the voice alone, where agents only speak and weigh; return its log score [B]."""
        total = _Total(stats)
        error_B = self._add_voice(total, rows)
        total.descend(self.value_optim)
        return error_B

    def _add_voice(self, total: _Total, rows: TeamBatch) -> Tensor:
        """Add the losses of trust and gains; returns the log score [B] of the beliefs, 0 where nobody spoke.

        Where all spoke at once, their replies could have come in any order: beliefs are trained on some of them, drawn
        anew in each gradient step, and gains by playing the decision again.
        """
        net, weights, wave = self.policy.network, self.config.losses, rows.wave
        if net.voice is None or wave is None:
            return torch.zeros_like(rows.weight_B)
        net.voice.records.observe(wave.spoke * (rows.weight_B > 0)[:, None], wave.right, wave.amount)
        some_B = (wave.spoke > 0.5).any(dim=1)
        score_B = torch.zeros_like(rows.weight_B)
        if not bool(some_B.any()):
            return score_B
        said, weight_B = net.said(rows.obs_next_BND).rows(some_B), rows.weight_B[some_B]
        right_BN, label_BN = wave.right[some_B], wave.label[some_B]
        all_B = (wave.spoke[some_B] > 0.5).all(dim=1)
        heard = said.of(torch.where(all_B[:, None], some_of(said.spoke_BN), said.spoke_BN))
        trusted = net.voice.trust(heard)
        if weights.trust:
            score = losses.trust(trusted.part_BN, trusted.none_B, right_BN * heard.spoke_BN, weight_B)
            total.add("trust", weights.trust, score)
            total.shrink(weights.shrink, net.voice.trust.penalty())
        if weights.gain and bool(all_B.any()):
            reward_B = expected_reward(net, said.rows(all_B), label_BN[all_B], right_BN[all_B])
            total.add("gain", weights.gain, losses.gain(reward_B, weight_B[all_B]))
        with torch.no_grad():
            found_B = losses.log_score(trusted.part_BN, trusted.none_B, right_BN * heard.spoke_BN)
            score_B[some_B] = found_B * (weight_B > 0)
        return score_B

    def _learn_alpha(self, rows: TeamBatch, expected_BN: Tensor, stats: EconTrainingStats) -> None:
        """Update the reward weights, if they are learned, to bring rewards closer to what the critics expect."""
        if self.config.alpha.learn and rows.parts_BNR is not None:
            total = _Total(stats)
            loss = losses.reward_weights(rows.parts_BNR, self.policy.alpha(), expected_BN, rows.weight_B)
            total.add("alpha", 1.0, loss)
            total.descend(self.alpha_optim)
        stats.weight_ts = self.policy.alpha.values()[1]

    def _learn_controls(self, rows: TeamBatch, stats: EconTrainingStats) -> None:
        """Update the heads, with all value networks fixed."""
        net, weights, total = self.policy.network, self.config.losses, _Total(stats)
        with torch.no_grad():
            belief_BNH = net.belief(rows.obs_BND)
            group = net.encoder(belief_BNH)
        logit_BNA = net.heads(belief_BNH)
        with _fixed(self.value_params):
            act_BNA = squash(logit_BNA)
            act_BNA = net.completed(act_BNA, rows.obs_BND)
            values = net.values(belief_BNH, act_BNA, pessimistic=True, group=group)
            if weights.policy:
                total.add("policy", weights.policy, losses.ascent(values.total_B, rows.weight_B))
            due = (self.gradient_steps + 1) % weights.gap_interval == 0
            if due and (weights.equilibrium or weights.response):
                n_agents = logit_BNA.shape[1]
                few = slice(max(1, weights.candidate_rows * SMALL_TEAM // max(SMALL_TEAM, n_agents)))
                game = TeamGame(net, belief_BNH[few], group.group_BE[few])
                self._add_gap(total, game, logit_BNA[few], rows.weight_B[few])
            if weights.improvement and rows.first_obs_BND is not None:
                with torch.no_grad():
                    bar_B = net(rows.first_obs_BND).total_B
                total_KB = torch.stack([bar_B, values.total_B])
                total.add("improvement", weights.improvement, losses.improvement(total_KB, rows.weight_B))
            total.descend(self.actor_optim)

    def _add_gap(self, total: _Total, game: TeamGame, logit_BNA: Tensor, weight_B: Tensor) -> None:
        """Add the equilibrium and the response loss of the heads' controls."""
        weights = self.config.losses
        act_BNA = squash(logit_BNA)
        with torch.no_grad():
            tried_BNMA = _deviations(act_BNA, weights.candidates)
            best_BN, index_BN = game.utilities(act_BNA, tried_BNMA).max(-1)
            A = act_BNA.shape[-1]
            best_act_BNA = tried_BNMA.gather(2, index_BN[..., None, None].expand(-1, -1, 1, A)).squeeze(2)
        payoff_BN = game.utilities(act_BNA.detach(), act_BNA[:, :, None]).squeeze(-1)
        if weights.equilibrium:
            total.add("equilibrium", weights.equilibrium, losses.equilibrium(payoff_BN, best_BN, weight_B))
        if weights.response:
            gain_BN = best_BN - payoff_BN.detach()
            total.add("response", weights.response, losses.response(logit_BNA, best_act_BNA, gain_BN, weight_B))


class _Total:
    """Adds up weighted losses and records each by its name."""

    def __init__(self, stats: EconTrainingStats) -> None:
        self._stats = stats
        self._sum: Tensor | None = None

    def add(self, name: str, weight: float, loss: Tensor) -> None:
        setattr(self._stats, name, loss.item())
        self._sum = weight * loss if self._sum is None else self._sum + weight * loss

    def shrink(self, weight: float, penalty: Tensor) -> None:
        """Add a penalty on the size of parameters, which is no loss of the rows."""
        if weight:
            self._sum = weight * penalty if self._sum is None else self._sum + weight * penalty

    def descend(self, optimizer: OffPolicyAlgorithm.Optimizer) -> None:
        """Take one gradient step on the sum; none if every loss is off."""
        if self._sum is not None:
            optimizer.step(self._sum)


class _GroupedAdamW(OptimizerFactory):
    """AdamW with a step size and a weight decay for each child of a module list."""

    def __init__(self, rates: Sequence[float], decays: Sequence[float]) -> None:
        super().__init__()
        self._rates = tuple(rates)
        self._decays = tuple(decays)

    def create_instances(self, module: nn.Module) -> tuple[torch.optim.Optimizer, None]:
        children = zip(module.children(), self._rates, self._decays, strict=True)
        groups = [
            {"params": list(child.parameters()), "lr": rate, "weight_decay": decay} for child, rate, decay in children
        ]
        return AdamW(groups, fused=True), None

    def _create_optimizer_for_params(self, params: object) -> torch.optim.Optimizer:
        raise TypeError("this optimizer has parameter groups; call create_instances")


@contextmanager
def _as_in_play(*modules: nn.Module) -> Iterator[None]:
    """Let modules compute as the policy does when it acts, without noise and dropout."""
    before = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, before, strict=True):
            module.train(mode)


@contextmanager
def _fixed(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Switch off gradients of these parameters, so that they are neither computed nor stored."""
    held = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def _deviations(act_BNA: Tensor, count: int) -> Tensor:
    """Candidates [B, N, M, A]: every second one near the agent's own controls, the rest uniform."""
    B, N, A = act_BNA.shape
    device = act_BNA.device
    anywhere_BNMA = torch.rand(B, N, count, A, device=device) * 2.0 - 1.0
    nearby_BNMA = (act_BNA[:, :, None] + NEARBY * torch.randn(B, N, count, A, device=device)).clamp(-1.0, 1.0)
    return torch.where((torch.arange(count, device=device) % 2 == 0)[:, None], anywhere_BNMA, nearby_BNMA)
