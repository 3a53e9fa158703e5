"""Who speaks next and whom to believe: votes, speakers and weights by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from econ_agents import losses
from econ_agents.networks.voice import LARGEST_ODDS, Voice, answer_right, going_on, next_speaker


def row(*values):
    return torch.tensor([values], dtype=torch.float32)


@pytest.mark.parametrize(
    ("labels", "right", "weights", "expected"),
    [
        ((0, 1, 1), (1, 0, 0), (1, 1, 1), 0.0),  # two against one
        ((0, 1, 1), (1, 0, 0), (3, 1, 1), 1.0),  # one that weighs more than both
        ((0, 1, -1), (1, 0, 0), (1, 1, 9), 1.0),  # equal sums: the first; no answer does not vote
        ((-1, -1, -1), (0, 0, 0), (1, 1, 1), 0.0),
        ((-1, 2, 2), (0, 1, 1), (0, 0, 0), 1.0),  # without any weight all count alike
    ],
)
def test_the_answer_with_the_largest_sum_of_weights_is_the_teams(labels, right, weights, expected):
    assert answer_right(row(*labels), row(*right), row(*weights)).item() == expected


def test_who_gains_most_speaks_and_nobody_without_a_gain():
    gains = torch.tensor([[0.1, 0.3, 0.2], [-0.1, -0.2, -0.3], [0.1, 0.3, 0.2]])
    may = torch.tensor([[True, True, True], [True, True, True], [True, False, True]])
    assert next_speaker(gains, may).tolist() == [[-1, 1, -1], [-1, -1, -1], [-1, -1, 1]]
    assert next_speaker(gains[:2], None).tolist() == [[-1, 1, -1], [-1, -1, -1]]
    assert going_on(gains, may).tolist() == pytest.approx([0.3, 0.0, 0.2])


def test_nobody_speaks_and_nothing_is_gained_where_nobody_may():
    nobody = torch.tensor([[False, False]])
    assert next_speaker(row(0.5, 0.7), nobody).tolist() == [[-1, -1]]
    assert going_on(row(0.5, 0.7), nobody).tolist() == [0.0]


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 5))
def test_weights_rise_with_the_odds_and_stay_in_their_box(one, other, constant):
    voice = Voice(4, 4, 8, constant, 0.0)
    low, high = voice.weights(torch.tensor(sorted((one, other)))).tolist()
    assert -1.0 <= low <= high <= 1.0


def test_a_coin_weighs_by_the_constant_alone():
    constant = 2.0
    share = constant / (LARGEST_ODDS + constant)
    assert Voice(4, 4, 8, constant, 0.0).weights(torch.tensor(0.0)).item() == pytest.approx(2 * share - 1)


def test_the_log_score_is_best_for_the_true_share():
    """Three of four replies are right: the loss is least at the odds 3 : 1."""
    right, said, weight = torch.tensor([[1.0], [1.0], [1.0], [0.0]]), torch.ones(4, 1), torch.ones(4)
    scores = {odds: losses.trust(torch.full((4, 1), math.log(odds)), right, said, weight).item() for odds in (1, 3, 9)}
    assert min(scores, key=scores.get) == 3
    assert scores[3] == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_silent_agents_have_no_log_score():
    odds = torch.tensor([[0.0, 9.0]])
    assert losses.trust(odds, row(1, 0), row(1, 0), torch.ones(1)).item() == pytest.approx(math.log(2))


def test_only_a_call_alone_teaches_its_gain():
    spoke = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    gains = torch.tensor([[0.5, 7.0], [3.0, 3.0], [9.0, 9.0]])
    assert losses.gain(gains, torch.zeros(3), spoke, torch.ones(3)).item() == pytest.approx(0.25)
