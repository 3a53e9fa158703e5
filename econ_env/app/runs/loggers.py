"""Logs training curves to TensorBoard, and optionally to Weights & Biases, with Tianshou's loggers."""

from __future__ import annotations

import importlib.util
import threading
import time
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


class Curves:
    """A logger, and the event files behind it.

    Args:
        logger: Tianshou's logger.
        publish: Writes the numbers that are held back.
    """

    def __init__(self, logger: BaseLogger, publish: Callable[[], None]) -> None:
        self.logger = logger
        self.publish = publish


@contextmanager
def logger(folder: Path, wandb: str | None, config: Mapping[str, Any], *, held: bool = False) -> Iterator[Curves]:
    """A logger that writes event files into a folder.

    Tags: `train/env_step` and statistics of each collection, over decisions; the losses by name, over updates.

    Args:
        folder: Where the event files go.
        wandb: Weights & Biases project that gets the same curves, or None. Later loggers in this process continue the
            same run.
        config: The settings to show in that run.
        held: Whether numbers are held back until `publish`, and dropped if the run fails before it: a resumed run then
            has no step twice.

    Raises:
        ConfigError: Weights & Biases is requested but not installed.
    """
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import

    if wandb is not None and importlib.util.find_spec("wandb") is None:
        raise ConfigError("--wandb needs the package wandb: pip install wandb")
    outer = None
    if wandb is not None:
        outer = WandbLogger(project=wandb, training_interval=1, update_interval=1, config=dict(config))

    with _quiet_writer():
        writer = _writer(SummaryWriter)(str(folder))
        writer.held = held
        try:
            if outer is None:
                inner: BaseLogger = TensorboardLogger(writer, training_interval=1, update_interval=1, write_flush=False)
            else:
                outer.load(writer)
                inner = outer
            yield Curves(inner, writer.publish)
            writer.publish()
        finally:
            writer.close()


def _writer(base: Any) -> Any:
    """A class like `SummaryWriter`, which is loaded late, that can hold numbers back, with the time of each."""

    class Writer(base):  # type: ignore[misc] # not known before it is loaded
        held = False

        def __init__(self, folder: str) -> None:
            self.waiting: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
            super().__init__(folder)

        def add_scalar(self, *values: Any, **named: Any) -> None:
            self.waiting.append((values, {**named, "walltime": time.time()}))
            if not self.held:
                self.publish()

        def publish(self) -> None:
            waiting, self.waiting = self.waiting, []
            for values, named in waiting:
                super().add_scalar(*values, **named)
            if self.held:
                self.flush()  # what a kill leaves in the files is then what a resumed run does not repeat

    return Writer


@contextmanager
def _quiet_writer() -> Iterator[None]:
    """Hide what the writer's thread prints about its own errors."""
    printed = threading.excepthook
    threading.excepthook = partial(_leave_out_writer, printed)
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if _writes_curves(thread):  # one that has failed may not have come to its message yet
                thread.join(1.0)
        threading.excepthook = printed


def _leave_out_writer(printed: Callable[[threading.ExceptHookArgs], object], args: threading.ExceptHookArgs) -> None:
    """Hide errors of the writer's thread, such as a full disk: the writer's next call raises them."""
    if not _writes_curves(args.thread):
        printed(args)


def _writes_curves(thread: threading.Thread | None) -> bool:
    return type(thread).__module__.startswith("tensorboard.")
