"""Votes with weights: from accuracies, from confidences, and the one best executor."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econ_env.answers import DEFAULT_RULE, heaviest
from econ_env.errors import ConfigError
from econ_env.methods import BestSingle, ConfidenceVote, SelfConsistency, WeightedVote, vote
from econ_env.methods.weighing import confidence_weights
from econ_env.records import PromptEmbedding, Reply
from econ_env.testing import check_method
from tests.econ_env.methods.tables import answered, numbers, table_team, verdict


def test_the_best_executor_is_asked_alone_and_as_in_a_majority():
    team, requests = table_team([5, 6, 4], ("a", "b", "c"))
    answer = answered(BestSingle(team, 2))
    assert verdict(answer) == "correct"
    assert numbers(requests) == [2]
    other, majority = table_team([5, 6, 4], ("a", "b", "c"))
    answered(SelfConsistency(other, 3))
    assert requests == majority[2:]


@pytest.mark.parametrize(
    ("weights", "winner"),
    [((1, 1, 1), "5"), ((1, 1, 2.5), "4"), ((1, 1, 2), "5"), ((-1, 1, 0.5), "4"), ((-1, -1, -2), "5")],
)
def test_the_answer_with_the_greatest_sum_of_weights_wins(weights, winner):
    team, _ = table_team([5, 5, 4], ("a", "b", "c"))
    answer = answered(WeightedVote(team, weights))
    assert answer.rounds[0].commitment.answer == winner
    assert answer.rounds[0].commitment.source == "majority"
    assert answer.text.endswith(f"The answer is {winner}.")


def test_a_failed_or_empty_reply_takes_its_weight_along():
    team, _ = table_team([5, None, "Hm."], ("a", "b", "c"))
    assert answered(WeightedVote(team, (0.1, 9.0, 9.0))).rounds[0].commitment.answer == "5"


@given(st.lists(st.tuples(st.integers(-1, 3), st.floats(-3, 3)), min_size=1, max_size=6))
@settings(max_examples=60)
def test_who_sits_where_changes_no_weighted_winner_but_in_ties(votes):
    labels, weights = zip(*votes, strict=True)
    sums = {label: math.fsum(w for one, w in votes if one == label) for label in labels if label >= 0}
    first = heaviest(labels, weights)
    assert (first is None) == (not sums)
    if first is not None:
        assert sums[labels[first]] == max(sums.values())
        assert labels.index(labels[first]) == first
    if len(set(sums.values())) == len(sums):
        found = set()
        for order in list(permutations(range(len(votes))))[:24]:
            place = heaviest([labels[n] for n in order], [weights[n] for n in order])
            found.add(None if place is None else labels[order[place]])
        assert len(found) == 1


def test_equal_weights_are_a_majority_and_sums_do_not_depend_on_their_order():
    assert heaviest([0, 1, 1, 0]) == heaviest([0, 1, 1, 0], [0.3] * 4) == 0
    assert heaviest([0, 1, 0, 1, 0, 1], [0.1, 0.3, 0.2, 0.2, 0.3, 0.1]) == 0  # 0.1 + 0.2 + 0.3, whatever the order


def test_votes_of_equal_answers_add_up_whatever_their_form():
    controls = PromptEmbedding(0.7, 1.0)
    said = [Reply("e", controls, f"It is {a}.", a, "valid") for a in ("1/2", "3", "0.5")]
    assert vote(said, DEFAULT_RULE, (1.0, 1.5, 1.0)).answer == "1/2"
    assert vote(said, DEFAULT_RULE, (1.0, 2.5, 1.0)).answer == "3"


# Confidence --------------------------------------------------------------------------------------------------------


def test_confidence_weights_by_hand():
    # softmax of (0.9, 0.5, 0.5) / 0.4: e^0, e^-1, e^-1 over their sum
    total = 1 + 2 / math.e
    assert confidence_weights([0.9, 0.5, 0.5], 0.4) == pytest.approx(
        [1 / total, 1 / math.e / total, 1 / math.e / total]
    )


def test_an_unknown_confidence_counts_as_an_average_one_and_none_at_all_is_a_majority():
    assert confidence_weights([0.5, math.nan, 0.5], 0.1) == pytest.approx([0.5, 0.5, 0.5])
    assert confidence_weights([math.nan, math.nan], 0.1) == [1.0, 1.0]


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=8), st.floats(1e-3, 100.0))
def test_confidence_weights_sum_to_one_and_keep_the_order(confidences, temperature):
    weights = confidence_weights(confidences, temperature)
    assert math.fsum(weights) == pytest.approx(1.0)
    pairs = sorted(zip(confidences, weights, strict=True))
    assert [weight for _, weight in pairs] == sorted(weights)


# probabilities 0.9, 0.3, 0.3: alone against two
SURE = {0: math.log(0.9), 1: math.log(0.3), 2: math.log(0.3)}


@pytest.mark.parametrize(("temperature", "winner"), [(0.1, "4"), (0.86, "4"), (0.87, "5"), (10.0, "5")])
def test_a_sure_reply_outvotes_two_unsure_ones_if_the_softmax_is_sharp(temperature, winner):
    # 1 > 2 exp(-0.6 / T) exactly for T < 0.6 / ln 2 = 0.8656
    team, _ = table_team([4, 5, 5], confidences=SURE)
    answer = answered(ConfidenceVote(team, temperature))
    assert answer.rounds[0].commitment.answer == winner


def test_replies_without_log_probabilities_vote_as_in_a_majority():
    team, _ = table_team([4, 5, 5])
    assert answered(ConfidenceVote(team, 0.01)).rounds[0].commitment.answer == "5"


@pytest.mark.parametrize(
    "make",
    [lambda t: BestSingle(t, 1), lambda t: WeightedVote(t, (0.5, 1.0, 2.0)), lambda t: ConfidenceVote(t, 1.0)],
)
def test_they_are_sound_methods(make):
    check_method(make)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: BestSingle(t, 3), "no executor 3"),
        (lambda t: BestSingle(t, -1), "no executor -1"),
        (lambda t: WeightedVote(t, (1.0, 2.0)), "a weight for each of 3 executors"),
        (lambda t: WeightedVote(t, (1.0, 2.0, math.inf)), "a weight for each of 3 executors"),
        (lambda t: ConfidenceVote(t, 0.0), "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    team, _ = table_team([4])
    with pytest.raises(ConfigError, match=message):
        make(team)


def test_lots_decide_ties_evenly_and_nothing_else():
    """The first of two models would win every tie only because it is named first."""
    team, _ = table_team([5, 4], ("a", "b"))
    won = [answered(SelfConsistency(team, 2, lots=True), seed=seed).rounds[0].commitment.answer for seed in range(200)]
    assert 70 < won.count("5") < 130  # 100 plus or minus more than four standard deviations
    team, _ = table_team([5, 4, 4], ("a", "b", "c"))
    assert {
        answered(SelfConsistency(team, 3, lots=True), seed=seed).rounds[0].commitment.answer for seed in range(40)
    } == {"4"}
