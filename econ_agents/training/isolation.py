"""Keeps training from disturbing the process that it runs in: its random generators, its warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def private_generators() -> Iterator[None]:
    """Give the caller back the global generators of numpy and torch as they were."""
    numpy_state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            np.random.set_state(numpy_state)


@contextmanager
def last_episodes() -> Iterator[None]:
    """Keep Tianshou from warning, twice, that the last episodes do not occupy all environments."""
    log = logging.getLogger("tianshou.data.collector")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_episode=", category=UserWarning)
            yield
    finally:
        log.setLevel(level)
