"""Keeps all that a training run needs to go on exactly where it was: networks, optimizers, replay, counters."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

import torch

from econ_agents.algorithm import EconAlgorithm
from econ_agents.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    load_checkpoint,
    optimizer_state,
    optimizer_tensors,
    save_checkpoint,
    take,
)
from econ_agents.config import AgentConfig
from econ_agents.errors import CheckpointError
from econ_agents.replay import TeamBuffer, fill, to_arrays

_NETS, _REPLAY = "algorithm.", "replay."


class TrainingState(NamedTuple):
    """How far a run has come, apart from what algorithm and buffer hold."""

    episodes: int
    """Episodes done."""
    numbers: list[int]
    """The episode that each environment is to play next."""
    stopping: dict[str, Any]
    """What early stopping remembers."""


def save_state(
    folder: Path,
    state: TrainingState,
    algorithm: EconAlgorithm,
    buffer: TeamBuffer,
    config: AgentConfig,
    seed: int,
) -> None:
    """Write the state of a run into a folder, in place of the one before.

    Raises:
        CheckpointError: It could not be written; the state before is still there.
    """
    nets = algorithm.state_dict()  # type: ignore[no-untyped-call] # untyped upstream
    optimizers = nets.pop("_optimizers")
    tensors = {f"{_NETS}{name}": tensor for name, tensor in nets.items()}
    for number, optimizer in enumerate(optimizers):
        tensors |= optimizer_tensors(optimizer, f"optimizer{number}.")
    tensors |= {f"{_REPLAY}{name}": torch.as_tensor(rows) for name, rows in to_arrays(buffer).items()}
    values = {
        **state._asdict(),
        "seed": seed,
        "agent_config": config.model_dump(mode="json"),
        "decisions": algorithm.policy.decisions,
        "gradient_steps": algorithm.gradient_steps,
    }
    weights = f"state-{state.episodes:08d}.safetensors"
    save_checkpoint(folder, Checkpoint(tensors, values), weights_name=weights)
    for old in folder.glob("state-*.safetensors"):
        if old.name != weights:
            with contextlib.suppress(OSError):  # an old file that stays does no harm
                old.unlink()


def restore_state(
    folder: Path, algorithm: EconAlgorithm, buffer: TeamBuffer, config: AgentConfig, seed: int
) -> TrainingState | None:
    """Put a state back into a fresh algorithm and an empty buffer; None if the folder holds none.

    Raises:
        CheckpointError: The state is damaged, or of a run with other settings.
    """
    if not (folder / CONFIG_FILE).exists():
        return None
    tensors, values = load_checkpoint(folder)
    now = config.model_dump(mode="json")
    other = sorted(key for key in now if values["agent_config"].get(key) != now[key])
    if other or values["seed"] != seed:
        changed = ", ".join(other or ["seed"])
        raise CheckpointError(
            f"{folder} is of a run with other settings ({changed}); use the same, or another model_dir"
        )
    optimizers = algorithm.state_dict()["_optimizers"]  # type: ignore[no-untyped-call] # untyped upstream
    nets: dict[str, Any] = take(tensors, _NETS)
    nets["_optimizers"] = [
        optimizer_state(fresh, take(tensors, f"optimizer{number}.")) for number, fresh in enumerate(optimizers)
    ]
    algorithm.load_state_dict(nets)
    fill(buffer, {name: rows.numpy() for name, rows in take(tensors, _REPLAY).items()}, config.replay)
    algorithm.policy.decisions = int(values["decisions"])
    algorithm.gradient_steps = int(values["gradient_steps"])
    return TrainingState(int(values["episodes"]), [int(n) for n in values["numbers"]], values["stopping"])
