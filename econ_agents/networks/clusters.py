"""Attention for large teams: within clusters of neighbours, then between clusters, at a cost linear in agents.

It adds no parameters, and a team that fits into one cluster has plain attention, so networks trained in a small team
also work in a large one. Agents may swap places within a cluster, and so may clusters of equal size that attend to one
another directly. It matters which cluster an agent is in.
Axes: B batch, N agents, K clusters, C members of a cluster. An `x` stands for the width of a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Attend = Callable[[Tensor], Tensor]
"""From tokens [R, C, x], for any R and C, to tokens of the same shape."""


def cluster_sizes(n_agents: int, cluster_size: int) -> list[int]:
    """Sizes of the clusters of neighbouring agents: as few and as equal as possible, larger ones first.

    Args:
        n_agents: N >= 1.
        cluster_size: Largest number of agents in a cluster; 0 puts all in one.
    """
    count = -(-n_agents // cluster_size) if cluster_size else 1
    size, larger = divmod(n_agents, count)
    return [size + 1] * larger + [size] * (count - larger)


def equal_clusters(tokens_BNx: Tensor, cluster_size: int) -> Iterator[Tensor]:
    """The clusters in order as tensors [B, K, C, x]: first all larger ones, then all smaller ones if there are any."""
    B, N, width = tokens_BNx.shape
    sizes = cluster_sizes(N, cluster_size)
    start = 0
    for size in sorted(set(sizes), reverse=True):
        stop = start + size * sizes.count(size)
        yield tokens_BNx[:, start:stop].reshape(B, -1, size, width)
        start = stop


def attend_within(attend: Attend, tokens_BNx: Tensor, cluster_size: int) -> Tensor:
    """Tokens [B, N, x] after attention within each cluster."""
    parts = []
    for part_BKCx in equal_clusters(tokens_BNx, cluster_size):
        own = attend(part_BKCx.flatten(0, 1))
        parts.append(own.reshape(len(tokens_BNx), -1, own.shape[-1]))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def attend_local_to_global(attend: Attend, tokens_BNx: Tensor, cluster_size: int) -> Tensor:
    """Tokens [B, N, x] after attention within clusters, then between the clusters' means.

    The change of a cluster's mean is added to its members. More than `cluster_size` clusters are clustered in turn.
    """
    local_BNx = attend_within(attend, tokens_BNx, cluster_size)
    sizes = cluster_sizes(tokens_BNx.shape[1], cluster_size)
    if len(sizes) == 1:
        return local_BNx
    mean_BKx = torch.cat([part.mean(2) for part in equal_clusters(local_BNx, cluster_size)], dim=1)
    gain_BKx = attend_local_to_global(attend, mean_BKx, cluster_size) - mean_BKx
    size_K = torch.tensor(sizes, device=tokens_BNx.device)
    return local_BNx + gain_BKx.repeat_interleave(size_K, dim=1)
