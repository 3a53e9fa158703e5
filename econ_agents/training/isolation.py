"""Isolates training from its process: restores global random generators, hides warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def private_generators() -> Iterator[None]:
    """Restore the global random generators of numpy and torch at the end."""
    numpy_state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            np.random.set_state(numpy_state)


@contextmanager
def last_episodes() -> Iterator[None]:
    """Hide Tianshou's two warnings that the last episodes do not use all environments."""
    log = logging.getLogger("tianshou.data.collector")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_episode=", category=UserWarning)
            yield
    finally:
        log.setLevel(level)
