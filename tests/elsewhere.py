"""A device that is not the CPU, made up of tensors on the CPU that refuse to meet others.

It computes what the CPU computes, to the bit, and raises where an operation mixes tensors of both, as an accelerator
does. What it can't show is whether a real accelerator has all operations, and how fast they are.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils import backend_registration
from torch.utils._pytree import tree_flatten, tree_map_only

NAME = "elsewhere"
backend_registration._setup_privateuseone_for_python_backend(NAME)
ELSEWHERE = torch.device(NAME, 0)
COPIES = {"aten::_to_copy", "aten::copy_"}
MAY_MIX = COPIES | {"aten::index", "aten::index_put_"}
"""Accelerators take tensors of the CPU as places to index at."""


class Elsewhere(Tensor):
    """A tensor on that device; `inner` has its numbers."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        made: Elsewhere = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=ELSEWHERE,
        )  # fmt: skip
        made.inner = inner
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Elsewhere({self.inner})"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func._schema.name, dict(kwargs or {})
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        here = [tensor for tensor in tensors if not isinstance(tensor, Elsewhere) and tensor.ndim]
        if here and name not in MAY_MIX:
            raise RuntimeError(f"{name} mixes devices")
        device = kwargs.get("device")
        if device is not None:
            kwargs["device"] = "cpu"
        inside = tree_map_only(Elsewhere, lambda tensor: tensor.inner, (args, kwargs))
        made = func(*inside[0], **inside[1])
        if any(argument.alias_info is not None and argument.alias_info.is_write for argument in func._schema.arguments):
            # It returns what it wrote to, which has its wrapper already.
            wrappers = {id(tensor.inner): tensor for tensor in tensors if isinstance(tensor, Elsewhere)}
            return tree_map_only(Tensor, lambda tensor: wrappers.get(id(tensor), tensor), made)
        if device is not None and torch.device(device).type == "cpu":
            return made
        return tree_map_only(Tensor, Elsewhere, made)


def _made_here(name: str) -> Any:
    make = attrgetter(name)(torch.ops.aten)

    def factory(*sizes: Any, **options: Any) -> Tensor:
        return Elsewhere(make(*sizes, **{**options, "device": "cpu", "pin_memory": False}))

    return factory


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    assert isinstance(target, Elsewhere)  # `torch.tensor(..., device=...)` comes here
    target.inner.copy_(source)
    return target


def _gru_cell(x: Tensor, hidden: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """What the CPU computes; torch gives accelerators a fused operation instead, which the CPU does not have."""
    own = functional.linear(x, w_ih, b_ih).chunk(3, 1)
    past = functional.linear(hidden, w_hh, b_hh).chunk(3, 1)
    reset, update = (past[0] + own[0]).sigmoid(), (past[1] + own[1]).sigmoid()
    new = (own[2] + past[2] * reset).tanh()
    return (hidden - new) * update + new


LIBRARY = torch.library.Library("aten", "IMPL")
for factory in ("empty.memory_format", "empty_strided", "eye", "arange.start_step", "arange.start", "arange"):
    full = factory if "." in factory else f"{factory}.default"
    LIBRARY.impl(factory, _made_here(full), "PrivateUse1")
LIBRARY.impl("_copy_from", _copy_from, "PrivateUse1")
LIBRARY.impl("gru_cell", _gru_cell, "AutogradPrivateUse1")
