"""Decisions that are played again: rewards by hand, against play itself, and their gradient."""

import itertools

import pytest
import torch

from econ_agents.config import AgentConfig
from econ_agents.networks.network import TeamNetwork
from econ_agents.networks.voice import answer_right, next_speaker
from econ_agents.played_again import DOUBT, LEAST_PRICE, expected_reward
from tests.econ_agents.teams import speaking_spec
from tests.econ_agents.voices import row, said

PRICE = 0.04


def network(right=(0.9, 0.6, 0.3), later=(-1.0, 0.0)):
    torch.manual_seed(0)
    net = TeamNetwork(speaking_spec(3), AgentConfig()).eval()
    spoke = torch.ones(1000, 3)
    net.voice.records.observe(spoke, (torch.arange(1000)[:, None] < 1000 * torch.tensor(right)).float(), spoke)
    with torch.no_grad():
        net.voice.later[:] = torch.tensor(later)
    return net


def words(net, answers, price=PRICE):
    numbers = torch.zeros(3, net.said.width).tolist()
    return said((1, 1, 1), answers, numbers, price)


def test_it_is_the_reward_of_each_point_to_stop_by_how_likely_it_is_reached():
    net = network()
    talk = words(net, (0, 1, 1))
    heard = [talk.of(torch.tensor([[True, two, False]])) for two in (False, True)]
    gains = [net.voice(part).gain_BN[0] for part in heard]
    scale = PRICE + LEAST_PRICE
    on = [torch.sigmoid((1 + gain / scale).log() / DOUBT) for gain in (gains[0][1:].max(), gains[1][2])]
    first, both = 1.0, answer_right(row(0, 1, -1), row(1, 0, 0), net.vote_weights(net.voice(heard[1]))).item()
    expected = (1 - on[0]) * (first - PRICE) + on[0] * ((1 - on[1]) * (both - 2 * PRICE) + on[1] * (0.0 - 3 * PRICE))
    found = expected_reward(net, talk, row(0, 1, 1), row(1, 0, 0))
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)
    assert 0.05 < on[0] < 0.999  # else nothing is told apart


@pytest.mark.parametrize("answers", list(itertools.product((0, 1, -1), repeat=3)))
def test_without_doubt_it_is_the_reward_of_play(answers, monkeypatch):
    monkeypatch.setattr("econ_agents.played_again.DOUBT", 1e-6)
    net = network()
    talk, label, right = words(net, answers), row(*answers), row(*[float(answer == 0) for answer in answers])
    spoke = torch.zeros(1, 3, dtype=torch.bool)
    while True:
        told = net.voice(talk.of(spoke))
        calls = next_speaker(told.gain_BN, ~spoke) > 0
        if not calls.any():
            break
        spoke |= calls
    judged = answer_right(label.masked_fill(~spoke, -1.0), right * spoke, net.vote_weights(told)).item()
    expected = judged - PRICE * int(spoke.sum())
    assert expected_reward(net, talk, label, right).item() == pytest.approx(expected, abs=1e-5)


def test_calls_that_help_raise_what_later_calls_gain_and_those_that_do_not_lower_it():
    for right, sign in (((0, 1, 1), 1.0), ((1, 0, 0), -1.0)):
        net = network(later=(-2.5, 0.0))
        expected_reward(net, words(net, (0, 1, 1)), row(0, 1, 1), row(*right)).sum().backward()
        assert net.voice.later.grad[0].item() * sign > 0
        assert all(one.grad is None for one in net.voice.trust.parameters())


@pytest.mark.parametrize("price", [0.04, 0.002, 0.001])
def test_a_team_that_asks_everyone_in_vain_learns_to_stop(price):
    net = network(right=(0.9, 0.9, 0.9), later=(0.0, 0.0))
    talk, label, right = words(net, (0, 0, 0), price), row(0, 0, 0), row(1, 1, 1)
    optimizer = torch.optim.Adam([net.voice.later], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        (-expected_reward(net, talk, label, right).sum()).backward()
        optimizer.step()
    one_heard = net.voice(talk.of(torch.tensor([[True, False, False]])))
    assert one_heard.gain_BN[0, 1:].max() < 0


def test_where_calls_cost_nothing_everybody_is_asked():
    net = network()
    assert expected_reward(net, words(net, (0, 1, 1), 0.0), row(0, 1, 1), row(0, 1, 1)).item() == pytest.approx(
        1.0, abs=0.01
    )
