"""The replay buffer comes back from plain arrays as it was, also when its rings have wrapped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tianshou.data import Batch

from econ_agents.config import ReplayConfig
from econ_agents.training.replay import TeamBuffer, fill, make_buffer, to_arrays


def add(buffer: TeamBuffer, rows: range, envs: int, *, with_first: bool = True) -> None:
    for number in rows:
        act = np.full((1, 2), number, np.float32)
        row: Any = Batch(
            obs=np.full((1, 2, 3), number, np.float32),
            act=act,
            rew=np.array([float(number)]),
            terminated=np.array([number % 2 == 0]),
            truncated=np.array([False]),
            obs_next=np.full((1, 2, 3), -number, np.float32),
            info={"failed": np.array([0.0]), "reward_parts": np.full((1, 2, 3), number, np.float32)},
            policy={"first_obs": np.full((1, 2, 3), number + 0.5, np.float32)} if with_first else {},
        )
        buffer.add(row, buffer_ids=[number % envs])


def same(one: TeamBuffer, other: TeamBuffer) -> None:
    ours, theirs = to_arrays(one), to_arrays(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype, name
        assert np.array_equal(ours[name], theirs[name]), name


@settings(max_examples=25, deadline=None)
@given(envs=st.integers(1, 3), capacity=st.integers(1, 12), held=st.integers(0, 30), more=st.integers(0, 15))
@pytest.mark.parametrize("prioritized", [False, True])
def test_it_goes_on_as_if_it_had_never_been_away(
    prioritized: bool, envs: int, capacity: int, held: int, more: int
) -> None:
    config = ReplayConfig(capacity=capacity, prioritized=prioritized)
    kept, back = make_buffer(config, envs), make_buffer(config, envs)
    add(kept, range(held), envs)
    rng = np.random.default_rng(0)
    if prioritized and held:
        place = kept.sample_indices(0)
        kept.update_weight(place, rng.uniform(0.1, 5.0, len(place)))
    fill(back, to_arrays(kept))
    same(kept, back)
    for buffer in (kept, back):
        add(buffer, range(held, held + more), envs)
    same(kept, back)
    if held + more:
        samples = []
        for buffer in (kept, back):
            np.random.seed(3)
            if not prioritized:
                buffer.reseed(3)
            samples.append(buffer.sample(16))
        assert np.array_equal(samples[0][1], samples[1][1])
        assert np.array_equal(samples[0][0].obs, samples[1][0].obs)
        if prioritized:
            assert np.array_equal(samples[0][0].weight, samples[1][0].weight)


def test_priorities_of_rows_long_gone_still_count() -> None:
    # New rows get the largest priority ever seen, also when the row that had it was overwritten.
    config = ReplayConfig(capacity=2, prioritized=True)
    kept, back = make_buffer(config, 1), make_buffer(config, 1)
    add(kept, range(2), 1)
    kept.update_weight(np.array([0, 1]), np.array([50.0, 0.01]))
    add(kept, range(2, 4), 1)
    kept.update_weight(np.array([0, 1]), np.array([1.0, 1.0]))
    fill(back, to_arrays(kept))
    for buffer in (kept, back):
        add(buffer, range(4, 5), 1)
    same(kept, back)
    assert float(back.weight[0]) == pytest.approx(50.0**config.priority_alpha, rel=1e-5)


def test_rows_without_extras_come_back_too() -> None:
    config = ReplayConfig(capacity=4)
    kept, back = make_buffer(config, 2), make_buffer(config, 2)
    add(kept, range(3), 2, with_first=False)
    fill(back, to_arrays(kept))
    same(kept, back)
    assert not any(name.startswith("policy") for name in to_arrays(back))


def test_an_empty_buffer_is_no_arrays() -> None:
    buffer = make_buffer(ReplayConfig(capacity=4), 2)
    assert to_arrays(buffer) == {}
    fill(buffer, {})
    assert len(buffer) == 0


def test_sampling_is_even_and_decided_by_its_seed() -> None:
    buffer: Any = make_buffer(ReplayConfig(capacity=10), 2)
    add(buffer, range(10), 2)
    buffer.reseed(1)
    first = buffer.sample_indices(5000)
    counts = np.bincount(first, minlength=10)
    assert counts.min() > 400
    buffer.reseed(1)
    assert np.array_equal(buffer.sample_indices(5000), first)
    buffer.reseed(2)
    assert not np.array_equal(buffer.sample_indices(5000), first)
    assert sorted(buffer.sample_indices(None).tolist()) == list(range(10))
    assert buffer.sample_indices(0).tolist() == list(range(10))


def test_every_environment_has_room_however_small_the_buffer() -> None:
    buffer = make_buffer(ReplayConfig(capacity=1), 4)
    add(buffer, range(4), 4)
    assert len(buffer) == 4


def test_larger_errors_are_drawn_more_often() -> None:
    buffer = make_buffer(ReplayConfig(capacity=4, prioritized=True, priority_alpha=1.0), 1)
    add(buffer, range(4), 1)
    buffer.update_weight(np.arange(4), np.array([1.0, 1.0, 1.0, 7.0]))
    np.random.seed(0)
    share = np.bincount(buffer.sample_indices(4000), minlength=4) / 4000
    assert share[3] == pytest.approx(0.7, abs=0.03)
