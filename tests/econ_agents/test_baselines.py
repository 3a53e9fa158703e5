import numpy as np
import pytest
import torch
from scipy import stats

from econ_agents.baselines import FixedControls, RandomControls
from econ_agents.errors import TeamError
from econ_agents.evaluate import evaluate
from econ_agents.team_spec import TeamSpec
from econ_agents.testing import QuadraticEnv
from econ_agents.trial import Trial

SPEC = TeamSpec(n_agents=3, obs_dim=5, action_low=(0.1, 1.0), action_high=(2.0, 1.5))
OBS = torch.zeros(4, 3, 5)


def test_fixed_controls_are_played_in_the_environments_units():
    policy = FixedControls(SPEC, (2.0, 1.25))
    expected = np.broadcast_to([1.0, 0.0], (4, 3, 2))
    np.testing.assert_allclose(policy.propose(OBS).numpy(), expected, atol=1e-6)
    each = FixedControls(SPEC, [(0.1, 1.0), (1.05, 1.25), (2.0, 1.5)])
    np.testing.assert_allclose(each.propose(OBS)[2].numpy(), [[-1, -1], [0, 0], [1, 1]], atol=1e-6)


@pytest.mark.parametrize("controls", [(0.7,), (0.7, 1.0, 1.0), [(0.7, 1.0)] * 2, (0.0, 1.0), (0.7, 1.6)])
def test_controls_that_do_not_fit_the_team_are_refused(controls):
    with pytest.raises(TeamError, match="fixed controls must"):
        FixedControls(SPEC, controls)


def test_random_controls_follow_the_seeds_alone_and_differ_between_agents_and_proposals():
    policy = RandomControls(SPEC, seed=1)
    episode = policy.seeded(7)
    first, second = episode.propose(OBS), episode.propose(OBS)
    again = policy.seeded(7)
    assert torch.equal(again.propose(OBS), first)
    assert torch.equal(again.propose(OBS), second)
    assert len(torch.cat([first, second]).unique()) == first.numel() + second.numel()
    assert not torch.equal(policy.seeded(8).propose(OBS), first)
    assert not torch.equal(RandomControls(SPEC, seed=2).seeded(7).propose(OBS), first)


def test_random_controls_are_uniform_over_the_bounds():
    drawn = RandomControls(SPEC).seeded(0).propose(torch.zeros(2000, 3, 5)).numpy().ravel()
    assert stats.kstest(drawn, stats.uniform(-1, 2).cdf).pvalue > 0.01
    assert abs(drawn).max() <= 1.0


def test_both_play_test_episodes_and_random_ones_differ_from_problem_to_problem():
    env = QuadraticEnv()
    spec = TeamSpec.of(env)
    middle = [(low + high) / 2 for low, high in zip(spec.action_low, spec.action_high, strict=True)]
    fixed = evaluate(Trial(FixedControls(spec, middle), rounds=1), QuadraticEnv, [0, 1])
    random = evaluate(Trial(RandomControls(spec), rounds=1), QuadraticEnv, [0, 1])
    played = [result.decisions[0].profiles[0] for result in (*fixed, *random)]
    assert played[0] == played[1]
    np.testing.assert_allclose(played[0], [middle] * spec.n_agents, atol=1e-6)
    assert played[2] != played[3]
    assert evaluate(Trial(RandomControls(spec), rounds=1), QuadraticEnv, [1, 0]) == random[::-1]
