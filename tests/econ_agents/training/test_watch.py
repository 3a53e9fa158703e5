"""What is told of training episodes: their numbers, what they paid in all, how far commitments moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from teams import make_spec
from tianshou.data import Batch

from econ_agents.team_spec import TeamSpec
from econ_agents.training.watch import EpisodeOutcome, Watch


def step(
    watch: Watch,
    rewards: list[float],
    ended: list[bool],
    envs: list[int],
    commitments: tuple[Any, Any] | None = None,
    spec: TeamSpec | None = None,
    **info: Any,
) -> None:
    spec = spec or make_spec()
    obs, obs_next = (np.zeros((len(envs), spec.n_agents, spec.obs_dim), np.float32) for _ in range(2))
    if commitments is not None:
        part = slice(*(spec.part("commitment") or (0, 0)))
        for target, rows in zip((obs, obs_next), commitments, strict=True):
            target[..., part] = np.asarray(rows)[:, None]
    batch: Any = Batch(
        obs=obs,
        obs_next=obs_next,
        rew=np.array(rewards),
        terminated=np.array(ended),
        truncated=np.zeros(len(ended), bool),
        info=Batch(env_id=np.array(envs), **{name: np.array(value) for name, value in info.items()}),
    )
    watch(Batch(), batch)  # type: ignore[arg-type] # the action plays no part


def test_an_episode_is_told_as_it_ends_with_all_that_it_paid() -> None:
    told: list[EpisodeOutcome] = []
    numbers = [7, 4]
    watch = Watch(make_spec(), numbers, told.append)
    step(watch, [1.0, 2.0], [False, True], [0, 1], failed=[0.0, 1.0], valid=[[1, 1, 1], [0, 0, 0]])
    assert [(o.episode, o.reward, o.numbers["failed"]) for o in told] == [(4, 2.0, 1.0)]
    assert "valid" not in told[0].numbers  # an agent's own, not the team's
    numbers[1] = 8
    step(watch, [10.0], [True], [0], failed=[0.0])
    step(watch, [5.0], [True], [1], failed=[0.0])
    assert [(o.episode, o.reward) for o in told[1:]] == [(7, 11.0), (8, 5.0)]
    assert watch.take().reward == pytest.approx((2 + 11 + 5) / 3)


def test_what_was_taken_is_not_told_again() -> None:
    watch = Watch(make_spec(), [0], None)
    step(watch, [3.0], [True], [0])
    assert watch.take().reward == 3.0
    step(watch, [1.0], [True], [0])
    assert watch.take().reward == 1.0


def test_commitments_that_moved_are_measured_where_there_are_two() -> None:
    watch = Watch(make_spec(), [0, 1, 2], None)
    before = [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    after = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    step(watch, [0.0] * 3, [True] * 3, [0, 1, 2], (before, after))
    move = watch.take().commitment_move
    assert move == pytest.approx(np.sqrt(2) / 2)  # sqrt 2 and 0; the second had none before
    assert watch.take().commitment_move is None


def test_environments_without_commitments_move_none() -> None:
    spec = make_spec(commitment=False)
    watch = Watch(spec, [0], None)
    step(watch, [1.0], [True], [0], spec=spec)
    assert watch.take().commitment_move is None
