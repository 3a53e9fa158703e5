"""The optimizers take torch's steps to the bit, and load no compiler for it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from econ_agents.optimizers import AdamW


def learned(
    kind: type[torch.optim.Optimizer], resumed: type[torch.optim.Optimizer] | None = None
) -> list[torch.Tensor]:
    """Parameters and optimizer state after some steps; half of them by another optimizer that got the first's state."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    groups = [{"params": list(part.parameters()), "lr": rate} for part, rate in zip(net[::2], (0.1, 0.01), strict=True)]
    optimizer = kind(groups, weight_decay=0.1, fused=True)
    for step in range(8):
        if step == 4 and resumed is not None:
            state = optimizer.state_dict()
            optimizer = resumed(groups, weight_decay=0.1, fused=True)
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        net(torch.randn(5, 3)).square().sum().backward()
        optimizer.step()
    moments = [state[key] for state in optimizer.state.values() for key in ("step", "exp_avg", "exp_avg_sq")]
    return [*(parameter.detach() for parameter in net.parameters()), *moments]


def test_steps_are_those_of_torch_to_the_bit():
    for mine, other in zip(learned(AdamW, AdamW), learned(torch.optim.AdamW), strict=True):
        assert torch.equal(mine, other)


def test_states_go_from_one_to_the_other():
    both = learned(AdamW, torch.optim.AdamW), learned(torch.optim.AdamW, AdamW)
    for mine, other in zip(*both, strict=True):
        assert torch.equal(mine, other)


def test_gradients_are_gone_and_stay_wanted_after_a_step():
    weight = nn.Parameter(torch.ones(2))
    optimizer = AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    assert weight.grad is None
    assert (weight * 2).requires_grad


def test_a_closure_is_computed_with_gradients():
    weight = nn.Parameter(torch.ones(2))
    optimizer = AdamW([weight], lr=0.5)

    def closure() -> torch.Tensor:
        loss = weight.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert (weight < 1.0).all()


def test_hooks_of_torch_are_called_once():
    weight = nn.Parameter(torch.ones(2))
    seen: list[str] = []
    optimizer = AdamW([weight])
    torch.optim.AdamW([weight])  # torch wraps `step` of a class when the first instance is made
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    weight.grad = torch.ones(2)
    optimizer.step()
    assert seen == ["before", "after"]


@pytest.mark.slow
def test_learning_loads_no_compiler():
    code = (
        "import sys\n"
        "from tests.econ_agents.test_optimizers import learned\n"
        "from econ_agents.optimizers import AdamW\n"
        "learned(AdamW, AdamW)\n"
        "print('torch._dynamo' in sys.modules)\n"
        "import torch\n"
        "learned(torch.optim.AdamW)\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
