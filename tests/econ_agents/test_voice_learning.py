"""What a gradient step learns of decisions in which all spoke, some spoke or nobody did."""

import numpy as np
import pytest
import torch
from teams import QUESTION, replayed, small, speaking_spec

from econ_agents import losses
from econ_agents.algorithm import EconAlgorithm
from econ_agents.networks.discussion import ANSWER, ANSWERED, PRICE_SCALE, SPOKEN
from econ_agents.networks.discussion import PRICE as PRICE_SEEN
from econ_agents.played_again import expected_reward
from econ_agents.policy import EconPolicy

PRICE = 0.03
SPEC = speaking_spec(3)


def steps(spoke, answers, right, failed=None):
    """Replayed steps after which these agents have spoken for the first time, and gave these answers."""
    spoke, answers = np.array(spoke, np.float32), np.array(answers, np.float32)
    said = spoke * (answers >= 0)
    obs = np.zeros((len(spoke), 3, SPEC.obs_dim), np.float32)
    price = np.full_like(spoke, PRICE / (PRICE + PRICE_SCALE))
    for place, value in ((SPOKEN, spoke), (ANSWERED, said), (ANSWER, said * (answers + 1) / 3), (PRICE_SEEN, price)):
        obs[..., QUESTION + place] = value
    waves = {
        "wave_spoke": spoke,
        "wave_amount": 2 * spoke,
        "wave_label": np.where(spoke > 0, answers, -1),
        "wave_right": np.array(right, np.float32) * spoke,
        "wave_valid": spoke,
    }
    failed = np.zeros(len(spoke)) if failed is None else failed
    return replayed(SPEC, len(spoke), obs=np.zeros_like(obs), obs_next=obs, failed=failed, **waves)


def algorithm(**changes):
    torch.manual_seed(0)
    return EconAlgorithm(EconPolicy(SPEC, small(**changes), (0.0, 1.0, 0.0)))


EVERYONE, ONE, NOBODY = (1, 1, 1), (0, 1, 0), (0, 0, 0)


def test_records_count_the_calls_of_problems_that_did_not_fail():
    learner = algorithm()
    spoke = [EVERYONE, ONE, NOBODY, EVERYONE]
    learner._update_with_batch(steps(spoke, [(0, 0, 1)] * 4, [(1, 1, 0)] * 4, failed=np.array([0, 0, 0, 1.0])))
    records = learner.policy.network.voice.records
    assert records.count_C[:4].tolist() == [1.0, 2.0, 1.0, 0.0]
    assert records.right_C[:4].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert records.amount_C[:4].tolist() == [2.0, 2.0, 2.0, 0.0]


def test_gains_are_learned_where_all_spoke_at_once_and_nowhere_else():
    learner = algorithm()
    answers, right = [(0, 1, 1), (0, 0, 0), (0, 1, 2)], [(0, 1, 1), (1, 1, 1), (0, 0, 1)]
    stats = learner._update_with_batch(steps([ONE, ONE, NOBODY], answers, right))
    assert stats.gain is None
    assert learner.policy.network.voice.later.tolist() == [0.0, 0.0]
    learner, batch = algorithm(), steps([EVERYONE, EVERYONE, ONE], answers, right)
    net = algorithm().policy.network
    said = net.said(torch.as_tensor(batch.obs_next))
    net.voice.trust.observe(said)
    net.voice.records.observe(*(torch.as_tensor(batch.info[f"wave_{name}"]) for name in ("spoke", "right", "amount")))
    label, true = (torch.as_tensor(batch.info[f"wave_{name}"][:2]) for name in ("label", "right"))
    expected = expected_reward(net, said.rows(torch.tensor([True, True, False])), label.float(), true).mean()
    assert learner._update_with_batch(batch).gain == pytest.approx(-expected.item(), abs=1e-6)
    assert learner.policy.network.voice.later[0] != 0


def test_beliefs_learn_from_some_of_those_that_spoke_at_once_and_from_all_others_as_they_were(monkeypatch):
    """Each set of replies comes up in the end; a step of one agent is never changed, and silence teaches nothing."""
    heard = set()
    plain = losses.trust

    def watched(part_BN, none_B, right_BN, weight_B):
        heard.update(tuple(row) for row in torch.isfinite(part_BN).int().tolist())
        return plain(part_BN, none_B, right_BN, weight_B)

    monkeypatch.setattr(losses, "trust", watched)
    learner = algorithm()
    for _ in range(60):
        learner._update_with_batch(steps([EVERYONE], [(0, 1, 1)], [(0, 1, 1)]))
    assert heard == {(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)}
    heard.clear()
    for _ in range(10):
        learner._update_with_batch(steps([ONE, NOBODY, (1, 1, 0)], [(0, 1, 1)] * 3, [(0, 1, 1)] * 3))
    assert heard == {(0, 1, 0), (1, 1, 0)}


def test_the_replay_is_told_how_far_beliefs_were_from_right():
    learner = algorithm(losses={"shrink": 0.0})
    batch = steps(
        [ONE, NOBODY, ONE, ONE], [(0, 0, 0)] * 4, [(1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1)], [0, 0, 0, 1.0]
    )
    batch.weight = np.ones(4)
    learner._update_with_batch(batch)
    told = np.exp(-np.asarray(batch.weight))
    assert told[1] == told[3] == 1.0  # silence, and a problem that failed
    assert told[0] + told[2] == pytest.approx(1.0)  # that the answer is right, and that it is not
    assert 0.5 < told[0] < 1.0
