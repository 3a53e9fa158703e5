"""Logs training curves to TensorBoard, and optionally to Weights & Biases, with Tianshou's loggers."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tianshou.utils import BaseLogger, TensorboardLogger, WandbLogger

from econ_env.app.runs.results import Row, summarise_methods
from econ_env.errors import ConfigError

LOGGED = ("accuracy", "tokens_per_problem", "calls")
"""Numbers of a test that are logged for each method."""


def log_tests(logger: BaseLogger, rows: Iterable[Row], problems: int) -> None:
    """Log the results of a test, under `METHOD/NUMBER`.

    Args:
        logger: Tianshou's logger.
        rows: The rows of all methods.
        problems: The step at which they are logged.
    """
    numbers = {f"{key}/{name}": part[name] for key, part in summarise_methods(rows).items() for name in LOGGED}
    logger.log_test_data({name: number for name, number in numbers.items() if number is not None}, problems)


@contextmanager
def logger(folder: Path, wandb: str | None, config: Mapping[str, Any]) -> Iterator[BaseLogger]:
    """A logger that writes event files into a folder.

    Tags: `train/env_step` and statistics of each collection, over decisions; the losses by name, over updates.

    Args:
        folder: Where the event files go.
        wandb: Weights & Biases project that gets the same curves, or None. Later loggers in this process continue the
            same run.
        config: The settings to show in that run.

    Raises:
        ConfigError: Weights & Biases is requested but not installed.
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
    """Hide errors of the writer's thread, such as a full disk: the writer's next call raises them."""
    if not type(args.thread).__module__.startswith("tensorboard."):
        printed(args)
