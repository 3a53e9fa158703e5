"""Flat parameters: the same updates as of single ones, what is left alone, saving, loading and following."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from econ_agents.flat import FlatAdamW, FlatOptimizer, FlatParameters

SIZES = (16, 3, 32, 5)


def made(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(SIZES)]
    return nn.Sequential(*layers)


def numbers(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def optimizer(module: nn.Sequential, largest: float | None) -> FlatOptimizer:
    flat = FlatParameters([module[0].parameters(), module[1:].parameters()])
    adam, _ = FlatAdamW([1e-2, 3e-3], weight_decay=0.1).create_instances(flat)
    return FlatOptimizer(adam, flat, largest)


@pytest.mark.parametrize("largest", [None, 1e3, 1e-2])
def test_it_takes_the_steps_of_adamw_on_single_parameters(largest: float | None) -> None:
    flat, single = made(), made()
    ours = optimizer(flat, largest)
    groups = [{"params": list(single[0].parameters()), "lr": 1e-2}, {"params": list(single[1:].parameters())}]
    theirs = torch.optim.AdamW(groups, lr=3e-3, weight_decay=0.1)
    for step in range(5):
        x = torch.randn(8, SIZES[0], generator=torch.Generator().manual_seed(step))
        ours.step(flat(x).square().sum())
        theirs.zero_grad()
        single(x).square().sum().backward()
        if largest is not None:
            nn.utils.clip_grad_norm_(single.parameters(), largest)
        theirs.step()
        torch.testing.assert_close(numbers(flat), numbers(single))


def test_a_group_without_gradient_stays_and_a_single_one_without_counts_as_zero() -> None:
    module = made()
    ours = optimizer(module, 1.0)
    first, rest = numbers(module[0]), numbers(module[2])
    ours.step(module[1].weight.square().sum())
    assert torch.equal(numbers(module[0]), first)
    torch.testing.assert_close(numbers(module[2]), rest * (1 - 3e-3 * 0.1))


def test_the_module_is_still_saved_loaded_and_copied() -> None:
    module, other = made(), made(1)
    ours = optimizer(module, None)
    assert torch.equal(numbers(module), numbers(made()))
    kept = copy.deepcopy(module)
    module.load_state_dict(other.state_dict())
    assert torch.equal(numbers(module), numbers(other))
    ours.step(module(torch.ones(1, SIZES[0])).sum())  # what was loaded is what is updated
    assert not torch.equal(numbers(module), numbers(other))
    assert torch.equal(numbers(kept), numbers(made()))


def test_matrices_start_where_they_would_alone() -> None:
    module = made()
    optimizer(module, None)
    for parameter in module.parameters():
        if parameter.numel() % 16 == 0:
            assert parameter.data_ptr() % 64 == 0


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_following_moves_by_a_share_of_the_way(share: float) -> None:
    leader, follower = made(1), made(2)
    before = numbers(follower)
    flats = [FlatParameters([module.parameters()]) for module in (leader, follower)]
    flats[1].follow(flats[0], share)
    torch.testing.assert_close(numbers(follower), before + share * (numbers(leader) - before))
    assert torch.equal(numbers(leader), numbers(made(1)))
