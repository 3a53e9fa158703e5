"""The average over training: its formula, what it shares, and what it remembers."""

from __future__ import annotations

import pytest
import torch
from teams import make_network, make_spec, observations
from torch import Tensor

from econ_agents.networks.averaging import AveragedNetwork
from econ_agents.networks.network import TeamNetwork


def trained(net: TeamNetwork, step: int) -> Tensor:
    """Moves the network; its parameters in a row."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return flat(net)


def flat(net: TeamNetwork) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize("eta", [0.0, 1.0, 3.0, 8.0])
def test_it_moves_by_a_falling_share(eta: float) -> None:
    net = make_network()
    average = AveragedNetwork(net, eta)
    expected = flat(net)
    for t in range(1, 8):
        now = trained(net, t)
        average.update()
        # The first update takes the network as it is.
        share = 1.0 if t == 1 else (eta + 1) / (t + eta)
        expected = expected + share * (now - expected)
        torch.testing.assert_close(flat(average.network), expected)


def test_with_eta_zero_it_is_the_mean() -> None:
    net = make_network()
    average = AveragedNetwork(net, 0.0)
    seen = []
    for t in range(5):
        seen.append(trained(net, t))
        average.update()
    torch.testing.assert_close(flat(average.network), torch.stack(seen).mean(0), atol=1e-5, rtol=1e-5)


def test_input_statistics_are_shared_and_training_is_left_alone() -> None:
    spec = make_spec()
    net = make_network(spec, network={"input_noise": 1.0})
    average = AveragedNetwork(net, 3.0)
    net.belief.observe(observations(spec, 10))
    assert average.network.belief.norm is net.belief.norm
    before = flat(net)
    average.update()
    assert torch.equal(flat(net), before)
    obs_BND = observations(spec, 3)
    assert net.training
    assert torch.equal(average.network(obs_BND).total_B, average.network(obs_BND).total_B)


def test_what_it_remembers_survives_a_restart() -> None:
    nets = [make_network(), make_network()]
    averages = [AveragedNetwork(net, 3.0) for net in nets]
    for t in range(3):
        trained(nets[0], t)
        averages[0].update()
    nets[1].load_state_dict(nets[0].state_dict())
    averages[1].restore(averages[0].tensors())
    for net, average in zip(nets, averages, strict=True):
        trained(net, 9)
        average.update()
    assert torch.equal(flat(averages[0].network), flat(averages[1].network))
