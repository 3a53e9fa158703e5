"""Early stopping by one criterion and by three: patience, warm-up, thresholds, and what it remembers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import small

from econ_agents.config import EarlyStoppingConfig, parse_config
from econ_agents.errors import ConfigError
from econ_agents.training.early_stopping import EarlyStopping

THREE = {"commitment_threshold": 0.01, "reward_threshold": 0.7, "loss_threshold": 1e-4}


def make(**changes: Any) -> EarlyStopping:
    return EarlyStopping(EarlyStoppingConfig(**{"enabled": True, "patience": 3, **changes}))


def rewards(stopping: EarlyStopping, *values: float, start: int = 0) -> list[str | None]:
    return [
        stopping.observe(episodes=start + n + 1, reward=value, loss=None, commitment_move=None)
        for n, value in enumerate(values)
    ]


def test_one_criterion_stops_once_the_reward_has_not_risen_for_its_patience() -> None:
    assert rewards(make(), 0.1, 0.2, 0.2, 0.1, 0.3, 0.3, 0.2, 0.3) == [None] * 7 + ["reward_mean"]


def test_a_rising_reward_never_stops() -> None:
    assert rewards(make(patience=1), *[n / 100 for n in range(100)]) == [None] * 100


def test_updates_before_the_warm_up_do_not_count() -> None:
    told = rewards(make(warmup=6), *[0.5] * 8)
    # Episodes 6, 7 and 8 are the first three that count.
    assert told == [None] * 7 + ["reward_mean"]
    assert rewards(make(warmup=2), *[0.5] * 4)[:3] == [None] * 3


def test_switched_off_it_never_stops() -> None:
    assert rewards(make(enabled=False, patience=1), *[0.0] * 20) == [None] * 20


def three(stopping: EarlyStopping, move: float | None, reward: float, loss: float | None, n: int = 1) -> str | None:
    for _ in range(n):
        told = stopping.observe(episodes=50, reward=reward, loss=loss, commitment_move=move)
    return told


def test_three_criteria_stop_once_all_hold_for_the_patience() -> None:
    stopping = make(**THREE)
    assert three(stopping, 0.001, 0.7, 0.5) is None  # no loss before this one to compare with
    assert three(stopping, 0.001, 0.7, 0.5, n=2) is None
    assert three(stopping, 0.001, 0.7, 0.5) == "three_criteria"


@pytest.mark.parametrize(
    ("move", "reward", "loss"),
    [(0.02, 0.9, 0.5), (0.001, 0.69, 0.5), (None, 0.9, 0.5), (0.001, 0.9, None), (0.01, 0.9, 0.5)],
)
def test_one_that_fails_keeps_training_going_and_starts_the_patience_anew(
    move: float | None, reward: float, loss: float | None
) -> None:
    stopping = make(**THREE)
    assert three(stopping, move, reward, loss, n=20) is None
    stopping = make(**THREE)
    three(stopping, 0.001, 0.9, 0.5, n=3)
    assert three(stopping, move, reward, loss) is None
    assert three(stopping, 0.001, 0.9, 0.5, n=2) is None


def test_a_loss_that_moves_does_not_count() -> None:
    stopping = make(**THREE)
    for n in range(20):
        assert three(stopping, 0.001, 0.9, 0.5 + 0.001 * n) is None


def test_a_high_reward_does_not_stop_before_the_warm_up() -> None:
    stopping = make(**THREE, warmup=51)
    assert three(stopping, 0.001, 0.9, 0.5, n=20) is None


@pytest.mark.parametrize("missing", THREE)
def test_incomplete_thresholds_are_refused(missing: str) -> None:
    values = {name: value for name, value in THREE.items() if name != missing}
    with pytest.raises(ConfigError, match="commitment_threshold, reward_threshold and loss_threshold together"):
        parse_config({"early_stopping": {"enabled": True, **values}})


def test_three_criteria_need_two_rounds_to_compare_commitments() -> None:
    with pytest.raises(ConfigError, match=r"set bne\.max_iterations_train to 2 or more"):
        small(early_stopping={"enabled": True, **THREE}, bne={"max_iterations_train": 1})
    small(early_stopping={"enabled": True, **THREE}, bne={"max_iterations_train": 2})


def test_three_criteria_need_the_loss_they_watch() -> None:
    values = {"early_stopping": {"enabled": True, **THREE}, "bne": {"max_iterations_train": 2}}
    with pytest.raises(ConfigError, match=r"losses\.td_total"):
        small(**values, losses={"td_total": 0.0})


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.tuples(st.sampled_from([0.5, 0.7, 0.9]), st.sampled_from([0.1, 0.10001])), max_size=15),
    cut=st.integers(0, 15),
    kind=st.sampled_from([{}, THREE]),
)
def test_what_it_remembers_survives_a_restart(
    values: list[tuple[float, float]], cut: int, kind: dict[str, float]
) -> None:
    whole, first, second = make(**kind), make(**kind), make(**kind)

    def told(stopping: EarlyStopping, part: list[tuple[float, float]], start: int) -> list[str | None]:
        return [
            stopping.observe(episodes=start + n, reward=reward, loss=loss, commitment_move=0.0)
            for n, (reward, loss) in enumerate(part)
        ]

    expected = told(whole, values, 0)
    before = told(first, values[:cut], 0)
    second.restore(first.state())
    assert before + told(second, values[cut:], len(before)) == expected
