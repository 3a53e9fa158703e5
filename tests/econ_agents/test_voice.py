"""Who speaks next and whom to believe: votes, speakers and weights by hand."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from econ_agents import losses
from econ_agents.networks.discussion import Said
from econ_agents.networks.voice import Voice, answer_right, going_on, next_speaker, redrawn


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
    assert going_on(gains, may).tolist() == pytest.approx([0.3, 0.0, 0.2])


def test_nobody_speaks_and_nothing_is_gained_where_nobody_may():
    nobody = torch.tensor([[False, False]])
    assert next_speaker(row(0.5, 0.7), nobody).tolist() == [[-1, -1]]
    assert going_on(row(0.5, 0.7), nobody).tolist() == [0.0]


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 5))
def test_weights_rise_with_the_evidence_and_stay_in_their_box(one, other, constant):
    voice = Voice(4, 8, constant, 0.0)
    low, high = voice.weights(torch.tensor(sorted((one, other)))).tolist()
    assert -1.0 <= low <= high <= 1.0


def said(spoke, answers, numbers=None):
    """What was said in one decision: who has spoken, and a number for each answer, -1 for none."""
    spoke_BN, answer_BN = torch.tensor([spoke], dtype=torch.bool), torch.tensor([answers])
    answered_BN = spoke_BN & (answer_BN >= 0)
    same_BNN = (answer_BN[:, :, None] == answer_BN[:, None, :]) & answered_BN[:, :, None] & answered_BN[:, None, :]
    given = torch.ones(1, len(spoke), 2) if numbers is None else torch.tensor([numbers], dtype=torch.float32)
    return Said(given * spoke_BN[..., None], spoke_BN, answered_BN, same_BNN)


def test_an_untrained_reply_is_worth_the_constant():
    """Evidence 2 for each answer, and 0 for none of them: two replies against one, worked by hand."""
    heard = Voice(2, 8, 2.0, 0.0).eval()(said((1, 1, 1, 1, 0), (0, 0, 1, -1, -1)))
    assert heard.evidence_BN[0].tolist() == pytest.approx([2, 2, 2, 0, 0], abs=1e-5)
    total = math.exp(4) + math.exp(2) + 1
    both, one = math.exp(4) / total, math.exp(2) / total
    assert torch.sigmoid(heard.odds_BN)[0, :3].tolist() == pytest.approx([both, both, one], abs=1e-5)
    assert heard.gain_BN[0].tolist() == [0] * 5


@given(st.lists(st.tuples(st.booleans(), st.integers(-1, 3)), min_size=2, max_size=7), st.integers(0, 99))
@example([(False, 0), (True, 1), (False, 0), (False, 0), (True, 0), (True, -1)], 78)
@settings(deadline=None)
def test_beliefs_are_coherent_and_the_weights_choose_the_answer_that_is_most_likely_right(team, seed):
    torch.manual_seed(seed)
    voice = Voice(2, 8, 2.0, 0.0).eval()
    for layer in (voice.evidence, voice.own_evidence, voice.doubt):
        torch.nn.init.normal_(layer.weight)
    spoke, answers = zip(*team, strict=True)
    words = said(spoke, answers, torch.randn(len(team), 2).tolist())
    heard = voice(words)
    odds = {answers[n]: heard.odds_BN[0, n].item() for n in range(len(team)) if words.answered_BN[0, n]}
    assert sum(1 / (1 + math.exp(-odd)) for odd in odds.values()) <= 1 + 1e-3 * len(team)
    if odds:
        # Where none of them is likely right, their odds are cut off at the same least one.
        likely = {answer for answer, odd in odds.items() if odd >= max(odds.values()) - 1e-6}
        right = torch.tensor([[float(answer in likely) for answer in answers]])
        label = torch.where(words.answered_BN, torch.tensor([answers]), -1)
        weights = voice.weights(heard.evidence_BN) + 1.0
        assert answer_right(label, right, weights).item() == 1.0


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


def test_if_others_had_spoken_nothing_is_known_of_those_who_had_not():
    words = said((1, 1, 1, 0), (0, 0, 1, -1))
    fewer = words.of(torch.tensor([[True, False, True, True]]))
    expected = said((1, 0, 1, 0), (0, 0, 1, -1))
    assert all(torch.equal(one, other) for one, other in zip(fewer, expected, strict=True))


def test_a_call_is_drawn_after_every_set_of_the_others():
    """Of three that spoke at once each is called as often, after none, one and two of the others as often."""
    torch.manual_seed(0)
    three = torch.tensor([[True, True, True, False]]).expand(6000, -1)
    before, called = redrawn(three, three)
    assert (called.sum(1) == 1).all()
    assert not (before & called).any()
    assert not (before | called)[:, 3].any()
    assert called.float().mean(0).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=0.03)
    assert (torch.bincount(before.sum(1)) / 6000).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_only_one_of_the_last_is_called_and_nobody_where_nobody_spoke():
    spoke = torch.tensor([[True, True, False], [True, True, False]])
    last = torch.tensor([[False, True, False], [False, False, False]])
    for _ in range(20):
        before, called = redrawn(spoke, last)
        assert called.tolist() == last.tolist()
        assert not before[0, 1:].any()
        assert not before[1].any()
