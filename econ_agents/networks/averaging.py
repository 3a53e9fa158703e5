"""Averages a network over its training, so that the result depends less on the last few gradient steps."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from econ_agents.networks.network import TeamNetwork, share_statistics


class AveragedNetwork:
    """The polynomial-decay average of a network's parameters over the updates so far.

    After update t the average moves by (eta + 1) / (t + eta) towards the network (Shamir and Zhang 2013,
    arXiv:1212.1824, section 4): it covers about the last 1 / (eta + 1) of the training, so it moves fast at first
    and slowly later. Input statistics are not averaged but shared with the network.

    Args:
        network: The network that is trained.
        eta: Larger values cover fewer past updates; 0 averages over all updates.
    """

    def __init__(self, network: TeamNetwork, eta: float) -> None:
        self._network = network
        self._model = AveragedModel(network, avg_fn=_PolynomialDecay(eta))
        share_statistics(self.network, network)
        self.network.eval()

    @property
    def network(self) -> TeamNetwork:
        """The averaged network."""
        return cast(TeamNetwork, self._model.module)

    def update(self) -> None:
        """Add the current network to the average."""
        self._model.update_parameters(self._network)

    def tensors(self) -> dict[str, Tensor]:
        """The state of the average, by name."""
        return dict(self._model.state_dict())

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Inverse of `tensors`."""
        self._model.load_state_dict(tensors)


class _PolynomialDecay:
    """The averaging step in the form that torch needs; a class, so that it can be pickled."""

    def __init__(self, eta: float) -> None:
        self._eta = eta

    @torch.no_grad()
    def __call__(self, average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        """The new average; `updates` counts the updates before this one."""
        share = (self._eta + 1.0) / (float(updates) + 1.0 + self._eta)
        return average + share * (current - average)
