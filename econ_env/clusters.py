"""Splits a large team into clusters of executors, each with a coordinator of its own."""

from __future__ import annotations

from itertools import pairwise


def split_team(n_agents: int, cluster_size: int) -> tuple[range, ...]:
    """Clusters of neighbouring executors, as few and as even as can be, the larger ones first.

    Nine executors in clusters of at most four are 3 + 3 + 3; five are 3 + 2. A team that fits into one cluster is flat.

    Args:
        n_agents: Number of executors, >= 1.
        cluster_size: Most executors in a cluster; 0 keeps every team flat.

    Returns:
        The executors' numbers by cluster, together 0 .. n_agents - 1 in order.
    """
    count = -(-n_agents // cluster_size) if cluster_size else 1
    size, larger = divmod(n_agents, count)
    starts = [number * size + min(number, larger) for number in range(count + 1)]
    return tuple(range(start, stop) for start, stop in pairwise(starts))
