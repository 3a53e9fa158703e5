"""The belief encoder: every agent's token knows the others, the group representation knows no order."""

from __future__ import annotations

import pytest
import torch
from teams import SIZES

from econ_agents.networks.encoder import BeliefEncoder


def make(*, attention: bool = True, blocks: int = 2) -> BeliefEncoder:
    torch.manual_seed(0)
    return BeliefEncoder(5, 2, dim=8, heads=2, blocks=blocks, ffn_dim=16, dropout=0.0, attention=attention)


@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("mode", [True, False])
def test_order_changes_the_order_of_tokens_only(n_agents: int, mode: bool) -> None:
    encoder = make().train(mode)
    belief_BNH = torch.randn(3, n_agents, 5)
    order = torch.randperm(n_agents, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain, permuted = encoder(belief_BNH), encoder(belief_BNH[:, order])
    torch.testing.assert_close(permuted.tokens_BNE, plain.tokens_BNE[:, order])
    torch.testing.assert_close(permuted.group_BE, plain.group_BE)
    assert plain.group_BE.shape == (3, 8)
    assert plain.group_BE.dtype == torch.float32
    act_BNA = torch.rand(3, n_agents, 2)
    torch.testing.assert_close(encoder.values(permuted, act_BNA[:, order]), encoder.values(plain, act_BNA)[:, order])


@pytest.mark.parametrize(("attention", "others_matter"), [(True, True), (False, False)])
def test_tokens_depend_on_the_others_beliefs_where_attention_is_on(attention: bool, others_matter: bool) -> None:
    encoder = make(attention=attention)
    belief_BNH = torch.randn(2, 3, 5, requires_grad=True)
    (slope,) = torch.autograd.grad(encoder(belief_BNH).tokens_BNE[:, 0].square().sum(), belief_BNH)
    assert bool(slope[:, 0].any())
    assert bool(slope[:, 1:].any()) is others_matter


def test_every_block_is_used() -> None:
    encoder = make(blocks=3)
    encoder(torch.randn(2, 3, 5)).group_BE.square().sum().backward()
    assert len(encoder.blocks) == 3
    for block in encoder.blocks:
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in block.parameters())


def test_values_are_read_from_an_agents_own_token_and_controls() -> None:
    encoder = make()
    group = encoder(torch.randn(2, 3, 5))
    act_BNA = torch.rand(2, 3, 2, requires_grad=True)
    (slope_BNA,) = torch.autograd.grad(encoder.values(group, act_BNA)[:, 1].sum(), act_BNA)
    assert slope_BNA[:, 1].any()
    assert not slope_BNA[:, [0, 2]].any()
