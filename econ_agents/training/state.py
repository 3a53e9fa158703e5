"""Saves and restores what a training run needs to resume exactly: networks, optimizers, replay, counters."""

from __future__ import annotations

import contextlib
import textwrap
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
from econ_agents.networks.averaging import AveragedNetwork
from econ_agents.training.replay import TeamBuffer, fill, to_arrays

_NETS, _AVERAGE, _REPLAY = "algorithm.", "average.", "replay."


class TrainingState(NamedTuple):
    """Progress of a run, apart from the state of algorithm and buffer."""

    episodes: int
    """Episodes done."""
    numbers: list[int]
    """The next episode of each environment."""
    stopping: dict[str, Any]
    """State of early stopping."""
    updates: int
    """Updates done."""
    losses: list[float]
    """The team's losses at the last gradient steps, for a moving average."""


class Learner(NamedTuple):
    """The parts of a run whose state is saved, and its settings."""

    algorithm: EconAlgorithm
    """Networks, targets, optimizers."""
    average: AveragedNetwork | None
    """The average over training, if there is one."""
    buffer: TeamBuffer
    """The replay buffer."""
    config: AgentConfig
    """The settings, which must be the same when training resumes, except for the device."""
    seed: int
    """The run's seed, which must be the same too."""


def save_state(folder: Path, state: TrainingState, learner: Learner) -> None:
    """Write the state of a run into a folder, in place of the previous one.

    Raises:
        CheckpointError: It could not be written; the previous state remains.
    """
    algorithm, average, buffer, config, seed = learner
    nets = algorithm.state_dict()  # type: ignore[no-untyped-call] # untyped upstream
    optimizers = nets.pop("_optimizers")
    tensors = {f"{_NETS}{name}": tensor for name, tensor in nets.items()}
    for number, optimizer in enumerate(optimizers):
        tensors |= optimizer_tensors(optimizer, f"optimizer{number}.")
    if average is not None:
        tensors |= {f"{_AVERAGE}{name}": tensor for name, tensor in average.tensors().items()}
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
            with contextlib.suppress(OSError):  # an old file does no harm
                old.unlink()


def restore_state(folder: Path, learner: Learner) -> TrainingState | None:
    """Restore a state into a new algorithm, a new average and an empty buffer; None if the folder holds none.

    Raises:
        CheckpointError: The state is damaged, or belongs to a run with other settings.
    """
    if not (folder / CONFIG_FILE).exists():
        return None
    tensors, values = load_checkpoint(folder)
    try:
        return _put_back(folder, learner, tensors, values)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        text = textwrap.shorten(str(error), 200)
        raise CheckpointError(f"{folder} holds no state that this run can resume from: {text}") from error


def _put_back(
    folder: Path, learner: Learner, tensors: dict[str, torch.Tensor], values: dict[str, Any]
) -> TrainingState:
    algorithm, average, buffer, config, seed = learner
    now = config.model_dump(mode="json")
    other = sorted(key for key in now if key != "device" and values["agent_config"].get(key) != now[key])
    if other or values["seed"] != seed:
        changed = ", ".join(other or ["seed"])
        raise CheckpointError(
            f"{folder} belongs to a run with other settings ({changed}); use the same, or another model_dir"
        )
    optimizers = algorithm.state_dict()["_optimizers"]  # type: ignore[no-untyped-call] # untyped upstream
    nets: dict[str, Any] = take(tensors, _NETS)
    nets["_optimizers"] = [
        optimizer_state(fresh, take(tensors, f"optimizer{number}.")) for number, fresh in enumerate(optimizers)
    ]
    algorithm.load_state_dict(nets)
    if average is not None:
        average.restore(take(tensors, _AVERAGE))
    fill(buffer, {name: rows.numpy() for name, rows in take(tensors, _REPLAY).items()})
    algorithm.policy.decisions = int(values["decisions"])
    algorithm.gradient_steps = int(values["gradient_steps"])
    return TrainingState(**{name: values[name] for name in TrainingState._fields})
