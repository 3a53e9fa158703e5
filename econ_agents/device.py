"""Finds the device that networks compute on."""

from __future__ import annotations

import torch
from torch import nn

from econ_agents.errors import ConfigError

CPU = torch.device("cpu")


def find_device(setting: str) -> torch.device:
    """The device that a setting means for the learner.

    Args:
        setting: `auto`, `cpu`, `cuda` or `mps`. `auto` is the CPU: a gradient step is some two thousand operations on
            small tensors, and an accelerator would spend its time on starting them.

    Raises:
        ConfigError: The device is not there.
    """
    missing_cuda = setting == "cuda" and not torch.cuda.is_available()
    if missing_cuda or (setting == "mps" and not torch.backends.mps.is_available()):
        raise ConfigError(
            f"there is no device {setting}: torch {torch.__version__} finds none here; use --device auto or cpu"
        )
    return CPU if setting == "auto" else torch.device(setting)


def device_of(policy: object) -> torch.device:
    """The device of a policy's parameters; the CPU for one without any."""
    if isinstance(policy, nn.Module):
        return next((parameter.device for parameter in policy.parameters()), CPU)
    return CPU
