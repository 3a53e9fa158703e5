"""Beliefs, controls and local values: bounds, memory, agent numbers, input statistics, switches."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import COMMITMENT, FEATURES, MEMORY, QUESTION, SIZES, make_network, make_spec, observations
from torch import Tensor

from econ_agents.errors import ConfigError, TeamError
from econ_agents.joint_env import JointEnv
from econ_agents.networks.belief import ControlHeads, ObservationNorm, id_code, squash
from econ_agents.networks.network import TeamNetwork
from econ_agents.testing import CoordinationEnv


def memory_of(obs_BND: Tensor, spec: Any) -> Tensor:
    """The memory rows [B, N, M, F] of observations, as a view."""
    start, stop = spec.part("agent_memory")
    return obs_BND[..., start:stop].unflatten(-1, spec.memory_shape)


@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("shared", [True, False])
def test_shapes_and_dtype(n_agents: int, shared: bool) -> None:
    spec = make_spec(n_agents)
    net = make_network(spec, network={"shared": shared})
    for rows in (1, 5):
        obs_BND = observations(spec, rows)
        belief_BNH = net.belief(obs_BND)
        assert belief_BNH.shape == (rows, n_agents, 8)
        assert belief_BNH.dtype == torch.float32
        local_CBN = net.critic(belief_BNH, net.controls(obs_BND))
        assert local_CBN.shape == (2, rows, n_agents)


@pytest.mark.parametrize("n_agents", SIZES)
def test_without_numbers_agents_that_share_parameters_are_interchangeable(n_agents: int) -> None:
    spec = make_spec(n_agents)
    net = make_network(spec, network={"agent_id": False})
    obs_BND = observations(spec, 4)
    order = torch.randperm(n_agents, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net.belief(obs_BND[:, order]), net.belief(obs_BND)[:, order])


@pytest.mark.parametrize("network", [{"agent_id": True}, {"shared": False}])
def test_with_numbers_or_own_parameters_agents_that_see_the_same_differ(network: dict[str, Any]) -> None:
    spec = make_spec(3)
    obs_BND = observations(spec, 1)[:, :1].expand(1, 3, spec.obs_dim)
    belief_NH = make_network(spec, network=network).belief(obs_BND)[0]
    assert not torch.allclose(belief_NH[0], belief_NH[1])
    belief_NH = make_network(spec, network={"agent_id": False}).belief(obs_BND)[0]
    torch.testing.assert_close(belief_NH[0], belief_NH[1])


def test_an_agents_number_means_the_same_in_every_team() -> None:
    assert torch.equal(id_code(48)[:3], id_code(3))
    distance = torch.cdist(id_code(48), id_code(48)) + torch.eye(48)
    assert distance.min() > 0.05


# Memory -----------------------------------------------------------------------------------------------------------


def test_filled_memory_changes_beliefs() -> None:
    spec = make_spec()
    net = make_network(spec)
    empty_BND, filled_BND = observations(spec, 3, filled=False), observations(spec, 3)
    filled_BND[..., spec.static_index] = empty_BND[..., spec.static_index]
    assert not torch.allclose(net.belief(filled_BND), net.belief(empty_BND))


@pytest.mark.parametrize("unfilled", [0, 1, "both"])
def test_rows_that_are_not_filled_change_nothing(unfilled: int | str) -> None:
    spec = make_spec()
    net = make_network(spec)
    obs_BND, other_BND = observations(spec, 3), observations(spec, 3)
    rows = slice(None) if unfilled == "both" else slice(int(unfilled), int(unfilled) + 1)
    for obs in (obs_BND, other_BND):
        memory_of(obs, spec)[:, :, rows, 0] = 0.0
    memory_of(other_BND, spec)[:, :, rows, 1:] += 7.0
    assert not torch.equal(obs_BND, other_BND)
    assert torch.equal(net.belief(obs_BND), net.belief(other_BND))


def test_one_agents_memory_is_read_as_if_it_were_alone() -> None:
    # Reading is left out where nobody in the batch remembers; that must not depend on who else is in it.
    spec = make_spec(2)
    net = make_network(spec)
    obs_BND = observations(spec, 2)
    memory_of(obs_BND, spec)[1] = 0.0
    torch.testing.assert_close(net.belief(obs_BND)[1:], net.belief(obs_BND[1:]))


def test_the_order_of_memory_matters_and_it_is_read_by_the_gru() -> None:
    spec = make_spec(1)
    net = make_network(spec)
    obs_BND = observations(spec, 2)
    turned_BND = obs_BND.clone()
    memory_of(turned_BND, spec)[:] = memory_of(obs_BND, spec).flip(2)
    assert not torch.allclose(net.belief(obs_BND), net.belief(turned_BND))
    body = net.belief.body.members[0]
    static_BNS = obs_BND[..., spec.static_index] * net.belief.weight_S
    static = torch.cat([static_BNS, id_code(1).expand(2, 1, -1)], -1)
    hidden = body.inward(static)[:, 0]
    for m in range(MEMORY):
        hidden = body.cell(memory_of(obs_BND, spec)[:, 0, m], hidden)
    torch.testing.assert_close(net.belief(obs_BND)[:, 0], body.outward(hidden))


@pytest.mark.parametrize("shared", [True, False])
def test_memory_can_be_switched_off(shared: bool) -> None:
    spec = make_spec()
    net = make_network(spec, network={"memory": False, "shared": shared})
    obs_BND, other_BND = observations(spec, 3), observations(spec, 3)
    memory_of(other_BND, spec)[:] = 0.0
    assert torch.equal(net.belief(obs_BND), net.belief(other_BND))
    assert not any("cell" in name for name, _ in net.named_parameters())


def test_memory_is_no_static_input() -> None:
    spec = make_spec()
    start, stop = spec.part("agent_memory") or (0, 0)
    assert stop - start == MEMORY * FEATURES
    assert set(spec.static_index.tolist()) == set(range(spec.obs_dim)) - set(range(start, stop))


# Input statistics -------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_running_statistics_are_those_of_all_rows(seed: int, cuts: list[int]) -> None:
    rows_RS = torch.as_tensor(np.random.default_rng(seed).normal(3.0, 2.0, (sum(cuts), 4)), dtype=torch.float32)
    norm = ObservationNorm(torch.arange(4))
    for part_RS in rows_RS.split(cuts):
        norm.update(part_RS)
    torch.testing.assert_close(norm.mean_S, rows_RS.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm.var_S, rows_RS.var(0, unbiased=False), atol=1e-3, rtol=1e-3)


def test_inputs_are_shifted_and_scaled_with_one_scale_per_group() -> None:
    norm = ObservationNorm(torch.tensor([0, 0, 1, 2]))
    rows_RS = torch.tensor([[1.0, 0.0, 5.0, 7.0], [3.0, 8.0, 9.0, 7.0]])
    norm.update(rows_RS)
    # Variances 1 and 16 share the scale sqrt(17 / 2); the third has variance 4; the last never varied.
    shared = (17 / 2) ** -0.5
    expected = torch.tensor([[-shared, -4 * shared, -1.0, 0.0], [shared, 4 * shared, 1.0, 0.0]])
    torch.testing.assert_close(norm(rows_RS), expected)
    assert norm(torch.full((1, 4), 1e6)).tolist() == [[5.0, 5.0, 5.0, 0.0]]


def test_without_statistics_inputs_stay_as_they_are() -> None:
    rows_RS = torch.randn(3, 4)
    assert torch.equal(ObservationNorm(torch.arange(4))(rows_RS), rows_RS)


def test_old_statistics_fade() -> None:
    norm = ObservationNorm(torch.arange(1), horizon=100.0)
    norm.update(torch.zeros(10_000, 1))
    for _ in range(50):
        norm.update(torch.ones(100, 1))
    assert norm.mean_S.item() == pytest.approx(1.0, abs=1e-6)


def test_noise_on_inputs_is_for_training_only() -> None:
    spec = make_spec()
    net = make_network(spec, network={"input_noise": 0.5})
    obs_BND = observations(spec, 2)
    assert not torch.equal(net.belief(obs_BND), net.belief(obs_BND))
    net.eval()
    assert torch.equal(net.belief(obs_BND), net.belief(obs_BND))


@pytest.mark.parametrize("part", ["belief", "encoder"])
def test_dropout_is_for_training_only(part: str) -> None:
    spec = make_spec()
    net = make_network(spec, network={"dropout": 0.5})
    belief_BNH = torch.randn(2, 3, 8)
    call = {"belief": lambda: net.belief(observations(spec, 2)), "encoder": lambda: net.encoder(belief_BNH).group_BE}
    assert not torch.equal(call[part](), call[part]())
    net.eval()
    assert torch.equal(call[part](), call[part]())


def test_what_models_wrote_can_be_scaled_against_the_question() -> None:
    spec = make_spec(memory=False)
    obs_BND = observations(spec, 2)
    scaled_BND = obs_BND.clone()
    scaled_BND[..., slice(*(spec.part("commitment") or (0, 0)))] *= 0.25
    plain, scaling = make_network(spec, network={"reply_scale": 1.0}), make_network(spec, network={"reply_scale": 0.25})
    torch.testing.assert_close(scaling.belief(obs_BND), plain.belief(scaled_BND))


# What a team shares -----------------------------------------------------------------------------------------------


def unshared(net: TeamNetwork) -> TeamNetwork:
    """A copy that computes everything for each agent."""
    alone = copy.deepcopy(net)
    alone.belief.shared_dim = 0
    return alone


@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("parts", [{}, {"memory": False}, {"commitment": False}])
def test_what_all_see_computed_once_gives_the_same_beliefs_and_gradients(n_agents: int, parts: dict[str, bool]) -> None:
    spec = make_spec(n_agents, **parts)
    net = make_network(spec, network={"reply_scale": 0.5})
    assert net.belief.shared_dim == (0 if n_agents == 1 else QUESTION + COMMITMENT * parts.get("commitment", True))
    alone = unshared(net)
    for one in (net, alone):
        for seed in range(2):
            one.belief.observe(3.0 + 2.0 * observations(spec, 6, seed))
        one.belief(observations(spec, 5, 9)).square().sum().backward()
    for name, tensor in net.belief.state_dict().items():
        torch.testing.assert_close(tensor, alone.belief.state_dict()[name], msg=name)
    torch.testing.assert_close(net.belief(observations(spec, 5, 9)), alone.belief(observations(spec, 5, 9)))
    for mine, theirs in zip(net.belief.parameters(), alone.belief.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("agent", [0, 2])
def test_an_agent_that_sees_another_question_is_not_overlooked(agent: int) -> None:
    net = make_network()
    obs_BND = observations(make_spec(), 4)
    obs_BND[3, agent, 0] += 1.0
    torch.testing.assert_close(net.belief(obs_BND), unshared(net).belief(obs_BND))
    seen = ObservationNorm(torch.as_tensor(make_spec().static_groups))
    start, stop = make_spec().part("agent_memory") or (0, 0)
    seen.update(torch.cat([obs_BND[..., :start], obs_BND[..., stop:]], dim=-1).flatten(0, 1))
    net.belief.observe(obs_BND)
    torch.testing.assert_close(net.belief.norm.mean_S, seen.mean_S)


@pytest.mark.parametrize("n_agents", [3, 8])
def test_agents_that_see_the_same_get_noise_of_their_own(n_agents: int) -> None:
    spec = make_spec(n_agents, memory=False, commitment=False)
    net = make_network(spec, network={"agent_id": False, "input_noise": 0.5})
    seen_BND = observations(spec, 4000)[:, :1].expand(-1, n_agents, -1)
    body = net.belief.body.members[0]
    started_BNH = body._started(*_given(net, seen_BND)).detach()
    net.belief.input_noise = 0.0
    noise_BNH = started_BNH - body._started(*_given(net, seen_BND)).detach()
    weight = body.inward[0].weight
    expected_HH = 0.25 * weight @ weight.T
    for n in range(1, n_agents):
        own_BH, other_BH = noise_BNH[:, 0], noise_BNH[:, n]
        torch.testing.assert_close(own_BH.T @ own_BH / 4000, expected_HH.detach(), atol=0.03, rtol=0.1)
        assert (own_BH.T @ other_BH / 4000).abs().max() < 0.03


def _given(net: TeamNetwork, obs_BND: Tensor) -> tuple[Tensor, ...]:
    """What the belief network gives to its body, without the memory."""
    given: list[tuple[Tensor, ...]] = []
    hook = net.belief.body.register_forward_pre_hook(lambda _, inputs: given.append(inputs[1:]))
    net.belief(obs_BND)
    hook.remove()
    return given[0]


@pytest.mark.parametrize(
    ("layout", "shared"),
    [
        ((("question", 0, 4), ("commitment", 4, 7), ("reply", 7, 9)), 7),
        ((("commitment", 4, 7), ("reply", 7, 9), ("question", 0, 4)), 7),
        ((("reply", 0, 2), ("question", 2, 9)), 0),
        ((("question", 0, 4), ("reply", 4, 6), ("commitment", 6, 9)), 4),
        ((), 0),
    ],
)
def test_only_parts_at_the_start_are_computed_once(layout: tuple[tuple[str, int, int], ...], shared: int) -> None:
    spec = replace(make_spec(memory=False, commitment=False), obs_dim=9, layout=layout)
    assert make_network(spec).belief.shared_dim == shared
    assert make_network(spec, network={"shared": False}).belief.shared_dim == 0


# Controls ---------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(logit=st.floats(-1e4, 1e4), low=st.floats(-5, 5), width=st.floats(0.1, 5))
def test_controls_are_the_papers_formula_and_keep_their_bounds(logit: float, low: float, width: float) -> None:
    unit = squash(torch.tensor(logit)).item()
    assert -1.0 <= unit <= 1.0
    env = JointEnv(CoordinationEnv(n_agents=1, low=low, high=low + width))
    action = env.to_env(np.float32([[unit, unit]]))
    assert env.action_space.contains(action)
    sigmoid = torch.sigmoid(torch.tensor(logit, dtype=torch.float64)).item()
    assert action == pytest.approx(np.full(2, low + width * sigmoid), abs=1e-5 * (1 + abs(low) + width))


def test_controls_start_in_the_middle_or_where_they_are_told_to() -> None:
    belief_BNH = torch.randn(64, 3, 8)
    middle = squash(ControlHeads(8, 2, 1)(belief_BNH))
    assert middle.abs().max() < 0.1
    told = squash(ControlHeads(8, 2, 3, (0.25, 0.9))(belief_BNH))
    torch.testing.assert_close(told, torch.tensor([-0.5, 0.8]).expand_as(told), atol=0.05, rtol=0)
    with pytest.raises(ConfigError, match="initial_controls must have 2 values, got 3"):
        ControlHeads(8, 2, 1, (0.1, 0.2, 0.3))


# Local critics ----------------------------------------------------------------------------------------------------


def test_local_values_see_their_own_controls_and_no_others() -> None:
    net = make_network()
    belief_BNH, act_BNA = torch.randn(4, 3, 8), torch.rand(4, 3, 2) * 2 - 1
    act_BNA.requires_grad_(True)
    local_CBN = net.critic(belief_BNH, act_BNA)
    (slope_BNA,) = torch.autograd.grad(local_CBN[:, :, 1].sum(), act_BNA)
    assert bool((slope_BNA[:, 1].abs() > 0).all())
    assert not slope_BNA[:, [0, 2]].any()


def test_local_values_can_be_blinded_to_controls() -> None:
    net = make_network(network={"critic_sees_controls": False})
    belief_BNH, act_BNA = torch.randn(4, 3, 8), torch.rand(4, 3, 2) * 2 - 1
    assert torch.equal(net.critic(belief_BNH, act_BNA), net.critic(belief_BNH, -act_BNA))


def test_critics_are_independent_estimates() -> None:
    net = make_network(network={"critics": 3})
    local_CBN = net.critic(torch.randn(2, 3, 8), torch.zeros(2, 3, 2))
    assert len(local_CBN) == 3
    assert not torch.allclose(local_CBN[0], local_CBN[1])


def test_own_parameters_do_not_serve_another_number_of_agents() -> None:
    net = make_network(make_spec(3), network={"shared": False})
    spec = make_spec(2)
    with pytest.raises(TeamError, match="parameters for 3 agents can't serve 2"):
        net.belief(observations(spec, 1))


def test_own_parameters_serve_their_own_agent() -> None:
    spec = make_spec(3)
    net = make_network(spec, network={"shared": False})
    obs_BND = observations(spec, 2)
    before = net.belief(obs_BND)
    with torch.no_grad():
        for parameter in net.belief.body.members[1].parameters():
            parameter.add_(0.5)
    moved_N = (net.belief(obs_BND) - before).abs().amax((0, 2)) > 0
    assert moved_N.tolist() == [False, True, False]


def test_a_team_may_remember_and_see_nothing_else_by_name() -> None:
    spec = replace(make_spec(memory=False, commitment=False), layout=())
    assert make_network(spec).belief(observations(spec, 1)).shape == (1, 3, 8)
