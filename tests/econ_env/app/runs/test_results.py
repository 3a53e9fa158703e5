"""Totals of rows, counted one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.app.runs.results import (
    ROLES,
    Totals,
    sum_recorded,
    summarise,
    summarise_methods,
    summarise_training,
)

COUNTS = st.integers(0, 50)
ROWS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["baseline", "bne"]),
        "verdict": st.sampled_from(["correct", "wrong", "no_answer", "failed"]),
        "tokens": st.fixed_dictionaries(dict.fromkeys(ROLES, COUNTS)),
        "rounds": st.lists(st.integers(1, 3), min_size=1, max_size=2),
        "seconds": st.floats(0, 10),
        **dict.fromkeys(("texts", "prompt_tokens", "completion_tokens", "calls", "retries", "invalid"), COUNTS),
    }
).map(lambda row: {**row, "json": row["texts"] // 2})


@given(st.lists(ROWS, max_size=8))
def test_totals_are_the_sums_of_the_rows(rows):
    got = summarise(iter(rows))
    judged = [row for row in rows if row["verdict"] != "failed"]
    assert (got["n"], got["failed"]) == (len(judged), len(rows) - len(judged))
    assert got["correct"] == sum(row["verdict"] == "correct" for row in rows)
    assert got["no_answer"] == sum(row["verdict"] == "no_answer" for row in rows)
    for name in ("prompt_tokens", "completion_tokens", "calls", "retries"):
        assert got[name] == sum(row[name] for row in rows)
    assert got["invalid_replies"] == sum(row["invalid"] for row in rows)
    assert got["rounds"] == sum(sum(row["rounds"]) for row in rows)
    assert got["tokens"] == {role: sum(row["tokens"][role] for row in rows) for role in ROLES}
    assert got["seconds"] == pytest.approx(sum(row["seconds"] for row in rows))
    if judged:
        assert got["accuracy"] == got["correct"] / len(judged)
    if rows:
        assert got["tokens_per_problem"] == pytest.approx(sum(got["tokens"].values()) / len(rows))


@given(st.lists(ROWS, max_size=8))
def test_methods_are_counted_apart_in_order_of_appearance(rows):
    got = summarise_methods(iter(rows))
    assert list(got) == list(dict.fromkeys(row["method"] for row in rows))
    assert got == {name: summarise(row for row in rows if row["method"] == name) for name in got}


def test_without_rows_there_is_no_accuracy():
    empty = Totals().summary()
    assert (empty["n"], empty["accuracy"], empty["json_rate"], empty["tokens_per_problem"]) == (0, None, None, None)
    assert summarise_training([])["accuracy"] is None


PLAYED_NAMES = ("replies", "clipped", "reused")
PLAYED = st.fixed_dictionaries(dict.fromkeys(PLAYED_NAMES, COUNTS))


@given(st.lists(st.tuples(ROWS, st.none() | PLAYED), max_size=6))
def test_what_was_played_from_a_bank_is_summed(rows):
    given = [row if played is None else row | {"recorded": played} for row, played in rows]
    known = [played for _, played in rows if played is not None]
    total = {name: sum(played[name] for played in known) for name in PLAYED_NAMES} if known else None
    assert summarise(iter(given))["recorded"] == total
    assert sum_recorded(iter(given)) == total
    assert sum_recorded(summarise_methods(iter(given)).values()) == total


def test_what_was_played_is_counted_in_traces_too():
    mark = {"row": 3, "clipped": True, "reused": False}
    rounds = [
        {"round": {"replies": [{"recorded": mark}, {"recorded": None}, {}]}},
        {"round": {"replies": [{"recorded": {**mark, "reused": True}}]}},
    ]
    assert sum_recorded((), rounds) == {"replies": 2, "clipped": 2, "reused": 1}
    assert sum_recorded((), [{"round": {"replies": [{}]}}]) is None


def test_training_is_counted_without_what_failed():
    rows = [{"verdict": verdict, "tokens": 10, "calls": 2} for verdict in ("correct", "wrong", "failed", "correct")]
    assert summarise_training(iter(rows)) == {
        "n": 3, "correct": 2, "accuracy": 2 / 3, "failed": 1, "tokens": 40, "thought_tokens": 0,
        "calls": 8,
    }  # fmt: skip
