"""What baselines learn of the executors: the record of replies, and what follows from it, by hand."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import asdict, replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econ_env.answers import heaviest
from econ_env.errors import BudgetError, ConfigError
from econ_env.llm.seeding import derive_seed
from econ_env.methods import (
    Fitted,
    MemberRecord,
    MemberRow,
    SelfConsistency,
    accuracies,
    any_right,
    ask_members,
    best_stop,
    cisc_temperature,
    order,
    vote_constant,
    vote_weights,
)
from econ_env.methods.fitting import CONSTANTS, SOFTMAX_TEMPERATURES
from econ_env.methods.members import FAILED, NO_ANSWER
from econ_env.records import Problem
from tests.econ_env.methods.tables import answered, table_team

PROBLEMS = [Problem(f"What is {n} + 1?", str(n + 1), f"p{n}") for n in range(3)]


def record(labels, right=0, models=None, confidence=None):
    """A record in which the label `right` is the gold answer of every problem."""
    labels = np.array(labels)
    unknown = np.full(labels.shape, math.nan)
    return MemberRecord(
        answers=tuple(tuple(str(label) if label >= 0 else None for label in row) for row in labels.tolist()),
        labels=labels,
        correct=labels == right,
        confidence=unknown if confidence is None else np.array(confidence),
        models=tuple(models or (f"m{n}" for n in range(labels.shape[1]))),
    )


def ask(team, problems=PROBLEMS, in_flight=2, **more):
    return asyncio.run(ask_members(team, problems, 3, 0.7, in_flight, **more))


# Asking ------------------------------------------------------------------------------------------------------------


def test_every_executor_is_asked_once_and_every_reply_is_judged():
    team, requests = table_team(
        {"p0": [1, 1, 2], "p1": ["Hm.", 2, "2.0 it is. The answer is 2.0."], "p2": [5, None, 3]}
    )
    made = ask(team)
    assert made.answers == (("1", "1", "2"), (None, "2", "2.0"), ("5", None, "3"))
    assert made.labels.tolist() == [[0, 0, 1], [NO_ANSWER, 0, 0], [0, FAILED, 1]]
    assert made.correct.tolist() == [[True, True, False], [False, True, True], [False, False, True]]
    assert np.isnan(made.confidence).all()
    assert (made.models, made.calls) == (("a", "a", "a"), 8)
    assert made.tokens > 0
    assert len(requests) == 9


def test_the_requests_are_those_of_self_consistency():
    team, requests = table_team([4])
    ask(team, PROBLEMS[:1])
    other, wanted = table_team([4])
    answered(SelfConsistency(other, 3), PROBLEMS[0], derive_seed("episode", 3, "p0"))
    assert requests == wanted


def test_confidences_are_probabilities_and_missing_ones_are_no_numbers():
    team, _ = table_team([4], confidences={0: math.log(0.9), 2: math.log(0.25)})
    found = ask(team, PROBLEMS[:1]).confidence
    assert found[0, [0, 2]] == pytest.approx([0.9, 0.25])
    assert np.isnan(found[0, 1])


def test_rows_survive_as_json_and_known_problems_are_not_asked_again():
    team, requests = table_team([1, 2, 3], confidences={0: -0.5})
    rows: list[MemberRow] = []
    whole = ask(team, told=rows.append)
    assert sorted(row.problem for row in rows) == ["p0", "p1", "p2"]
    kept = {row.problem: MemberRow.from_json(json.loads(json.dumps(asdict(row)))) for row in rows}
    assert list(kept.values()) == rows
    requests.clear()
    del kept["p1"]
    again = ask(team, known=kept)
    assert {request.problem_id for request in requests} == {"p1"}
    assert again.answers == whole.answers
    assert (again.labels == whole.labels).all()
    np.testing.assert_equal(again.confidence, whole.confidence)
    assert (again.calls, again.tokens) == (whole.calls, whole.tokens)


def test_what_was_asked_before_an_error_has_been_told():
    team, _ = table_team([1])
    rows: list[MemberRow] = []

    def told(row):
        rows.append(row)
        if len(rows) == 2:
            raise BudgetError("spent")

    with pytest.raises(BudgetError):
        ask(team, in_flight=1, told=told)
    assert [row.problem for row in rows] == ["p0", "p1"]


def test_a_row_tells_why_calls_failed_and_whether_all_did():
    team, _ = table_team({"p0": [None], "p1": [2, None, 2]})
    rows: list[MemberRow] = []
    ask(team, PROBLEMS[:2], told=rows.append)
    assert [(row.failed, row.error) for row in rows] == [(True, "gone"), (False, "gone")]


@pytest.mark.parametrize(
    "change",
    [{"answers": ()}, {"labels": np.zeros((1, 2), int)}, {"correct": np.zeros((1, 2), bool)}, {"models": ("a",)},
     {"confidence": np.zeros(2)}, {"answers": (("1", "2"), ("1",))}],
)  # fmt: skip
def test_a_record_whose_parts_do_not_fit_is_refused(change):
    with pytest.raises(ConfigError, match="a record of"):
        replace(record([[0, 1], [0, 0]]), **change)


def test_no_problems_are_no_record():
    team, _ = table_team([4])
    with pytest.raises(ConfigError, match="a record of 0 problems"):
        ask(team, [])


# Accuracies and weights ----------------------------------------------------------------------------------------------


def test_accuracies_follow_laplace_and_failed_calls_do_not_count():
    made = record([[0, 0, FAILED], [0, 1, 0], [0, NO_ANSWER, 0]])
    assert accuracies(made) == (4 / 5, 2 / 5, 3 / 4)
    assert order(made) == (0, 2, 1)


def test_executors_of_a_model_are_counted_together():
    made = record([[0, 1, 0], [0, 1, 1]], models=("a", "a", "b"))
    assert accuracies(made) == (3 / 6, 3 / 6, 2 / 4)
    assert order(made) == (0, 1, 2)


def test_an_executor_that_always_failed_is_as_likely_right_as_not():
    assert accuracies(record([[FAILED, 0]] * 8)) == (0.5, 0.9)


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=8), st.permutations(range(3)))
def test_another_order_of_the_team_permutes_accuracies_and_weights(labels, places):
    made, other = record(labels), record([[row[n] for n in places] for row in labels])
    assert accuracies(other) == tuple(accuracies(made)[n] for n in places)
    by = Fitted.of(made)
    assert vote_weights(accuracies(other), by.constant) == tuple(by.weights[n] for n in places)


def test_weights_by_hand():
    assert vote_weights((0.5, 0.8, 0.2), 0.0) == pytest.approx((0.0, math.log(4), -math.log(4)))
    assert vote_weights((0.5, 0.2), math.log(4)) == pytest.approx((math.log(4), 0.0))


def test_a_constant_keeps_weak_voters_from_wrecking_the_vote():
    # each is right on a third, and two that agree are right: two weights below zero are less than one
    made = record([[0, 0, 1]] * 4 + [[1, 2, 0]] * 4 + [[1, 2, 3]] * 4)
    assert accuracies(made) == (5 / 14, 5 / 14, 5 / 14)
    plain, fitted = (vote_weights(accuracies(made), c) for c in (0.0, vote_constant(made)))
    assert heaviest([0, 0, 1], plain) == 2
    assert heaviest([0, 0, 1], fitted) == 0


def test_the_constant_stays_below_that_with_which_two_outweigh_a_better_one():
    # 0 is right on 28 of 30, the others on 10, with the same errors: 0 outvotes them for c < log(29/3) - 2 log(11/21)
    made = record([[0, 1, 1]] * 18 + [[0, 0, 0]] * 10 + [[1, 2, 2]] * 2)
    assert accuracies(made) == (29 / 32, 11 / 32, 11 / 32)
    assert vote_constant(made) == max(c for c in CONSTANTS if c < math.log(29 / 3) - 2 * math.log(11 / 21))
    assert vote_constant(made) == math.log(16)


def test_equally_good_constants_give_the_one_nearest_to_a_majority():
    assert vote_constant(record([[0, 0, 1]] * 5)) == max(CONSTANTS)


# Confidence ----------------------------------------------------------------------------------------------------------


def test_the_softmax_temperature_is_the_one_that_is_right_most_often():
    # problem 0 needs a sharp softmax (1 > 2 exp(-0.6 / T) for T < 0.87), problem 1 forbids the sharpest ones
    # (1 < 2 exp(-0.02 / T) for T > 0.029)
    labels = [[0, 1, 1], [1, 0, 0]]
    confidence = [[0.9, 0.3, 0.3], [0.52, 0.5, 0.5]]
    assert cisc_temperature(record(labels, confidence=confidence)) == 0.3
    assert cisc_temperature(record(labels[:1], confidence=confidence[:1])) == 0.3
    assert cisc_temperature(record(labels[1:], confidence=confidence[1:])) == max(SOFTMAX_TEMPERATURES)


def test_without_any_confidence_it_is_said_what_to_do():
    with pytest.raises(ConfigError, match=r"set llm\.logprobs=true, or use a server or a record that gives them"):
        cisc_temperature(record([[0, 1]]))
    assert Fitted.of(record([[0, 1]])).softmax_temperature is None


def test_all_of_it_is_fitted_and_told():
    made = replace(
        record([[0, 1], [0, 0]], models=("x", "y"), confidence=[[0.9, 0.1], [0.5, math.nan]]), calls=4, tokens=9
    )
    fitted = Fitted.of(made)
    told = json.loads(json.dumps(fitted.to_json()))
    assert told["models"] == ["x", "y"]
    assert (told["problems"], told["calls"], told["tokens"]) == (2, 4, 9)
    assert told["accuracies"] == list(accuracies(made))
    assert told["order"] == [0, 1]
    assert told["constant"] == vote_constant(made)
    assert told["softmax_temperature"] == cisc_temperature(made)
    assert told["weights"] == list(vote_weights(accuracies(made), vote_constant(made)))


# Bounds --------------------------------------------------------------------------------------------------------------


def test_bounds_by_hand():
    made = record([[0, 1, 1], [1, 0, 2], [1, 1, 0], [1, 2, 3], [1, 0, 0], [NO_ANSWER, 0, 1]])
    assert any_right(made).tolist() == [True, True, True, False, True, True]
    stops = best_stop(made, (0, 1, 2))
    # right at once; never the first; outvoted; nobody; two against one; after one without an answer
    assert stops.right.tolist() == [True, False, False, False, True, True]
    assert stops.asks.tolist() == [1, 1, 1, 1, 3, 2]


def test_the_order_decides_what_stopping_can_reach():
    made = record([[1, 1, 0]])
    assert best_stop(made, (2, 0, 1)) == (np.array([True]), np.array([1]))
    assert not best_stop(made, (0, 1, 2)).right[0]


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=6))
def test_no_order_stops_better_than_if_any_is_right(labels):
    made = record(labels)
    reached = np.zeros(len(labels), bool)
    for places in permutations(range(3)):
        stops = best_stop(made, places)
        assert (stops.right <= any_right(made)).all()
        assert ((stops.asks >= 1) & (stops.asks <= 3)).all()
        assert (stops.asks[~stops.right] == 1).all()
        reached |= stops.right
    assert (reached == any_right(made)).all()  # whoever is right may be asked first
