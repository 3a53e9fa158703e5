"""Curves of a training run for TensorBoard, and for Weights & Biases if it is asked for, by Tianshou's loggers."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tianshou.utils import BaseLogger, TensorboardLogger, WandbLogger

from econ_env.errors import ConfigError


@contextmanager
def logger(folder: Path, wandb: str | None, config: Mapping[str, Any]) -> Iterator[BaseLogger]:
    """A logger that writes event files into a folder.

    Tags: `train/env_step` and what a collection came to, over decisions; the losses by name, over updates.

    Args:
        folder: Where the event files go.
        wandb: Project at Weights & Biases that gets the same curves; None for none. Further loggers of a process go on
            with its run.
        config: The settings that the run there shows.

    Raises:
        ConfigError: Weights & Biases is asked for but not installed.
    """
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import

    if wandb is not None and importlib.util.find_spec("wandb") is None:
        raise ConfigError("--wandb needs the package wandb: pip install wandb")
    outer = None
    if wandb is not None:
        outer = WandbLogger(project=wandb, training_interval=1, update_interval=1, config=dict(config))
    writer = SummaryWriter(str(folder))
    printed = threading.excepthook
    threading.excepthook = partial(_leave_out_writer, printed)
    try:
        if outer is None:
            yield TensorboardLogger(writer, training_interval=1, update_interval=1, write_flush=False)
        else:
            outer.load(writer)
            yield outer
    finally:
        try:
            writer.close()
        finally:
            threading.excepthook = printed


def _leave_out_writer(printed: Callable[[threading.ExceptHookArgs], object], args: threading.ExceptHookArgs) -> None:
    """Print no error of the writer's thread, such as a full disk: the next call of the writer raises it."""
    if not type(args.thread).__module__.startswith("tensorboard."):
        printed(args)
