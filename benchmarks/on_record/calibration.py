"""Calibration of beliefs: of the answers that are believed right with probability p, a share p should be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

BINS = 10
"""Parts of equal width of the forecasts in [0, 1]."""

SURE = 1e-4
"""Forecasts nearer to 0 or 1 count as this in the log score."""

Forecasts = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Forecast probabilities and what happened, one each for every standing reply with an answer."""


def calibration(forecasts: Forecasts) -> dict[str, Any]:
    """How well forecasts are calibrated.

    Returns:
        `replies`, their number; `right`, the share that is right; `error`, the expected calibration error: the mean
        distance between forecast and share right, over `table`'s bins weighted by their size (Guo et al. 2017,
        arXiv:1706.04599); `log_score`, the mean of -log of what was given to what happened, in nats, and
        `constant_log_score`, that of the best constant forecast; and `table`, for each bin with forecasts its `bin`
        (low, high), `replies`, mean `forecast` and share `right`.
    """
    chance, happened = np.asarray(forecasts[0], float), np.asarray(forecasts[1], bool)
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    table = []
    for number in range(BINS):
        own = place == number
        if own.any():
            row = {"bin": [number / BINS, (number + 1) / BINS], "replies": int(own.sum())}
            table.append(row | {"forecast": float(chance[own].mean()), "right": float(happened[own].mean())})
    distances = [abs(row["forecast"] - row["right"]) for row in table]
    share = float(happened.mean())
    return {
        "replies": len(chance),
        "right": share,
        "error": float(np.average(distances, weights=[row["replies"] for row in table])),
        "log_score": log_score(chance, happened),
        "constant_log_score": log_score(np.full(len(chance), share), happened),
        "table": table,
    }


def log_score(chance: NDArray[np.float64], happened: NDArray[np.bool_]) -> float:
    """Mean of -log of the probability given to what happened, in nats; 0 is best."""
    given = np.clip(np.where(happened, chance, 1.0 - chance), SURE, 1.0)
    return float(-np.log(given).mean())


def draw_calibration(found: Mapping[str, Mapping[str, Any]], title: str, path: Path) -> None:
    """Write a picture of the tables: share right against forecast, and how many replies have which forecast.

    Args:
        found: By method, as `calibration` makes them.
        title: Above the picture.
        path: File to write, such as `recorded.calibration.png`.
    """
    figure = Figure(figsize=(6.0, 6.5), layout="constrained")
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    curve.plot([0, 1], [0, 1], color="#999999", linewidth=1.0, linestyle="--", label="calibrated")
    width = 0.8 / BINS / max(1, len(found))
    for number, (method, one) in enumerate(found.items()):
        rows: Sequence[Mapping[str, Any]] = one["table"]
        forecast = [row["forecast"] for row in rows]
        label = (
            f"{method}: error {one['error']:.3f}, log score {one['log_score']:.3f} ({one['constant_log_score']:.3f})"
        )
        curve.plot(forecast, [row["right"] for row in rows], marker="o", markersize=4, label=label)
        places = [row["bin"][0] + 0.1 / BINS + number * width for row in rows]
        counts.bar(places, [row["replies"] for row in rows], width, align="edge")
    curve.set(ylabel="share right", title=title, xlim=(0, 1), ylim=(0, 1))
    counts.set(xlabel="believed to be right with this probability", ylabel="replies", yscale="log")
    for axes in (curve, counts):
        axes.grid(visible=True, linewidth=0.3)
    curve.legend(loc="upper left", fontsize=8, title="in brackets: of the best constant", title_fontsize=7)
    figure.savefig(path, dpi=150)
