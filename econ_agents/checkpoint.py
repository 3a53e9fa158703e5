"""Writes and reads checkpoints: tensors as safetensors, everything else as JSON, so that loading never runs code.

A checkpoint is two files. The JSON file is written last and names the tensor file with its digest. So an incomplete
checkpoint is detected, and the previous one stays readable until the new one is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from econ_agents.errors import CheckpointError

FORMAT = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


class Checkpoint(NamedTuple):
    """Content of a checkpoint."""

    tensors: dict[str, Tensor]
    """Tensors by name."""
    values: dict[str, Any]
    """Plain values, ready for JSON."""


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, *, config_name: str = CONFIG_FILE, weights_name: str = WEIGHTS_FILE
) -> None:
    """Write a checkpoint into a folder, which is made if needed.

    Args:
        folder: Folder to write to.
        checkpoint: Content to write.
        config_name: Name of the JSON file.
        weights_name: Name of the tensor file; a new name keeps the previous checkpoint readable meanwhile.

    Raises:
        CheckpointError: It could not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{weights_name}.{os.getpid()}.part"
        tensors = {name: tensor.detach().to("cpu", copy=True) for name, tensor in checkpoint.tensors.items()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, draft)
        digest = _digest(draft)
        os.replace(draft, folder / weights_name)
        values = {"format": FORMAT, "weights": weights_name, "sha256": digest, **checkpoint.values}
        draft = folder / f".{config_name}.{os.getpid()}.part"
        draft.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(draft, folder / config_name)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint in {folder} can't be written: {error}") from error


def load_checkpoint(folder: Path, *, config_name: str = CONFIG_FILE) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: It is missing, incomplete or damaged, or another version wrote it.
    """
    path = folder / config_name
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no checkpoint ({config_name} is missing)") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} can't be read: {error}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT or not {"weights", "sha256"} <= values.keys():
        raise CheckpointError(f"{path} is no checkpoint of this program, or one of another version")
    weights = folder / Path(str(values.pop("weights"))).name
    try:
        if _digest(weights) != values.pop("sha256"):
            raise CheckpointError(f"{weights} does not belong to {path}: the checkpoint is incomplete or damaged")
        tensors = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{weights} can't be read: {error}") from error
    return Checkpoint(tensors, values)


def locate(path_or_id: str | Path, *, revision: str | None = None, token: str | None = None) -> Path:
    """Find the folder of a checkpoint: a local one, or a repository of the Hugging Face hub, which is downloaded.

    Raises:
        CheckpointError: There is no such folder or repository, or the hub can't be reached.
    """
    folder = Path(path_or_id).expanduser()
    if folder.is_dir():
        return folder
    if len(folder.parts) != 2 or str(path_or_id).startswith((".", "/", "~")):
        raise CheckpointError(f"there is no folder {str(path_or_id)!r}; train first, or check the path")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(path_or_id), revision=revision, token=token))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CheckpointError(f"no folder {str(path_or_id)!r}, and nothing of that name on the hub: {first}") from error


def take(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with a prefix; the prefix is removed."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def optimizer_tensors(state_dict: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """The state of a torch optimizer for each parameter, as named tensors."""
    return {
        f"{prefix}{parameter}.{name}": torch.as_tensor(value)
        for parameter, values in state_dict["state"].items()
        for name, value in values.items()
    }


def optimizer_state(fresh: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Inverse of `optimizer_tensors` for an optimizer of the same settings.

    Args:
        fresh: The new optimizer's own `state_dict()`, for its settings.
        tensors: As returned by `optimizer_tensors`, without the prefix.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, _, field = name.partition(".")
        state.setdefault(int(parameter), {})[field] = tensor
    return {**fresh, "state": state}


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
