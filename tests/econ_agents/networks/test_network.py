"""The whole network: order, number of agents, what sees what, and that every part of it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from teams import SIZES, make_network, make_spec, observations, replayed, small
from torch import nn

from econ_agents.algorithm import EconAlgorithm
from econ_agents.policy import EconPolicy


@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("mixer", [True, False])
def test_order_of_agents_changes_the_order_of_local_outputs_only(n_agents: int, mixer: bool) -> None:
    spec = make_spec(n_agents)
    net = make_network(spec, network={"agent_id": False, "mixer": mixer, "cluster_size": 0})
    obs_BND = observations(spec, 3)
    order = torch.randperm(n_agents, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        plain, permuted = net(obs_BND), net(obs_BND[:, order])
        values = net.values(net.belief(obs_BND), plain.act_BNA, pessimistic=False)
        turned = net.values(net.belief(obs_BND[:, order]), permuted.act_BNA, pessimistic=False)
    torch.testing.assert_close(permuted.act_BNA, plain.act_BNA[:, order])
    torch.testing.assert_close(permuted.local_BN, plain.local_BN[:, order])
    torch.testing.assert_close(permuted.total_B, plain.total_B)
    torch.testing.assert_close(turned.group.group_BE, values.group.group_BE)
    torch.testing.assert_close(turned.features_BNW, values.features_BNW[:, order])


@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("shared", [True, False])
def test_any_number_of_agents_and_a_batch_of_one(n_agents: int, shared: bool) -> None:
    spec = make_spec(n_agents)
    net = make_network(spec, network={"shared": shared})
    obs_BND = observations(spec, 4)
    net.belief.observe(obs_BND)
    net.eval()
    with torch.no_grad():
        whole, alone = net(obs_BND), net(obs_BND[1:2])
    assert whole.act_BNA.shape == (4, n_agents, 2)
    assert whole.local_BN.shape == (4, n_agents)
    assert whole.total_B.shape == (4,)
    for many, one in zip(whole, alone, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, many[1:2])


def test_a_batch_of_one_agent_can_be_learned_from() -> None:
    spec = make_spec(1)
    algorithm = make_algorithm(spec)
    stats = algorithm._update_with_batch(replayed(spec, rows=1))
    assert all(torch.isfinite(p).all() for p in algorithm.parameters())
    assert stats.td_total is not None


def test_team_and_local_values_see_controls_only_if_they_are_shown() -> None:
    spec = make_spec()
    for shown in (True, False):
        net = make_network(spec, network={"critic_sees_controls": shown})
        belief_BNH = net.belief(observations(spec, 3))
        act_BNA = (torch.rand(3, 3, 2) * 2 - 1).requires_grad_(True)
        local_CBN = net.values(belief_BNH, act_BNA, pessimistic=False).local_CBN
        if not shown:
            assert (
                not local_CBN.requires_grad or not torch.autograd.grad(local_CBN.sum(), act_BNA, allow_unused=True)[0]
            )
            continue
        (slope_BNA,) = torch.autograd.grad(local_CBN.sum(), act_BNA)
        assert bool((slope_BNA.abs().sum(-1) > 0).all())


@pytest.mark.parametrize("mixer", [True, False])
def test_the_teams_value_rises_with_local_values(mixer: bool) -> None:
    # Through the whole network, by lifting what each local critic says.
    spec = make_spec()
    net = make_network(spec, network={"mixer": mixer, "critics": 1})
    belief_BNH, act_BNA = net.belief(observations(spec, 8)), torch.rand(8, 3, 2) * 2 - 1
    before = net.values(belief_BNH, act_BNA, pessimistic=False).total_B
    last: Any = net.critic.members[0].members[0][-1]
    with torch.no_grad():
        last.bias.add_(0.5)
    assert bool((net.values(belief_BNH, act_BNA, pessimistic=False).total_B > before).all())


def test_pessimistic_values_are_those_of_the_least_critic() -> None:
    spec = make_spec()
    net = make_network(spec, network={"mixer": False})
    belief_BNH, act_BNA = net.belief(observations(spec, 8)), torch.zeros(8, 3, 2)
    local_CBN = net.critic(belief_BNH, act_BNA)
    torch.testing.assert_close(
        net.values(belief_BNH, act_BNA, pessimistic=True).total_B, local_CBN.min(0).values.mean(1)
    )
    torch.testing.assert_close(net.values(belief_BNH, act_BNA, pessimistic=False).total_B, local_CBN.mean((0, 2)))


# Does every parameter learn? --------------------------------------------------------------------------------------

ABLATIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"network": {"shared": False}}, ()),
    ({"network": {"memory": False}}, ()),
    ({"network": {"encoder": False}}, ()),
    ({"network": {"critic_sees_controls": False}}, ()),
    ({"network": {"blocks": 3, "critics": 3}}, ()),
    ({"losses": {"team_gradient": True, "td_local": 0.0}}, ()),
    # Q_tot is then the mean of the Q_i, which needs no weights; features still learn from the commitment.
    ({"network": {"mixer": False}}, ("mixer.local_", "mixer.total_")),
    # Nothing else reads what these make.
    ({"losses": {"similarity": 0.0}}, ("mixer.alignment.",)),
    ({"losses": {"encoder": 0.0}}, ("encoder.readout.",)),
]


def make_algorithm(spec: Any, **changes: Any) -> EconAlgorithm:
    torch.manual_seed(0)
    return EconAlgorithm(EconPolicy(spec, small(**{"alpha": {"learn": True}, **changes})))


def untouched(algorithm: EconAlgorithm, spec: Any, updates: int = 3, **rows: Any) -> set[str]:
    """Parameters that no gradient has reached in some updates."""
    net: nn.Module = algorithm.policy
    never = {name for name, _ in net.named_parameters()}
    for seed in range(updates):
        algorithm._update_with_batch(replayed(spec, rows=16, seed=seed, **rows))
        never -= {name for name, p in net.named_parameters() if p.grad is not None and bool(p.grad.any())}
    return never


@pytest.mark.parametrize(("changes", "exceptions"), ABLATIONS)
def test_gradients_reach_every_parameter(changes: dict[str, Any], exceptions: tuple[str, ...]) -> None:
    spec = make_spec()
    never = untouched(make_algorithm(spec, **changes), spec)
    assert {name for name in never if not any(part in name for part in exceptions)} == set()
    for part in exceptions:
        assert any(part in name for name in never)


def test_the_gru_learns_only_once_somebody_remembers_something() -> None:
    spec = make_spec()
    never = untouched(make_algorithm(spec), spec, filled=False)
    assert never
    assert all(".cell." in name for name in never)


def test_without_commitments_there_is_nothing_to_align_with() -> None:
    spec = make_spec(commitment=False)
    algorithm = make_algorithm(spec)
    assert untouched(algorithm, spec) == set()
    assert algorithm.policy.network.mixer.alignment is None
