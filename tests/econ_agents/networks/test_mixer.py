"""The mixer is monotone, takes any number of agents in any order, and can be switched off."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import SIZES

from econ_agents.networks.mixer import Mixer


def make(seed: int = 0, *, learned: bool = True, commitment_dim: int = 0) -> Mixer:
    torch.manual_seed(seed)
    return Mixer(2, 6, dim=8, heads=2, commitment_dim=commitment_dim, learned=learned)


def inputs(rows: int, n_agents: int, seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    q_BN = scale * torch.randn(rows, n_agents, generator=generator)
    act_BNA = torch.rand(rows, n_agents, 2, generator=generator) * 2 - 1
    return q_BN, act_BNA, torch.randn(rows, 6, generator=generator)


@settings(max_examples=60, deadline=None)
@given(n_agents=st.integers(1, 12), seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_the_teams_value_never_falls_when_a_local_value_rises(n_agents: int, seed: int, scale: float) -> None:
    mixer = make(seed)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.mul_(3.0)
    q_BN, act_BNA, group_BE = inputs(5, n_agents, seed, scale)
    q_BN.requires_grad_(True)
    (slope_BN,) = torch.autograd.grad(mixer(q_BN, act_BNA, group_BE).total_B.sum(), q_BN)
    assert bool((slope_BN > 0).all())


@pytest.mark.parametrize("level", [-1000.0, -100.0, -10.0, 0.0, 10.0, 1000.0])
def test_returns_of_any_size_and_sign_are_told_apart(level: float) -> None:
    q_BN, act_BNA, group_BE = inputs(5, 3)
    q_BN = (q_BN + level).requires_grad_(True)
    (slope_BN,) = torch.autograd.grad(make()(q_BN, act_BNA, group_BE).total_B.sum(), q_BN)
    assert slope_BN.min().item() > 1e-3


@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("learned", [True, False])
def test_order_does_not_matter(n_agents: int, learned: bool) -> None:
    mixer = make(learned=learned)
    q_BN, act_BNA, group_BE = inputs(3, n_agents)
    order = torch.randperm(n_agents, generator=torch.Generator().manual_seed(1))
    plain = mixer(q_BN, act_BNA, group_BE)
    permuted = mixer(q_BN[:, order], act_BNA[:, order], group_BE)
    torch.testing.assert_close(permuted.total_B, plain.total_B)
    torch.testing.assert_close(permuted.features_BNW, plain.features_BNW[:, order])
    assert plain.total_B.dtype == plain.features_BNW.dtype == torch.float32
    assert plain.total_B.shape == (3,)
    assert plain.features_BNW.shape == (3, n_agents, 8)


def test_controls_of_others_change_what_a_local_value_is_worth() -> None:
    mixer = make()
    q_BN, act_BNA, group_BE = inputs(4, 3)
    q_BN.requires_grad_(True)
    moved_BNA = act_BNA.clone()
    moved_BNA[:, 1] = -moved_BNA[:, 1]
    slopes = [
        torch.autograd.grad(mixer(q_BN, act, group_BE).total_B.sum(), q_BN)[0][:, 0] for act in (act_BNA, moved_BNA)
    ]
    assert not torch.allclose(slopes[0], slopes[1])


def test_the_group_representation_is_mixed_in() -> None:
    mixer = make()
    q_BN, act_BNA, group_BE = inputs(4, 3)
    assert not torch.allclose(mixer(q_BN, act_BNA, group_BE).total_B, mixer(q_BN, act_BNA, -group_BE).total_B)


def test_switched_off_it_is_the_mean() -> None:
    q_BN, act_BNA, group_BE = inputs(4, 3)
    assert torch.equal(make(learned=False)(q_BN, act_BNA, group_BE).total_B, q_BN.mean(1))


def test_rows_do_not_see_each_other() -> None:
    mixer = make()
    q_BN, act_BNA, group_BE = inputs(6, 3)
    alone = mixer(q_BN[2:3], act_BNA[2:3], group_BE[2:3]).total_B
    torch.testing.assert_close(alone, mixer(q_BN, act_BNA, group_BE).total_B[2:3])


def test_features_are_aligned_only_where_there_are_commitments() -> None:
    features_BNW = torch.randn(4, 3, 8)
    aligned = make(commitment_dim=5).align(features_BNW)
    assert aligned is not None
    assert aligned.shape == (4, 3, 5)
    assert make().align(features_BNW) is None
