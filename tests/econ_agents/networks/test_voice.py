"""Who speaks next and whom to believe: votes, speakers and weights by hand."""

import math

import pytest
import torch

from econ_agents.networks.voice import Voice, answer_right, next_speaker, some_of
from tests.econ_agents.voices import row, said


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


def test_nobody_speaks_where_nobody_may():
    assert next_speaker(row(0.5, 0.7), torch.tensor([[False, False]])).tolist() == [[-1, -1]]


def known(voice):
    """Agent 0 was right in 7 of 8 calls, agent 1 in none of 2; its calls come to 10, those of 1 to 2."""
    spoke = torch.tensor([[1.0, 1.0]] * 2 + [[1.0, 0.0]] * 6)
    right = torch.tensor([[1.0, 0.0]] * 7 + [[0.0, 0.0]])
    voice.records.observe(spoke, right, spoke * torch.tensor([10.0, 2.0]))
    return voice.eval()


@pytest.mark.parametrize("price", [0.0, 0.01, 0.03])
def test_the_first_call_gains_the_record_of_its_agent_less_what_it_costs_now(price):
    """By the rule of succession 8 of 10 and 1 of 4."""
    voice = known(Voice(2, 2.0))
    with torch.no_grad():
        voice.later[:] = torch.tensor([-3.0, 2.0])  # of later calls alone
    told = voice(said((0, 0), (-1, -1), price=price))
    assert told.gain_BN[0].tolist() == pytest.approx([0.8 - 10 * price, 0.25 - 2 * price])


def test_later_calls_gain_a_share_of_what_is_missing_whose_odds_are_those_of_the_record_times_a_power():
    voice = known(Voice(2, 2.0))
    with torch.no_grad():
        voice.later[:] = torch.tensor([-1.0, 0.5])
    for words, heard in ((said((1, 0), (0, -1), price=0.01), 1), (said((1, 1), (0, 1), price=0.01), 2)):
        told = voice(words)
        odds = torch.tensor([4.0, 1 / 3]) * math.exp(-1.0) * heard**0.5
        missing = 1.0 - told.trusted.share_BN.max()
        expected = odds / (1.0 + odds) * missing - torch.tensor([0.1, 0.02])
        torch.testing.assert_close(told.gain_BN[0], expected)


def test_before_any_call_agents_are_taken_to_be_right_half_the_time_and_a_call_to_come_to_one():
    assert Voice(2, 2.0).eval()(said((0, 0), (-1, -1), price=0.25)).gain_BN.tolist() == [[0.25, 0.25]]


def test_gains_teach_nothing_about_whom_to_believe():
    voice = Voice(2, 2.0)
    voice(said((1, 1), (0, 1))).gain_BN.sum().backward()
    assert all(one.grad is None for one in voice.trust.parameters())


def test_if_others_had_spoken_nothing_is_known_of_those_who_had_not():
    words = said((1, 1, 1, 0), (0, 0, 1, -1))
    fewer = words.of(torch.tensor([[True, False, True, True]]))
    expected = said((1, 0, 1, 0), (0, 0, 1, -1))
    assert all(torch.equal(one, other) for one, other in zip(fewer, expected, strict=True))


def test_some_are_drawn_of_those_that_spoke_from_one_to_all_of_them():
    torch.manual_seed(0)
    spoke = torch.tensor([[True, True, False, True]]).expand(6000, -1)
    drawn = some_of(spoke)
    assert not (drawn & ~spoke).any()
    assert (torch.bincount(drawn.sum(1)) / 6000).tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.03)
    assert drawn.float().mean(0).tolist() == pytest.approx([2 / 3, 2 / 3, 0, 2 / 3], abs=0.03)
    assert not some_of(torch.zeros(4, 3, dtype=torch.bool)).any()
