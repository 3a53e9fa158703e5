"""Who speaks next and whom to believe: votes, speakers and weights by hand."""

import pytest
import torch

from econ_agents import losses
from econ_agents.networks.voice import Voice, answer_right, going_on, next_speaker, redrawn
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
    assert going_on(gains, may).tolist() == pytest.approx([0.3, 0.0, 0.2])


def test_nobody_speaks_and_nothing_is_gained_where_nobody_may():
    nobody = torch.tensor([[False, False]])
    assert next_speaker(row(0.5, 0.7), nobody).tolist() == [[-1, -1]]
    assert going_on(row(0.5, 0.7), nobody).tolist() == [0.0]


def test_untrained_nothing_is_gained():
    assert Voice(2, 2.0).eval()(said((1, 0), (0, -1))).gain_BN.tolist() == [[0.0, 0.0]]


def test_a_gain_is_linear_in_what_is_believed_and_says_who_is_called_and_who_spoke():
    voice, words = Voice(2, 2.0).eval(), said((1, 0, 1), (0, -1, 1))
    with torch.no_grad():
        voice.gain.weight[:] = torch.tensor([[-0.3, 0.2]])
        voice.gain.bias[:] = 0.05
        voice.own_gain.weight[0, :3] = torch.tensor([0.1, 0.2, 0.4])
        voice.spoken_gain.weight[0, :3] = torch.tensor([0.01, 0.02, 0.04])
    heard = voice(words)
    best, none = heard.trusted.share_BN.max().item(), heard.trusted.none_B.exp().item()
    alike = 0.05 - 0.3 * (2 * best - 1) + 0.2 * (2 * none - 1) + 0.01 + 0.04
    assert heard.gain_BN[0].tolist() == pytest.approx([alike + own for own in (0.1, 0.2, 0.4)], abs=1e-6)


def test_gains_teach_nothing_about_whom_to_believe():
    voice = Voice(2, 2.0)
    voice(said((1, 1), (0, 1))).gain_BN.sum().backward()
    assert all(one.grad is None for one in voice.trust.parameters())


def test_numbers_of_ones_own_are_held_ten_times_as_strongly_as_what_all_share():
    voice = Voice(2, 2.0)
    trusted = voice.trust.penalty().item()
    assert voice.penalty().item() == trusted
    for layer, expected in ((voice.gain, 0.2), (voice.own_gain, 2.0), (voice.spoken_gain, 2.0)):
        with torch.no_grad():
            layer.weight[0, 1] = 2.0
            assert voice.penalty().item() - trusted == pytest.approx(expected)
            layer.weight[0, 1] = 0.0


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
