"""Reads learning curves: the scalars of TensorBoard event files, and the rewards of training episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from econ_env.app.report.runs import LoadedRun, distinct_name

FOLDER = "tensorboard"
EVENTS = "events.out.tfevents.*"
LEFT_OUT = (
    "info/", "test/", "training/env_step", "training/n_", "training/collect_", "training/lens_",
    "training/returns_stat/m", "training/returns_stat/std", "update/update_step", "update/train_time",
    "update/smoothed_loss/",
)  # fmt: skip
"""Tags that count steps or seconds, describe batches of episodes, have one point as the results of a test, or are
smoothed copies of other tags."""
FIRST = ("training/returns_stat/mean",)
"""Tags to show first, even if `LEFT_OUT` matches them; the others follow by name."""


class Curve(NamedTuple):
    """One quantity over training."""

    name: str
    """Its tag, or a description."""
    unit: str
    """Unit of the steps: episodes, decisions or updates."""
    steps: npt.NDArray[np.float64]
    """Shape (n,)."""
    values: npt.NDArray[np.float64]
    """Shape (n,); NaN where the run wrote NaN."""


def read_all_curves(runs: Sequence[LoadedRun]) -> dict[str, list[Curve]]:
    """The curves of each run, by a name that no other run has."""
    return {distinct_name(runs, run): read_curves(run) for run in runs}


def read_curves(run: LoadedRun) -> list[Curve]:
    """A run's curves; empty if it did not train."""
    curves = []
    if run.training:
        episodes = np.array([row["episode"] for row in run.training], dtype=np.float64)
        rewards = np.array([row["reward"] for row in run.training], dtype=np.float64)
        curves.append(Curve("reward of an episode", "episodes", episodes, rewards))
    return curves + _scalars(run.path / FOLDER)


def _scalars(folder: Path) -> list[Curve]:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,  # takes a second to import; ships no type information
    )

    curves: dict[str, list[tuple[float, float]]] = {}
    for place in sorted({file.parent for file in folder.rglob(EVENTS)}):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            if tag in FIRST or not tag.startswith(LEFT_OUT):
                curves.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    order = sorted(curves, key=lambda tag: (FIRST.index(tag) if tag in FIRST else len(FIRST), tag))
    return [_curve(tag, curves[tag]) for tag in order]


def _curve(tag: str, points: list[tuple[float, float]]) -> Curve:
    ordered = np.array(sorted(points), dtype=np.float64)
    unit = "decisions" if tag.startswith("training/") else "updates" if tag.startswith("update/") else "steps"
    return Curve(tag, unit, ordered[:, 0], ordered[:, 1])
