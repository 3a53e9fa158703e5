"""Computes the self-attention of torch's modules without their masks, fast paths and checks.

For teams these cost more than the attention itself. Parameters, their names and their initial values are torch's.
Axes: R rows, C members that attend to one another. An `x` stands for the width of a token.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def self_attention(module: nn.MultiheadAttention, tokens_RCx: Tensor) -> Tensor:
    """Output of the module for tokens [R, C, x] that are queries, keys and values at once."""
    R, C, width = tokens_RCx.shape
    packed = F.linear(tokens_RCx, module.in_proj_weight, module.in_proj_bias)
    query, key, value = packed.view(R, C, 3, module.num_heads, module.head_dim).permute(2, 0, 3, 1, 4)
    dropout = module.dropout if module.training else 0.0
    mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    outward = module.out_proj
    return F.linear(mixed.transpose(1, 2).reshape(R, C, width), outward.weight, outward.bias)


def encoder_block(block: nn.TransformerEncoderLayer, tokens_RCx: Tensor) -> Tensor:
    """Output of a block with `norm_first` and ReLU for tokens [R, C, x]."""
    attended = self_attention(block.self_attn, block.norm1(tokens_RCx))
    tokens_RCx = tokens_RCx + block.dropout1(attended)
    inner = block.dropout(F.relu(block.linear1(block.norm2(tokens_RCx))))
    made: Tensor = tokens_RCx + block.dropout2(block.linear2(inner))
    return made
