"""The equations of docs/learner.md, written out plainly, are what the networks and losses compute."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from econ_agents import losses
from econ_agents.networks import Mixer
from econ_agents.networks.alpha import RewardWeights
from econ_agents.networks.belief import squash
from econ_agents.networks.discussion import Said
from econ_agents.networks.voice import Voice

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
    voice = Voice(4, 8, constant=c, dropout=0.0)
    torch.testing.assert_close((voice.weights(e[None])[0] + 1) / 2, (e / (5 + c)).clamp(max=1))


def test_probability_of_an_answer():
    """Agents 0 and 2 gave one answer, agent 1 another; agent 3 is silent."""
    voice = Voice(2, 8, constant=2.0, dropout=0.0).eval()
    for layer in (voice.evidence, voice.own_evidence, voice.doubt):
        torch.nn.init.normal_(layer.weight, std=0.3)
    spoke = torch.tensor([[True, True, True, False]])
    same = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)[None]
    numbers = torch.randn(1, 4, 2).clamp(-2, 2) * spoke[..., None]
    found = voice(Said(numbers, spoke, spoke, same))
    x = torch.cat([numbers, numbers.square() - 1], dim=-1)[0]
    own = voice.own_evidence.weight.T[:4]
    e = F.softplus(voice.evidence(x).squeeze(-1) + (x * own[:, :-1]).sum(-1) + own[:, -1])[:3]
    doubt, kinds = voice.doubt.weight[0].split([4, 16])
    d = (x @ doubt + kinds[:4])[:3].sum() + voice.doubt.bias[0]
    sums = torch.stack([e[0] + e[2], e[1], e[0] + e[2]])
    p = sums.exp() / (d.exp() + (e[0] + e[2]).exp() + e[1].exp())
    torch.testing.assert_close(found.evidence_BN[0, :3], e)
    torch.testing.assert_close(torch.sigmoid(found.odds_BN)[0, :3], p)


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
