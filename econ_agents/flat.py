"""AdamW on flat parameters: the tensors of a network share one memory, so that an update takes a few operations.

A team's networks have about eighty small tensors. An update of each alone takes as long as a tenth of a gradient step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tianshou.algorithm.algorithm_base import OffPolicyAlgorithm
from tianshou.algorithm.optim import OptimizerFactory
from torch import Tensor, nn

from econ_agents.optimizers import AdamW

LINE = 16
"""Numbers in 64 bytes. Matrix products may round differently if a matrix starts elsewhere than at a multiple of it."""


class FlatParameters(nn.Module):
    """Groups of parameters, each moved into one tensor, of which they become views.

    The modules that own them can be used, saved and loaded as before. Parameters whose size is no multiple of 64 bytes
    come last in the tensor, so that the others stay aligned. The parameters of this module are the flat tensors.

    Args:
        groups: Parameters of one device and data type, which must not be replaced or moved afterwards; no group is
            empty.
    """

    def __init__(self, groups: Iterable[Iterable[nn.Parameter]]) -> None:
        super().__init__()
        self._members = [sorted(group, key=lambda member: member.numel() % LINE != 0) for group in groups]
        self.flat = nn.ParameterList()
        for members in self._members:
            flat = torch.cat([member.detach().reshape(-1) for member in members])
            parts = torch.split(flat, [member.numel() for member in members])
            for member, part in zip(members, parts, strict=True):
                member.data = part.view_as(member)
            self.flat.append(nn.Parameter(flat))

    def forget_gradients(self) -> None:
        """Drop the gradients of the single parameters."""
        for members in self._members:
            for member in members:
                member.grad = None

    def gather_gradients(self) -> None:
        """Give each flat tensor the gradients of its group; none if the group has none, so that it does not move."""
        for flat, members in zip(self.flat, self._members, strict=True):
            if all(member.grad is None for member in members):
                flat.grad = None
                continue
            parts = [torch.zeros_like(member) if member.grad is None else member.grad for member in members]
            flat.grad = torch.cat([part.reshape(-1) for part in parts])

    @torch.no_grad()
    def follow(self, other: FlatParameters, share: float) -> None:
        """Move these parameters towards those of equal groups by a share of the distance, in [0, 1]."""
        for mine, theirs in zip(self.flat, other.flat, strict=True):
            mine.lerp_(theirs, share)


class FlatOptimizer(OffPolicyAlgorithm.Optimizer):
    """Tianshou's optimizer for flat parameters; it changes gradients only if they must be clipped.

    Args:
        optim: An optimizer of the flat parameters.
        module: They.
        max_grad_norm: Largest norm of the gradient of all together; None for any.
    """

    def __init__(
        self, optim: torch.optim.Optimizer, module: FlatParameters, max_grad_norm: float | None = None
    ) -> None:
        super().__init__(optim, module, max_grad_norm)
        self.parameters = module

    def step(self, loss: Tensor, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Take one gradient step on the loss."""
        self.parameters.forget_gradients()
        loss.backward(retain_graph=retain_graph, create_graph=create_graph)  # type: ignore[no-untyped-call] # untyped upstream
        self.parameters.gather_gradients()
        if self._max_grad_norm is not None:
            moved = [flat for flat in self.parameters.flat if flat.grad is not None]
            norm = nn.utils.get_total_norm([flat.grad for flat in moved if flat.grad is not None])
            if norm > self._max_grad_norm:
                nn.utils.clip_grads_with_norm_(moved, self._max_grad_norm, norm)
        self._optim.step()


class FlatAdamW(OptimizerFactory):
    """Makes AdamW with a step size for each flat parameter.

    Args:
        rates: The step sizes.
        weight_decay: Decoupled weight decay of all.
    """

    def __init__(self, rates: Sequence[float], weight_decay: float) -> None:
        super().__init__()
        self._rates = tuple(rates)
        self._weight_decay = weight_decay

    def create_instances(self, module: nn.Module) -> tuple[torch.optim.Optimizer, None]:
        """The optimizer of the module's parameters, one for each step size, and no schedule."""
        groups = [{"params": [flat], "lr": rate} for flat, rate in zip(module.parameters(), self._rates, strict=True)]
        return AdamW(groups, weight_decay=self._weight_decay, fused=True), None

    def _create_optimizer_for_params(self, params: object) -> torch.optim.Optimizer:
        raise TypeError("this optimizer has parameter groups; call create_instances")
