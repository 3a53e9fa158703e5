"""Large teams: clusters of agents, what attends to what, and that deviations are valued right and at a linear cost."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import make_network, make_spec, observations, replayed, small
from torch.utils.flop_counter import FlopCounterMode

from econ_agents.algorithm import EconAlgorithm
from econ_agents.config import EquilibriumConfig, parse_config
from econ_agents.errors import ConfigError
from econ_agents.networks.clusters import attend_local_to_global, attend_within, cluster_sizes
from econ_agents.networks.encoder import BeliefEncoder
from econ_agents.networks.mixer import Mixer
from econ_agents.networks.network import TeamNetwork
from econ_agents.policy import EconPolicy, TeamGame
from econ_agents.responses import best_response

SWAPPED = [2, 1, 0, 3, 4, 5, 6, 7, 8]
"""Two members of the first of three clusters change places."""
CLUSTERS_SWAPPED = [3, 4, 5, 0, 1, 2, 6, 7, 8]
ACROSS = [3, 1, 2, 0, 4, 5, 6, 7, 8]
"""Two agents change their clusters."""


def mixer(cluster_size: int = 4, *, learned: bool = True) -> Mixer:
    torch.manual_seed(0)
    return Mixer(2, 6, dim=8, heads=2, commitment_dim=0, learned=learned, cluster_size=cluster_size)


def encoder(cluster_size: int = 4) -> BeliefEncoder:
    torch.manual_seed(0)
    shape = {"dim": 8, "heads": 2, "blocks": 2, "ffn_dim": 16, "dropout": 0.0, "attention": True}
    return BeliefEncoder(5, 2, **shape, cluster_size=cluster_size).eval()


def mixed_in(rows: int = 3, n_agents: int = 9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    q_BN = torch.randn(rows, n_agents, generator=generator)
    act_BNA = torch.rand(rows, n_agents, 2, generator=generator) * 2 - 1
    return q_BN, act_BNA, torch.randn(rows, 6, generator=generator)


# Clusters


@given(st.integers(1, 512), st.integers(2, 64))
def test_clusters_are_as_few_and_as_even_as_can_be(n_agents: int, cluster_size: int) -> None:
    sizes = cluster_sizes(n_agents, cluster_size)
    assert sum(sizes) == n_agents
    assert max(sizes) <= cluster_size
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
    assert (len(sizes) - 1) * cluster_size < n_agents
    assert cluster_sizes(n_agents, 0) == [n_agents]


def test_attention_within_clusters_sees_no_other_cluster() -> None:
    def share(tokens: torch.Tensor) -> torch.Tensor:
        return tokens.mean(1, keepdim=True).expand_as(tokens)

    tokens_BNx = torch.arange(10.0)[None, :, None]  # clusters 0-3, 4-6, 7-9
    assert attend_within(share, tokens_BNx, 4).flatten().tolist() == [1.5] * 4 + [5.0] * 3 + [8.0] * 3
    assert attend_within(share, tokens_BNx, 0).flatten().tolist() == [4.5] * 10
    # The mean of the clusters' means 1.5, 5, 8 reaches every member.
    merged = attend_local_to_global(share, tokens_BNx, 4).flatten()
    torch.testing.assert_close(merged, torch.full((10,), 14.5 / 3.0))


@pytest.mark.parametrize("n_agents", [1, 3, 4])
def test_a_team_of_up_to_four_is_the_same_with_and_without_clusters(n_agents: int) -> None:
    spec = make_spec(n_agents)
    obs_BND = observations(spec, 4)
    flat, clustered = (make_network(spec, network={"cluster_size": size}).eval() for size in (0, 4))
    assert all(torch.equal(a, b) for a, b in zip(flat(obs_BND), clustered(obs_BND), strict=True))
    act_BNA = flat(obs_BND).act_BNA
    tried_BNMA = torch.rand(4, n_agents, 5, 2) * 2 - 1
    values = [TeamGame(net, net.belief(obs_BND)).utilities(act_BNA, tried_BNMA) for net in (flat, clustered)]
    assert torch.equal(*values)


def test_nine_differ_from_a_flat_team_and_have_the_same_parameters() -> None:
    spec = make_spec(9)
    flat, clustered = (make_network(spec, network={"cluster_size": size}).eval() for size in (0, 4))
    assert all(torch.equal(p, clustered.state_dict()[name]) for name, p in flat.state_dict().items())
    obs_BND = observations(spec, 4)
    assert not torch.allclose(flat(obs_BND).total_B, clustered(obs_BND).total_B)


@pytest.mark.parametrize("order", [SWAPPED, CLUSTERS_SWAPPED])
def test_members_of_a_cluster_and_equal_clusters_may_change_places(order: list[int]) -> None:
    q_BN, act_BNA, group_BE = mixed_in()
    plain, moved = mixer()(q_BN, act_BNA, group_BE), mixer()(q_BN[:, order], act_BNA[:, order], group_BE)
    torch.testing.assert_close(moved.total_B, plain.total_B)
    torch.testing.assert_close(moved.features_BNW, plain.features_BNW[:, order])
    belief_BNH = torch.randn(3, 9, 5)
    plain_group, moved_group = encoder()(belief_BNH), encoder()(belief_BNH[:, order])
    torch.testing.assert_close(moved_group.tokens_BNE, plain_group.tokens_BNE[:, order])
    torch.testing.assert_close(moved_group.group_BE, plain_group.group_BE)


def test_who_is_in_which_cluster_matters() -> None:
    q_BN, act_BNA, group_BE = mixed_in()
    assert not torch.allclose(
        mixer()(q_BN, act_BNA, group_BE).total_B, mixer()(q_BN[:, ACROSS], act_BNA[:, ACROSS], group_BE).total_B
    )


def test_every_agent_reaches_every_other_through_the_encoder_but_only_neighbours_through_the_mixers_attention() -> None:
    belief_BNH = torch.randn(2, 9, 5, requires_grad=True)
    (reach,) = torch.autograd.grad(encoder()(belief_BNH).tokens_BNE[:, 0].square().sum(), belief_BNH)
    assert bool((reach.abs().sum((0, 2)) > 0).all())
    q_BN, act_BNA, group_BE = mixed_in()
    act_BNA.requires_grad_(True)
    (reach,) = torch.autograd.grad(mixer()(q_BN, act_BNA, group_BE).features_BNW[:, 0].sum(), act_BNA)
    assert (reach.abs().sum((0, 2)) > 0).tolist() == [True] * 3 + [False] * 6


def test_what_an_agents_controls_are_worth_still_depends_on_other_clusters() -> None:
    q_BN, act_BNA, group_BE = mixed_in()
    act_BNA.requires_grad_(True)
    moved_BNA = act_BNA.detach().clone()
    moved_BNA[:, 8] = -moved_BNA[:, 8]
    moved_BNA.requires_grad_(True)
    slopes = [
        torch.autograd.grad(mixer()(q_BN, act, group_BE).total_B.sum(), act)[0][:, 0] for act in (act_BNA, moved_BNA)
    ]
    assert not torch.allclose(slopes[0], slopes[1])


@settings(max_examples=40, deadline=None)
@given(n_agents=st.integers(5, 20), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_the_teams_value_never_falls_when_a_local_value_rises(n_agents: int, scale: float) -> None:
    q_BN, act_BNA, group_BE = mixed_in(4, n_agents)
    q_BN = (scale * q_BN).requires_grad_(True)
    (slope_BN,) = torch.autograd.grad(mixer()(q_BN, act_BNA, group_BE).total_B.sum(), q_BN)
    assert bool((slope_BN >= 0).all())
    assert scale > 1 or bool((slope_BN > 0).all())


# Deviations


@pytest.mark.parametrize("n_agents", [5, 9, 10])
@pytest.mark.parametrize("learned", [True, False])
def test_a_deviation_is_worth_what_the_changed_profile_is_worth(n_agents: int, learned: bool) -> None:
    spec = make_spec(n_agents)
    network = make_network(spec, network={"mixer": learned}).double().eval()
    belief_BNH = network.belief(observations(spec, 3).double())
    act_BNA = torch.rand(3, n_agents, 2, dtype=torch.float64) * 2 - 1
    tried_BNMA = torch.rand(3, n_agents, 4, 2, dtype=torch.float64) * 2 - 1
    utility_BNM = TeamGame(network, belief_BNH).utilities(act_BNA, tried_BNMA)
    for agent in range(n_agents):
        for number in range(4):
            changed_BNA = act_BNA.clone()
            changed_BNA[:, agent] = tried_BNMA[:, agent, number]
            expected_B = network.values(belief_BNH, changed_BNA, pessimistic=True).total_B
            torch.testing.assert_close(utility_BNM[:, agent, number], expected_B)


def test_deviations_pass_on_the_slope_of_both_arguments() -> None:
    spec = make_spec(5)
    network = make_network(spec).double().eval()
    belief_BNH = network.belief(observations(spec, 1).double()).detach()
    game = TeamGame(network, belief_BNH)
    act_BNA = (torch.rand(1, 5, 2, dtype=torch.float64) - 0.5).requires_grad_(True)
    tried_BNMA = (torch.rand(1, 5, 2, 2, dtype=torch.float64) - 0.5).requires_grad_(True)
    assert torch.autograd.gradcheck(game.utilities, (act_BNA, tried_BNMA))


def test_a_best_response_gains_what_it_says() -> None:
    spec = make_spec(9)
    network = make_network(spec).double().eval()
    belief_BNH = network.belief(observations(spec, 2).double()).detach()
    act_BNA = torch.zeros(2, 9, 2, dtype=torch.float64)
    best = best_response(TeamGame(network, belief_BNH), act_BNA, EquilibriumConfig())
    before_B = network.values(belief_BNH, act_BNA, pessimistic=True).total_B
    for agent in range(9):
        changed_BNA = act_BNA.clone()
        changed_BNA[:, agent] = best.action_BNA[:, agent]
        after_B = network.values(belief_BNH, changed_BNA, pessimistic=True).total_B
        torch.testing.assert_close(after_B - before_B, best.gain_BN[:, agent], atol=1e-9, rtol=1e-6)


def flops(n_agents: int, cluster_size: int) -> float:
    """Operations that valuing 8 deviations of every agent takes, at the default widths."""
    spec = make_spec(n_agents)
    torch.manual_seed(0)
    network = TeamNetwork(spec, parse_config({"network": {"cluster_size": cluster_size}})).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        game = TeamGame(network, network.belief(observations(spec, 1)))
        game.utilities(torch.zeros(1, n_agents, 2), torch.zeros(1, n_agents, 8, 2))
    return counter.get_total_flops()


def test_the_cost_of_deviations_is_linear_in_agents_with_clusters_and_not_without() -> None:
    assert flops(48, 4) / flops(12, 4) == pytest.approx(4.0, rel=0.05)
    assert flops(48, 0) / flops(12, 0) > 10.0
    assert flops(48, 4) < flops(48, 0) / 5.0


# The learner


@pytest.mark.parametrize("n_agents", [5, 9, 48])
def test_a_gradient_step_reaches_every_parameter(n_agents: int) -> None:
    spec = make_spec(n_agents)
    torch.manual_seed(0)
    policy = EconPolicy(spec, small(losses={"candidate_rows": 2, "candidates": 4}))
    algorithm = EconAlgorithm(policy)
    policy.train()
    before = {name: parameter.clone() for name, parameter in policy.network.named_parameters()}
    stats = algorithm._update_with_batch(replayed(spec, 4))
    assert stats.equilibrium is not None
    assert stats.equilibrium >= 0.0
    assert [name for name, p in policy.network.named_parameters() if torch.equal(p, before[name])] == []


def test_a_policy_of_three_acts_for_nine(tmp_path) -> None:
    torch.manual_seed(0)
    EconPolicy(make_spec(3), small()).save_pretrained(tmp_path)
    policy = EconPolicy.from_pretrained(tmp_path, n_agents=9)
    act_BNA = policy.propose(observations(make_spec(9), 2))
    assert act_BNA.shape == (2, 9, 2)
    assert bool((act_BNA.abs() < 1).all())


@pytest.mark.parametrize("value", [1, -2])
def test_other_sizes_are_refused(value: int) -> None:
    with pytest.raises(ConfigError, match=r"network\.cluster_size"):
        parse_config({"network": {"cluster_size": value}})
