"""Measures whether a reply's confidence says how often it is right: bins, calibration error, and their table."""

from __future__ import annotations

import math
from collections.abc import Sequence
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

FloatArray = npt.NDArray[np.float64]


class Calibration(NamedTuple):
    """Confidence and correctness of one method's replies, in bins of about equally many replies, by confidence."""

    confidence: FloatArray
    """Mean confidence of each bin, in (0, 1], shape (n,)."""
    right: FloatArray
    """Share of right replies of each bin, in [0, 1], shape (n,)."""
    sizes: FloatArray
    """Replies of each bin, >= 1, shape (n,)."""

    @property
    def replies(self) -> int:
        """All replies."""
        return int(self.sizes.sum())

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and share right over replies, in [0, 1].

        Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602, with bins of equally many replies (Nguyen and
        O'Connor 2015, https://arxiv.org/abs/1508.05154), since confidences of replies lie close together.
        """
        return float(np.average(np.abs(self.confidence - self.right), weights=self.sizes))


def calibration_of(rows: Sequence[Row]) -> Calibration | None:
    """The calibration of all replies with a confidence; `None` without any.

    A reply without a readable answer is wrong. The confidence is exp of the mean log-probability of a reply's tokens.
    """
    known = [
        (math.exp(reply["confidence"]["mean"]), reply["verdict"] == "correct")
        for row in rows
        for reply in row["replies"]
        if reply.get("confidence") is not None and reply["verdict"] not in UNSAID
    ]
    if not known:
        return None
    confidence, right = (np.array(part, dtype=np.float64) for part in zip(*known, strict=True))
    bins = max(1, min(BINS, len(known) // PER_BIN))
    inner = np.unique(np.quantile(confidence, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    places = np.searchsorted(inner, confidence, side="left")  # equal confidences share a bin
    held = [places == place for place in range(len(inner) + 1)]
    means = [(confidence[own].mean(), right[own].mean(), own.sum()) for own in held if own.any()]
    return Calibration(*(np.array(part, dtype=np.float64) for part in zip(*means, strict=True)))


def calibrations(runs: Runs) -> dict[str, Calibration]:
    """Calibration by label, of methods whose replies have a confidence."""
    found = {label: calibration_of(rows) for label, rows in runs.methods.items()}
    return {label: own for label, own in found.items() if own is not None}


def calibration(runs: Runs) -> ReportTable:
    """Confidence, share right and calibration error of each method's replies."""
    columns = [
        Column("Method", numeric=False),
        Column("Replies", "with a confidence"),
        Column("Confidence", "%, mean"),
        Column("Right", "%"),
        Column("Calibration error", "percentage points"),
    ]
    rows = []
    for label, own in calibrations(runs).items():
        confidence, right = (np.average(part, weights=own.sizes) for part in (own.confidence, own.right))
        shown = (f"{100 * confidence:.1f}", f"{100 * right:.1f}", f"{100 * own.error:.1f}")
        rows.append([named(runs, label), Cell(f"{own.replies:,}"), *map(Cell, shown)])
    notes = (
        "Confidence: the probability that a model gives to the tokens of its own reply (geometric mean). Calibration "
        "error: the expected distance of confidence and share right, over bins of equally many replies; 0 is best.",
    )
    return ReportTable("Confidence of replies", columns, rows, notes)
