"""Attention is that of torch's modules, whatever they are asked besides."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from econ_agents.networks.attention import encoder_block, self_attention


def tokens_of(rows: int, members: int, width: int) -> torch.Tensor:
    return torch.randn(rows, members, width, generator=torch.Generator().manual_seed(1), requires_grad=True)


@pytest.mark.parametrize("members", [1, 2, 3, 8])
def test_self_attention_is_that_of_the_module(members: int) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    nn.init.normal_(module.in_proj_bias)  # zero at first, which would hide that it is left out
    nn.init.normal_(module.out_proj.bias)
    tokens = tokens_of(5, members, 8)
    mine, theirs = self_attention(module, tokens), module(tokens, tokens, tokens, need_weights=False)[0]
    torch.testing.assert_close(mine, theirs)
    for one, other in zip(
        *(torch.autograd.grad(y.square().sum(), [tokens, *module.parameters()]) for y in (mine, theirs)), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_block_is_that_of_torch() -> None:
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True)
    tokens = tokens_of(5, 3, 8)
    torch.testing.assert_close(encoder_block(block, tokens), block(tokens))


def test_units_are_dropped_in_training_only() -> None:
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(8, 2, 16, 0.5, batch_first=True, norm_first=True)
    attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    tokens = tokens_of(5, 3, 8)
    for make, module in ((encoder_block, block), (self_attention, attention)):
        module.train()
        assert not torch.equal(make(module, tokens), make(module, tokens))
        module.eval()
        torch.testing.assert_close(make(module, tokens), make(module, tokens), atol=0.0, rtol=0.0)
