"""AdamW as in torch, without loading torch's compiler.

Torch wraps the methods of its optimizers for `torch.compile`. The wrappers import `torch._dynamo` when the first
parameters are added: more than a second, with sympy and torch.distributed, for a compiler that is not used here. This
class calls the same methods without the wrappers, so its steps are equal to the bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any, cast

import torch


class _Plain(torch.optim.Optimizer):
    """Goes before an optimizer in the list of base classes."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch."""
        _unwrapped(super().add_param_group)(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As in torch."""
        _unwrapped(super().zero_grad)(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """As in torch."""
        with torch.set_grad_enabled(self.defaults["differentiable"]):  # what the wrapper does besides
            return _unwrapped(super().step)(closure)

    def state_dict(self) -> dict[str, Any]:
        """As in torch."""
        state: dict[str, Any] = _unwrapped(super().state_dict)()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch."""
        _unwrapped(super().load_state_dict)(state_dict)


class AdamW(_Plain, torch.optim.AdamW):
    """`torch.optim.AdamW`; not to be used inside `torch.compile`."""


def _unwrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    """A bound method without the wrappers around its function."""
    bound = cast(MethodType, method)
    return MethodType(inspect.unwrap(bound.__func__), bound.__self__)
