"""Each loss moves what it should and nothing else; targets, soft updates, masks, learned reward weights."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import LOSSES, make_spec, observations, only, replayed, small
from tianshou.data import Batch
from torch import Tensor

from econ_agents import losses
from econ_agents.algorithm import EconAlgorithm
from econ_agents.batches import to_team_batch
from econ_agents.errors import ConfigError
from econ_agents.networks.alpha import RewardWeights
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec

SPEC = make_spec()

PARTS = {
    "network.belief.": "beliefs",
    "network.critic.": "critics",
    "network.heads.": "heads",
    "network.encoder.readout.": "readout",
    "network.encoder.": "encoder",
    "network.mixer.alignment.": "alignment",
    "network.mixer.local_": "mixing",
    "network.mixer.total_": "mixing",
    "network.mixer.": "features",
    "alpha.": "alpha",
}
"""Prefix of a parameter's name to the part it belongs to; the first that fits counts."""


def make(weights: tuple[float, ...] = (0.4, 0.4, 0.2), **changes: Any) -> EconAlgorithm:
    torch.manual_seed(0)
    return EconAlgorithm(EconPolicy(SPEC, small(**changes), weights))


def part_of(name: str) -> str:
    return next(part for prefix, part in PARTS.items() if name.startswith(prefix))


def test_the_gap_is_measured_at_each_interval() -> None:
    algorithm = make(losses={"gap_interval": 3})
    stats = [algorithm._update_with_batch(replayed(SPEC)) for _ in range(7)]
    assert [step.equilibrium is not None for step in stats] == [False, False, True, False, False, True, False]
    assert [step.response is None for step in stats] == [step.equilibrium is None for step in stats]
    assert all(step.policy is not None for step in stats)


@pytest.mark.parametrize(("n_agents", "rows"), [(1, 6), (3, 6), (4, 4), (8, 2), (48, 1)])
def test_larger_teams_measure_the_gap_in_fewer_rows(n_agents: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    gap = losses.equilibrium

    def spy(payoff_BN: Tensor, best_BN: Tensor, weight_B: Tensor) -> Tensor:
        seen.append(tuple(payoff_BN.shape))
        return gap(payoff_BN, best_BN, weight_B)

    monkeypatch.setattr(losses, "equilibrium", spy)
    spec = make_spec(n_agents)
    config = small(losses={"candidate_rows": 6, "candidates": 2})
    EconAlgorithm(EconPolicy(spec, config, (0.4, 0.4, 0.2)))._update_with_batch(replayed(spec))
    assert seen == [(rows, n_agents)]


def test_what_was_seen_is_encoded_once_for_values_and_once_for_controls() -> None:
    algorithm = make(losses={**only(*LOSSES), "improvement": 0.0})
    net, calls = algorithm.policy.network, []
    for part in (net.belief, net.encoder):
        part.register_forward_hook(lambda module, *_: calls.append(type(module).__name__))
    algorithm._update_with_batch(replayed(SPEC, terminated=np.ones(8, bool)))
    assert calls == ["BeliefNetwork", "BeliefEncoder"] * 2


def test_values_are_learned_from_noisy_beliefs_and_controls_from_those_that_the_policy_acts_from() -> None:
    algorithm = make(network={"input_noise": 1.0, "dropout": 0.2})
    net, rows = algorithm.policy.network, replayed(SPEC)
    valued, controlled = [], []
    net.critic.register_forward_pre_hook(lambda _, inputs: valued.append(inputs[0].detach()))
    net.heads.register_forward_pre_hook(lambda _, inputs: controlled.append(inputs[0]))
    algorithm.train()
    algorithm._update_with_batch(rows)
    assert all(module.training for module in net.modules())
    net.eval()
    with torch.no_grad():
        acting_BNH = net.belief(torch.as_tensor(rows.obs))
    assert torch.equal(controlled[0], acting_BNH)
    assert torch.equal(valued[1], acting_BNH)  # the value of the heads' controls
    assert not torch.allclose(valued[0], acting_BNH, atol=0.05)


def test_gradients_are_clipped_as_one() -> None:
    algorithm = make(optimizer={"max_grad_norm": 1e-3})
    parts = (algorithm.policy.network.heads, algorithm.value_params)
    for part, optimizer in zip(parts, (algorithm.actor_optim, algorithm.value_optim), strict=True):
        held = list(part.parameters()) if isinstance(part, torch.nn.Module) else part
        optimizer._optim = torch.optim.SGD(held, lr=1.0)
    before = {name: p.detach().clone() for name, p in algorithm.policy.network.named_parameters()}
    algorithm._update_with_batch(replayed(SPEC, rows=16))
    steps = {name: p.detach() - before[name] for name, p in algorithm.policy.network.named_parameters()}
    for heads in (True, False):
        own = [step.flatten() for name, step in steps.items() if name.startswith("heads.") is heads]
        assert torch.cat(own).norm().item() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("mode", [True, False])
def test_train_reaches_every_network_but_the_targets(mode: bool) -> None:
    algorithm = make()
    algorithm.policy.network.train(not mode)  # as evaluation leaves it
    algorithm.train(mode)
    shared = algorithm.policy.network.belief.norm  # with the targets; knows no modes
    assert {part.training for part in algorithm.policy.modules() if part is not shared} == {mode}
    assert not any(module.training for module in algorithm.target.module.modules())


def moved(algorithm: EconAlgorithm, updates: int = 2, **rows: Any) -> set[str]:
    """Parts in which a parameter changed over some updates."""
    before = {name: p.detach().clone() for name, p in algorithm.policy.named_parameters()}
    for seed in range(updates):
        stats = algorithm._update_with_batch(replayed(SPEC, rows=16, seed=seed, **rows))
    moved_parts = {part_of(n) for n, p in algorithm.policy.named_parameters() if not torch.equal(p, before[n])}
    algorithm.last_stats = stats  # type: ignore[assignment] # kept for the test that asks
    return moved_parts


MOVES = {
    "td_local": {"beliefs", "critics"},
    "td_total": {"encoder", "mixing", "features"},
    "similarity": {"encoder", "features", "alignment"},
    "q_consistency": {"encoder", "mixing", "features"},
    "encoder": {"encoder", "readout"},
    "policy": {"heads"},
    "equilibrium": {"heads"},
    "response": {"heads"},
    "improvement": {"heads"},
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_alone_moves_what_it_should_and_nothing_else(name: str) -> None:
    algorithm = make(losses=only(name))
    assert moved(algorithm) == MOVES[name]
    stats = dataclasses.asdict(algorithm.last_stats)
    assert {n for n in LOSSES if stats[n] is not None} == {name}


@pytest.mark.parametrize("name", ["td_total", "similarity", "encoder"])
def test_with_a_team_gradient_it_reaches_beliefs_too(name: str) -> None:
    critics = {"critics"} if name == "td_total" else set()
    algorithm = make(losses={**only(name), "team_gradient": True})
    assert moved(algorithm) == MOVES[name] | {"beliefs"} | critics


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_of_zero_switches_a_loss_off(name: str) -> None:
    algorithm = make(losses={**only(*LOSSES), name: 0.0})
    still = set().union(*(parts for other, parts in MOVES.items() if other != name))
    assert moved(algorithm) == still
    stats = dataclasses.asdict(algorithm.last_stats)
    assert {n for n in LOSSES if stats[n] is None} == {name}


def test_with_all_losses_off_nothing_moves() -> None:
    algorithm = make(losses=only())
    assert moved(algorithm) == set()
    assert all(getattr(algorithm.last_stats, name) is None for name in LOSSES)


def test_weights_scale_the_step() -> None:
    # The losses of the heads compete, so their weights must decide: with plain descent, steps are their weighted sum.
    def step(**weights: float) -> Tensor:
        algorithm = make(losses={**only(), **weights})
        algorithm.actor_optim._optim = torch.optim.SGD(algorithm.policy.network.heads.parameters(), lr=1.0)
        algorithm.actor_optim._max_grad_norm = None
        before = torch.cat([p.detach().flatten().clone() for p in algorithm.policy.network.heads.parameters()])
        algorithm._update_with_batch(replayed(SPEC, rows=16))
        return torch.cat([p.detach().flatten() for p in algorithm.policy.network.heads.parameters()]) - before

    both = step(policy=2.0, improvement=0.5)
    torch.testing.assert_close(both, 2.0 * step(policy=1.0) + 0.5 * step(improvement=1.0), atol=1e-6, rtol=1e-4)


def test_what_cannot_be_had_is_none() -> None:
    rows = replayed(SPEC)
    rows.policy = Batch()
    stats = make(alpha={"learn": True})._update_with_batch(rows)
    assert stats.improvement is None
    assert stats.policy is not None
    without = replayed(SPEC, reward_parts=None, team_parts=None)
    assert make(alpha={"learn": True})._update_with_batch(without).alpha is None


def test_heads_climb_and_deviations_stop_paying() -> None:
    # With values frozen, the heads must raise Q_tot, and the gap by the critics must close.
    algorithm = make(losses=only("policy", "equilibrium", "response"), optimizer={"actor_learning_rate": 0.05})
    first = [algorithm._update_with_batch(replayed(SPEC, rows=16, seed=s)) for s in range(3)]
    for seed in range(60):
        algorithm._update_with_batch(replayed(SPEC, rows=16, seed=seed))
    last = [algorithm._update_with_batch(replayed(SPEC, rows=16, seed=s)) for s in range(3)]
    for name in ("policy", "equilibrium"):
        before, after = (np.mean([getattr(stats, name) for stats in group]) for group in (first, last))
        assert after < before, name


# Statistics against hand calculations -----------------------------------------------------------------------------


def test_statistics_are_the_losses_of_the_networks_as_they_were() -> None:
    algorithm = make(gamma=0.9)
    rows = replayed(SPEC, terminated=np.arange(8) % 2 == 0)
    net, target = algorithm.policy.network, algorithm.target.module
    net.belief.observe(torch.as_tensor(rows.obs))
    with torch.no_grad():
        alpha_R = torch.tensor([0.4, 0.4, 0.2])
        going_B = torch.as_tensor(~rows.terminated).float()
        ahead = target(torch.as_tensor(rows.obs_next))
        y_BN = torch.as_tensor(rows.info.reward_parts) @ alpha_R + 0.9 * going_B[:, None] * ahead.local_BN
        y_B = torch.as_tensor(rows.info.team_parts) @ alpha_R + 0.9 * going_B * ahead.total_B
        belief_BNH = net.belief(torch.as_tensor(rows.obs))
        act_BNA = torch.as_tensor(rows.act).view(8, 3, 2)
        local_CBN = net.critic(belief_BNH, act_BNA)
        group = net.encoder(belief_BNH)
        mixed = net.mixer(local_CBN.mean(0), act_BNA, group.group_BE)
        start, stop = SPEC.part("commitment") or (0, 0)
        commitment_BX = torch.as_tensor(rows.obs_next)[:, 0, start:stop]
        aligned = net.mixer.alignment(mixed.features_BNW)
        cosine_BN = torch.cosine_similarity(aligned, commitment_BX[:, None], dim=-1)
        expected = {
            "td_local": ((local_CBN - y_BN) ** 2).sum(-1).mean(),
            "td_total": ((mixed.total_B - y_B) ** 2).mean(),
            "similarity": ((1 - cosine_BN) ** 2).sum(1).mean(),
            "q_consistency": ((local_CBN.mean(0) - mixed.total_B[:, None]) ** 2).sum(1).mean(),
            "encoder": ((net.encoder.values(group, act_BNA) - y_BN) ** 2).sum(1).mean(),
        }
    stats = algorithm._update_with_batch(replayed(SPEC, terminated=np.arange(8) % 2 == 0))
    for name, value in expected.items():
        assert getattr(stats, name) == pytest.approx(value.item(), rel=1e-3), name


def test_the_policy_loss_is_the_pessimistic_value_of_the_heads_controls() -> None:
    algorithm = make(losses=only("policy", "improvement"))
    rows = replayed(SPEC)
    net = algorithm.policy.network
    net.belief.observe(torch.as_tensor(rows.obs))
    with torch.no_grad():
        now, first = net(torch.as_tensor(rows.obs)), net(torch.as_tensor(rows.policy.first_obs))
    stats = algorithm._update_with_batch(replayed(SPEC))
    assert stats.policy == pytest.approx(-now.total_B.mean().item(), rel=1e-4)
    fall_B = (first.total_B - now.total_B).clamp(min=0)
    assert stats.improvement == pytest.approx(fall_B.mean().item(), rel=1e-4)
    assert fall_B.any()


def test_an_ended_episode_has_no_future_and_a_running_one_does() -> None:
    rewards = {"td_local": 1.0}
    ended = make(losses={**only(), **rewards})._update_with_batch(replayed(SPEC, terminated=np.ones(8, bool)))
    other_next = observations(SPEC, 8, seed=9).numpy()
    again = make(losses={**only(), **rewards})._update_with_batch(
        replayed(SPEC, terminated=np.ones(8, bool), obs_next=other_next)
    )
    assert ended.td_local == again.td_local
    going = make(losses={**only(), **rewards})._update_with_batch(replayed(SPEC))
    elsewhere = make(losses={**only(), **rewards})._update_with_batch(replayed(SPEC, obs_next=other_next))
    assert going.td_local != ended.td_local
    assert going.td_local != elsewhere.td_local


# Targets ----------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(tau=st.floats(0.001, 1.0), interval=st.integers(1, 4), updates=st.integers(1, 6))
def test_targets_follow_softly(tau: float, interval: int, updates: int) -> None:
    algorithm = make(target_update_tau=tau, target_update_interval=interval)
    net, target = algorithm.policy.network, algorithm.target.module
    expected = {name: p.detach().clone() for name, p in net.named_parameters()}
    for step in range(1, updates + 1):
        algorithm._update_with_batch(replayed(SPEC, seed=step))
        if step % interval == 0:
            for name, p in net.named_parameters():
                expected[name] = tau * p.detach() + (1 - tau) * expected[name]
    for name, p in target.named_parameters():
        torch.testing.assert_close(p, expected[name], atol=1e-6, rtol=1e-5)


def test_targets_see_inputs_as_the_trained_networks_do() -> None:
    algorithm = make()
    algorithm._update_with_batch(replayed(SPEC))
    target_norm = algorithm.target.module.belief.norm
    assert target_norm is algorithm.policy.network.belief.norm
    assert target_norm.count == 8 * 3
    assert bool(target_norm.var_S.any())


def test_targets_are_free_of_noise_and_gradients() -> None:
    algorithm = make(network={"input_noise": 1.0, "dropout": 0.5}).train()
    obs_BND = observations(SPEC, 4)
    first, again = algorithm.target(obs_BND), algorithm.target(obs_BND)
    assert torch.equal(first.total_B, again.total_B)
    algorithm._update_with_batch(replayed(SPEC))
    assert all(p.grad is None for p in algorithm.target.module.parameters())


# Rows that do not count -------------------------------------------------------------------------------------------


def test_failed_problems_weigh_nothing() -> None:
    failed = np.array([0.0, 1.0] * 4)
    kept = failed == 0

    def after(**changes: Any) -> tuple[Any, dict[str, Tensor]]:
        torch.manual_seed(0)
        algorithm = make(alpha={"learn": True}, network={"shared": True}, losses=only(*MOVES) | {"response": 0.0})
        rows = replayed(SPEC, failed=failed)
        rows.obs_next[~kept] = changes.get("obs_next", rows.obs_next[~kept])
        rows.act[~kept] = changes.get("act", rows.act[~kept])
        rows.info.reward_parts[~kept] = changes.get("parts", rows.info.reward_parts[~kept])
        rows.info.team_parts[~kept] = changes.get("parts", rows.info.team_parts[~kept])
        rows.policy.first_obs[~kept] = changes.get("obs_next", rows.policy.first_obs[~kept])
        torch.manual_seed(1)
        stats = algorithm._update_with_batch(rows)
        return stats, {n: p.detach().clone() for n, p in algorithm.policy.named_parameters()}

    stats, plain = after()
    other, changed = after(obs_next=3.0, act=-0.5, parts=0.9)
    for name in MOVES:
        assert getattr(stats, name) == getattr(other, name), name
    for name, value in plain.items():
        assert torch.equal(value, changed[name]), name


def test_a_batch_of_failures_teaches_nothing() -> None:
    algorithm = make(alpha={"learn": True}, optimizer={"weight_decay": 0.0})
    assert moved(algorithm, failed=np.ones(16)) == set()


def test_importance_weights_scale_rows_and_errors_are_told_to_the_replay() -> None:
    algorithm = make(losses=only("td_total"))
    rows = replayed(SPEC, failed=np.array([1.0] + [0.0] * 7))
    rows.weight = np.full(8, 0.5)
    plain = make(losses=only("td_total"))._update_with_batch(replayed(SPEC, failed=np.array([1.0] + [0.0] * 7)))
    stats = algorithm._update_with_batch(rows)
    assert plain.td_total is not None
    assert stats.td_total == pytest.approx(plain.td_total / 2, rel=1e-5)
    told = torch.as_tensor(rows.weight)
    assert float(told[1:].square().mean() / 2) == pytest.approx(stats.td_total, rel=1e-5)
    # A failed problem can't be learned from, however large its error: it must not be drawn again and again.
    assert told[0] == 0


def test_rewards_come_from_the_terms_else_from_the_agents_else_from_the_team() -> None:
    alpha_R = torch.tensor([0.2, 0.5, 0.3])
    rows = replayed(SPEC)
    batch = to_team_batch(rows, SPEC, alpha_R)
    expected = rows.info.reward_parts @ np.float32([0.2, 0.5, 0.3])
    np.testing.assert_allclose(batch.reward_BN, expected, rtol=1e-5)
    np.testing.assert_allclose(batch.team_reward_B, rows.info.team_parts @ np.float32([0.2, 0.5, 0.3]), rtol=1e-5)
    rows = replayed(SPEC, reward_parts=None, team_parts=None)
    batch = to_team_batch(rows, SPEC, alpha_R)
    assert np.array_equal(batch.reward_BN, rows.info.agent_rewards)
    np.testing.assert_allclose(batch.team_reward_B, rows.rew, rtol=1e-6)
    rows = replayed(SPEC, reward_parts=None, team_parts=None, agent_rewards=None)
    batch = to_team_batch(rows, SPEC, alpha_R)
    np.testing.assert_allclose(batch.reward_BN, np.tile(rows.rew[:, None], (1, 3)), rtol=1e-6)


def test_with_team_credit_each_agent_is_trained_on_the_teams_terms() -> None:
    alpha_R, shared = torch.tensor([0.2, 0.5, 0.3]), dataclasses.replace(SPEC, credit="team")
    rows = replayed(SPEC)
    batch = to_team_batch(rows, shared, alpha_R)
    for agent in range(3):
        assert torch.equal(batch.reward_BN[:, agent], batch.team_reward_B)
    assert batch.parts_BNR is not None
    np.testing.assert_array_equal(batch.parts_BNR, np.tile(rows.info.team_parts[:, None], (1, 3, 1)))
    rows = replayed(SPEC, reward_parts=None, team_parts=None)  # without terms it is as the environment paid
    assert np.array_equal(to_team_batch(rows, shared, alpha_R).reward_BN, rows.info.agent_rewards)
    assert shared == SPEC
    assert TeamSpec.from_json(shared.to_json()).credit == "team"
    assert TeamSpec.from_json({n: v for n, v in shared.to_json().items() if n != "credit"}).credit == "own"


@pytest.mark.parametrize("credit", ["own", "team"])
def test_prices_of_calls_are_taken_off_what_agents_are_trained_on(credit: Literal["own", "team"]) -> None:
    alpha_R, spec = torch.tensor([0.2, 0.5, 0.3]), dataclasses.replace(SPEC, credit=credit)
    price = np.random.default_rng(3).uniform(0, 0.1, (8, 3)).astype(np.float32)
    free = to_team_batch(replayed(SPEC), spec, alpha_R)
    batch = to_team_batch(replayed(SPEC, price=price, team_price=price.sum(1)), spec, alpha_R)
    expected = np.tile(price.sum(1, keepdims=True), (1, 3)) if credit == "team" else price
    np.testing.assert_allclose(free.reward_BN - batch.reward_BN, expected, atol=1e-6)
    np.testing.assert_allclose(free.team_reward_B - batch.team_reward_B, price.sum(1), atol=1e-6)
    np.testing.assert_allclose(batch.price_BN, expected)


def test_a_price_does_not_change_what_alpha_is_learned_from() -> None:
    # The critics expect the price too; without it they would expect that much more.
    def moves(**priced: Any) -> Tensor:
        algorithm = make(alpha={"learn": True}, losses=only("td_local"))
        with torch.no_grad():
            for member in algorithm.policy.network.critic.members:
                member.members[0][-1].bias -= 0.25 if priced else 0.0
        algorithm._update_with_batch(replayed(SPEC, terminated=np.ones(8, bool), **priced))
        return algorithm.policy.alpha().detach()

    price = np.full((8, 3), 0.25, np.float32)
    torch.testing.assert_close(moves(price=price, team_price=price.sum(1)), moves())


# Learned reward weights -------------------------------------------------------------------------------------------


def test_alpha_moves_alpha_only_and_only_if_it_is_to_be_learned() -> None:
    assert moved(make(alpha={"learn": True}, losses=only())) == {"alpha"}
    assert moved(make(alpha={"learn": False}, losses=only())) == set()


def test_alpha_loss_by_hand() -> None:
    algorithm = make(alpha={"learn": True}, losses=only("td_local"))
    rows = replayed(SPEC, terminated=np.ones(8, bool))
    net = algorithm.policy.network
    net.belief.observe(torch.as_tensor(rows.obs))
    with torch.no_grad():
        local_BN = net.critic(net.belief(torch.as_tensor(rows.obs)), torch.as_tensor(rows.act).view(8, 3, 2)).mean(0)
    parts_BNR, alpha_R = torch.as_tensor(rows.info.reward_parts), torch.tensor([0.4, 0.4, 0.2])
    expected = losses.reward_weights(parts_BNR, alpha_R, local_BN, torch.ones(8)).item()
    stats = algorithm._update_with_batch(replayed(SPEC, terminated=np.ones(8, bool)))
    assert stats.alpha == pytest.approx(expected, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    logits=st.lists(st.floats(-30, 30), min_size=3, max_size=3),
    floor=st.floats(0.0, 0.95),
)
def test_weights_stay_on_the_simplex_above_the_floor(logits: list[float], floor: float) -> None:
    alpha = RewardWeights((0.0, 1.0, 0.0), floor)
    with torch.no_grad():
        alpha.logits.copy_(torch.tensor(logits))
    values = alpha.values()
    assert sum(values) == pytest.approx(1.0, abs=1e-5)
    assert min(values) >= 0
    assert values[1] >= floor - 1e-6


@pytest.mark.parametrize("initial", [(0.4, 0.4, 0.2), (0.0, 1.0, 0.0), (0.8, 0.2, 0.0), (1 / 3, 1 / 3, 1 / 3)])
def test_weights_start_where_they_are_told_to(initial: tuple[float, ...]) -> None:
    assert RewardWeights(initial, 0.2).values() == pytest.approx(initial, abs=1e-5)


def test_learning_lowers_the_weight_of_a_term_that_surprises_but_ts_keeps_its_floor() -> None:
    # The critics expect 0.3 of everybody; TS comes as 0 or 1, the other terms always as 0.3.
    alpha = RewardWeights((0.3, 0.4, 0.3), 0.2)
    optim = torch.optim.Adam(alpha.parameters(), lr=0.05)
    ts_BN = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    parts_BNR = torch.stack([torch.full_like(ts_BN, 0.3), ts_BN, torch.full_like(ts_BN, 0.3)], dim=-1)
    for _ in range(300):
        optim.zero_grad()
        losses.reward_weights(parts_BNR, alpha(), torch.full((2, 2), 0.3), torch.ones(2)).backward()
        optim.step()
    assert alpha.values()[1] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("initial", "told"),
    [((0.5, 0.5), "three numbers"), ((0.5, 0.6, 0.2), "sum to 1"), ((0.9, 0.1, 0.0), "below alpha.ts_floor")],
)
def test_unfit_weights_are_refused(initial: tuple[float, ...], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        RewardWeights(initial, 0.2)
