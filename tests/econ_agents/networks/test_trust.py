"""Whom to believe: probabilities, evidence and their log score by hand."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from econ_agents import losses
from econ_agents.networks.discussion import Said
from econ_agents.networks.trust import Trust
from econ_agents.networks.voice import answer_right
from tests.econ_agents.voices import row, said


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 5))
@settings(deadline=None)
def test_weights_rise_with_the_evidence_and_stay_in_their_box(one, other, constant):
    trust = Trust(4, constant)
    low, high = trust.weights(torch.tensor(sorted((one, other)))).tolist()
    assert -1.0 <= low <= high <= 1.0


def test_an_untrained_reply_is_worth_the_constant():
    """Evidence 2 for each answer, less where replies repeat one another by a tenth, and 0 for none: by hand."""
    heard = Trust(2, 2.0).eval()(said((1, 1, 1, 1, 0), (0, 0, 1, -1, -1)))
    assert heard.evidence_BN[0].tolist() == pytest.approx([2 / 1.1, 2 / 1.1, 2, 0, 0], abs=1e-5)
    total = math.exp(4 / 1.1) + math.exp(2) + 1
    both, one = math.exp(4 / 1.1) / total, math.exp(2) / total
    assert heard.share_BN[0].tolist() == pytest.approx([both, both, one, 0, 0], abs=1e-5)
    assert heard.none_B.exp().item() == pytest.approx(1 / total)


def test_nobody_has_said_anything():
    heard = Trust(2, 2.0).eval()(said((0, 0), (-1, -1)))
    assert heard.none_B.item() == 0.0
    assert heard.share_BN.tolist() == [[0.0, 0.0]]


@given(st.lists(st.tuples(st.booleans(), st.integers(-1, 3)), min_size=2, max_size=7), st.integers(0, 99))
@example([(False, 0), (True, 1), (False, 0), (False, 0), (True, 0), (True, -1)], 78)
@settings(deadline=None)
def test_beliefs_are_coherent_and_the_weights_choose_the_answer_that_is_most_likely_right(team, seed):
    torch.manual_seed(seed)
    trust = Trust(2, 2.0).eval()
    for layer in (trust.evidence, trust.own_evidence, trust.doubt, trust.own_doubt):
        torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(trust.overlap)
    spoke, answers = zip(*team, strict=True)
    words = said(spoke, answers, torch.randn(len(team), 2).tolist())
    heard = trust(words)
    share = {answers[n]: heard.share_BN[0, n].item() for n in range(len(team)) if words.answered_BN[0, n]}
    assert sum(share.values()) + heard.none_B.exp().item() == pytest.approx(1.0, abs=1e-4)
    assert heard.part_BN.exp().sum().item() == pytest.approx(sum(share.values()), abs=1e-4)
    if share:
        likely = {answer for answer, chance in share.items() if chance >= max(share.values()) * (1 - 1e-5)}
        right = torch.tensor([[float(answer in likely) for answer in answers]])
        label = torch.where(words.answered_BN, torch.tensor([answers]), -1)
        weights = trust.weights(heard.evidence_BN) + 1.0
        assert answer_right(label, right, weights).item() == 1.0


def test_replies_that_repeat_one_another_count_as_fewer():
    """Three equal answers count as 3 / (1 + 2 r) independent ones: three without overlap, one with all of it."""
    trust, three = Trust(2, 2.0).eval(), said((1, 1, 1), (0, 0, 0))
    for raw, as_many in ((-40.0, 3.0), (0.0, 1.5), (40.0, 1.0)):
        torch.nn.init.constant_(trust.overlap, raw)
        assert trust(three).evidence_BN.sum().item() == pytest.approx(2.0 * as_many, abs=1e-4)


def test_the_log_score_is_best_for_the_true_share():
    """Three of four replies are right: the loss is least where it is believed right with 3 / 4."""
    right, weight = torch.tensor([[1.0], [1.0], [1.0], [0.0]]), torch.ones(4)

    def score(chance):
        part, none = torch.full((4, 1), math.log(chance)), torch.full((4,), math.log(1 - chance))
        return losses.trust(part, none, right, weight).item()

    assert min((0.5, 0.75, 0.9), key=score) == 0.75
    assert score(0.75) == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_the_log_score_is_that_of_the_right_answer_whoever_gave_it():
    """Two agents carry half each of an answer with 0.6, and a third an answer with 0.3."""
    part = torch.tensor([[0.3, 0.3, 0.3]]).log()
    none = torch.tensor([0.1]).log()

    def score(*right):
        return losses.trust(part, none, row(*right), torch.ones(1)).item()

    assert score(1, 1, 0) == pytest.approx(-math.log(0.6))
    assert score(0, 0, 1) == pytest.approx(-math.log(0.3))
    assert score(0, 0, 0) == pytest.approx(-math.log(0.1))


def test_the_log_score_of_silence_is_nothing_and_has_a_gradient():
    """A right reply that was not heard counts for nothing; rows of all kinds in one batch give finite gradients."""
    trust = Trust(2, 2.0)
    words = [said((0, 0), (-1, -1)), said((1, 0), (0, -1)), said((1, 1), (-1, -1)), said((1, 1), (0, 1))]
    heard = trust(Said(*(torch.cat(parts) for parts in zip(*words, strict=True))))
    right = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    loss = losses.trust(heard.part_BN, heard.none_B, right, torch.ones(4))
    loss.backward()
    assert all(bool(torch.isfinite(one.grad).all()) for one in trust.parameters() if one.grad is not None)
    alone = losses.trust(heard.part_BN[:1], heard.none_B[:1], right[:1], torch.ones(1))
    assert alone.item() == 0.0


def test_weights_of_ones_own_are_held_ten_times_as_strongly_as_shared_ones():
    trust = Trust(3, 2.0)
    torch.nn.init.zeros_(trust.evidence.bias)
    for layer in (trust.evidence, trust.own_evidence, trust.doubt, trust.own_doubt):
        torch.nn.init.zeros_(layer.weight)
    assert trust.penalty().item() == 0.0
    for layer, place, expected in (
        (trust.own_evidence, (0, 2), 2.0),  # of an agent's numbers
        (trust.own_evidence, (3, 2), 0.2),  # of its own height
        (trust.evidence, (0, 1), 0.2),
        (trust.doubt, (0, 1), 2.0),
        (trust.own_doubt, (0, 1), 0.2),
    ):
        with torch.no_grad():
            layer.weight[place] = 2.0
            assert trust.penalty().item() == pytest.approx(expected)
            layer.weight[place] = 0.0
