"""Measures whether what is said of a reply, its confidence or a belief, says how often it is right: bins and tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from econ_env.app.compare.statistics import UNSAID
from econ_env.app.report.cells import Cell, Column, ReportTable, named
from econ_env.app.report.runs import Runs
from econ_env.app.runs.results import Row

BINS = 10
"""Most bins of a curve."""
PER_BIN = 10
"""Fewest replies of a bin on average; fewer replies make fewer bins."""
SURE = 1e-4
"""Probabilities nearer to 0 or 1 count as this in the log score."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """A probability that each reply is right: where it is read in a row, and how it is shown."""

    read: Callable[[Row], float | None]
    """The probability of one of a row's `replies`, in [0, 1]; `None` if it is unknown."""
    title: str
    """What table and picture show."""
    column: str
    """Heading of its mean."""
    known: str
    """Which replies count, under the heading of their number."""
    axis: str
    """Label of its axis."""
    calibrated: str
    """Label of the line on which it says how often replies are right."""
    caption: str
    """How to read the picture."""
    note: str
    """What it is, below the table."""
    scored: bool
    """Whether the table has its log score."""


def _confidence(reply: Row) -> float | None:
    found = reply.get("confidence")
    return None if found is None else math.exp(found["mean"])


def _believed(reply: Row) -> float | None:
    return reply.get("believed")  # rows of earlier versions have none


_ERROR = "Calibration error: the expected distance of {} and share right, over bins of equally many replies; 0 is best."
CONFIDENCE = Forecast(
    read=_confidence,
    title="Confidence of replies",
    column="Confidence",
    known="with a confidence",
    axis="confidence of replies (%)",
    calibrated="confidence = share right",
    caption="Share of right replies against their confidence, in bins of equally many replies, with 95% intervals of a "
    "share of so many. Below the dashed line the models are too sure of themselves.",
    note="Confidence: the probability that a model gives to the tokens of its own reply (geometric mean). "
    + _ERROR.format("confidence"),
    scored=False,
)
"""What the executor's model says of its own reply: exp of the mean log-probability of the tokens."""
BELIEF = Forecast(
    read=_believed,
    title="Beliefs about replies",
    column="Believed",
    known="with a belief",
    axis="believed to be right (%)",
    calibrated="belief = share right",
    caption="Share of right replies against what the team believed of them when it stopped, in bins of equally many "
    "replies, with 95% intervals of a share of so many. Below the dashed line the team believes too much.",
    note="Believed: how likely a reply is right by the team's belief when it stopped; replies without an answer are "
    f"left out. {_ERROR.format('belief')} Log score: minus the mean logarithm of the probability given to what "
    "happened; 0 is best. The best constant gives every reply the share that is right.",
    scored=True,
)
"""What the team believes of a reply that stands when it stops, where executors may stay silent."""


class Calibration(NamedTuple):
    """A forecast and correctness of one method's replies, in bins of about equally many replies, by the forecast."""

    forecast: FloatArray
    """Mean forecast of each bin, in [0, 1], shape (n,)."""
    right: FloatArray
    """Share of right replies of each bin, in [0, 1], shape (n,)."""
    sizes: FloatArray
    """Replies of each bin, >= 1, shape (n,)."""
    log_score: float
    """Mean over replies of -log of the probability given to what happened, in nats, >= 0."""

    @property
    def replies(self) -> int:
        """All replies."""
        return int(self.sizes.sum())

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of forecast and share right over replies, in [0, 1].

        Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602, with bins of equally many replies (Nguyen and
        O'Connor 2015, https://arxiv.org/abs/1508.05154), since confidences of replies lie close together.
        """
        return float(np.average(np.abs(self.forecast - self.right), weights=self.sizes))

    @property
    def constant_log_score(self) -> float:
        """Log score of the best constant forecast, the share of right replies."""
        share = np.average(self.right, weights=self.sizes)
        both = np.array([share, 1.0 - share])
        return float(both @ _surprise(both))


def calibration_of(rows: Sequence[Row], forecast: Forecast) -> Calibration | None:
    """The calibration of all replies with this forecast; `None` without any.

    A reply without a readable answer is wrong.
    """
    told = [(forecast.read(reply), reply["verdict"]) for row in rows for reply in row["replies"]]
    known = [(said, verdict == "correct") for said, verdict in told if said is not None and verdict not in UNSAID]
    if not known:
        return None
    chance, right = (np.array(part, dtype=np.float64) for part in zip(*known, strict=True))
    bins = max(1, min(BINS, len(known) // PER_BIN))
    inner = np.unique(np.quantile(chance, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    places = np.searchsorted(inner, chance, side="left")  # equal forecasts share a bin
    held = [places == place for place in range(len(inner) + 1)]
    means = [(chance[own].mean(), right[own].mean(), own.sum()) for own in held if own.any()]
    mean, share, sizes = (np.array(part, dtype=np.float64) for part in zip(*means, strict=True))
    given = np.where(right > 0.0, chance, 1.0 - chance)
    return Calibration(mean, share, sizes, log_score=float(_surprise(given).mean()))


def _surprise(chance: FloatArray) -> FloatArray:
    """-log of the probability given to what happened, in nats."""
    surprise: FloatArray = -np.log(np.clip(chance, SURE, 1.0))
    return surprise


def calibrations(runs: Runs, forecast: Forecast) -> dict[str, Calibration]:
    """Calibration by label, of methods whose replies have this forecast."""
    found = {label: calibration_of(rows, forecast) for label, rows in runs.methods.items()}
    return {label: own for label, own in found.items() if own is not None}


def calibration(runs: Runs, forecast: Forecast) -> ReportTable:
    """Forecast, share right and calibration error of each method's replies, and the log score if it is shown."""
    columns = [
        Column("Method", numeric=False),
        Column("Replies", forecast.known),
        Column(forecast.column, "%, mean"),
        Column("Right", "%"),
        Column("Calibration error", "percentage points"),
        *([Column("Log score", "nats"), Column("Log score of the best constant", "nats")] if forecast.scored else []),
    ]
    rows = []
    for label, own in calibrations(runs, forecast).items():
        mean, right = (np.average(part, weights=own.sizes) for part in (own.forecast, own.right))
        shown = [f"{100 * mean:.1f}", f"{100 * right:.1f}", f"{100 * own.error:.1f}"]
        if forecast.scored:
            shown += [f"{own.log_score:.3f}", f"{own.constant_log_score:.3f}"]
        rows.append([named(runs, label), Cell(f"{own.replies:,}"), *map(Cell, shown)])
    return ReportTable(forecast.title, columns, rows, (forecast.note,))
