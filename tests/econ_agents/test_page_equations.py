"""The equations of docs/learner.md, written out plainly, are what the networks and losses compute."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from econ_agents import losses
from econ_agents.networks import Mixer
from econ_agents.networks.alpha import RewardWeights
from econ_agents.networks.belief import squash
from econ_agents.networks.discussion import Said
from econ_agents.networks.trust import Trust
from econ_agents.networks.voice import Voice
from tests.econ_agents.voices import said

W = 16


def test_mixing():
    mixer = Mixer(2, 8, dim=W, heads=4, commitment_dim=0, learned=True).eval()
    q, e, group = torch.randn(5, 3), torch.rand(5, 3, 2) * 2 - 1, torch.randn(5, 8)
    z = mixer.inward(e)
    w = mixer.norm(z + mixer.attention(z, z, z)[0])
    features = torch.tanh(mixer.features(torch.cat([w, group[:, None].expand(-1, 3, -1)], dim=-1)))
    mean = features.mean(dim=1)
    x = (F.softplus(mixer.local_weight(features)) * q[..., None]).mean(dim=1) + mixer.local_bias(mean)
    h = F.elu(x) + x / 10
    total = (F.softplus(mixer.total_weight(mean)) * h).sum(dim=-1) / W + mixer.total_bias(mean).squeeze(-1)
    torch.testing.assert_close(mixer(q, e, group).total_B, total)


def test_controls():
    logits = torch.linspace(-4, 4, 9)
    torch.testing.assert_close(squash(logits), 2 * torch.sigmoid(logits) - 1)


def test_weight_of_a_reply():
    e, c = torch.linspace(0, 9, 10), 2.0
    trust = Trust(4, constant=c)
    torch.testing.assert_close((trust.weights(e[None])[0] + 1) / 2, (e / (5 + c)).clamp(max=1))


def test_probability_of_an_answer():
    """Agents 0 and 2 gave one answer, agent 1 another; agent 3 is silent."""
    trust = Trust(2, constant=2.0).eval()
    for layer in (trust.evidence, trust.own_evidence, trust.doubt, trust.own_doubt):
        torch.nn.init.normal_(layer.weight, std=0.3)
    torch.nn.init.constant_(trust.overlap, 0.4)
    spoke = torch.tensor([[True, True, True, False]])
    same = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)[None]
    numbers = torch.randn(1, 4, 2).clamp(-2, 2) * spoke[..., None]
    found = trust(Said(numbers, spoke, spoke, same, torch.zeros(1)))
    x, own = numbers[0], trust.own_evidence.weight.T[:4]
    r, n = torch.sigmoid(trust.overlap), torch.tensor([2, 1, 2])
    spoken = F.softplus(trust.evidence(x).squeeze(-1) + (x * own[:, :-1]).sum(-1) + own[:, -1])[:3]
    e = spoken / (1 + (n - 1) * r)
    d = (trust.doubt(x).squeeze(-1) + trust.own_doubt.weight[0, :4])[:3].sum()
    sums = torch.stack([e[0] + e[2], e[1], e[0] + e[2]])
    total = d.exp() + (e[0] + e[2]).exp() + e[1].exp()
    torch.testing.assert_close(found.evidence_BN[0, :3], e)
    torch.testing.assert_close(found.share_BN[0, :3], sums.exp() / total)
    torch.testing.assert_close(found.none_B[0].exp(), d.exp() / total)
    torch.testing.assert_close(found.part_BN[0, :3].exp(), sums.exp() / total / n)


def test_gain_of_a_call():
    """Agents 0 and 2 have spoken."""
    voice = Voice(2, constant=2.0).eval()
    voice.records.count_C[:4], voice.records.right_C[:4] = 8.0, torch.tensor([0.25, 0.5, 0.75, 1.0])
    voice.records.amount_C[:4] = amounts = torch.tensor([1.0, 2.0, 3.0, 4.0])
    with torch.no_grad():
        voice.later[:] = torch.tensor([-1.2, 0.7])
    a, b = -1.2, 0.7
    told = voice(said((1, 0, 1, 0), (0, -1, 1, -1), price=0.01))
    c = 0.01 * amounts
    r, n = torch.tensor([3.0, 5.0, 7.0, 9.0]) / 10, torch.tensor(2.0)  # a right and a wrong call more, by that rule
    share = torch.sigmoid(torch.logit(r) + a + b * n.log())
    torch.testing.assert_close(told.gain_BN[0], share * (1 - told.trusted.share_BN.max()) - c)


def test_response_loss():
    logits, best = torch.randn(4, 3, 2), torch.rand(4, 3, 2) * 1.8 - 0.9
    s, p = (1 + best) / 2, (1 + squash(logits)) / 2

    def cross(of: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        return -(of * by.log() + (1 - of) * (1 - by).log()).sum(dim=(1, 2))

    found = losses.response(logits, best, torch.ones(4, 3), torch.ones(4))
    torch.testing.assert_close(found, (cross(s, p) - cross(s, s)).mean())


def test_similarity_loss():
    aligned, commitment = torch.randn(4, 3, 6), torch.randn(4, 6)
    cosine = (aligned * commitment[:, None]).sum(-1) / (aligned.norm(dim=-1) * commitment.norm(dim=-1)[:, None])
    found = losses.similarity(aligned, commitment, torch.ones(4))
    torch.testing.assert_close(found, (1 - cosine).square().sum(dim=1).mean())


def test_reward_weights():
    alpha = RewardWeights((0.1, 0.8, 0.1), ts_floor=0.2)
    expected = torch.tensor([0.0, 0.2, 0.0]) + 0.8 * torch.softmax(alpha.logits, dim=0)
    torch.testing.assert_close(alpha(), expected)
    torch.testing.assert_close(alpha(), torch.tensor([0.1, 0.8, 0.1]))
