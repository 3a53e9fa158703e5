"""Draws reliability curves: the share of right replies against their confidence."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped] # ships no type information

from econ_env.app.compare.intervals import ALPHA
from econ_env.app.report.calibration import calibrations
from econ_env.app.report.runs import Runs
from econ_env.app.report.style import Plot, Theme, color, legend, legend_height, marker, new_figure, short

PERFECT = "confidence = share right"
"""Label of the line on which confidence says how often replies are right."""


def calibration_plots(runs: Runs) -> dict[str, Plot]:
    """The reliability curves by file name; empty where no reply has a confidence."""
    found = calibrations(runs)
    if not found:
        return {}
    order = list(runs.methods)
    names = {label: short(runs.names[label]) for label in found}

    def draw(theme: Theme, width: float) -> Figure:
        figure, (axes,) = new_figure(width, 3.2 + legend_height([*names.values(), PERFECT], width))
        axes.plot([0, 100], [0, 100], color=theme.soft, linewidth=1.0, linestyle=(0, (4, 2)), label=PERFECT)
        for label, own in found.items():
            number = order.index(label)
            low, high = proportion_confint(own.right * own.sizes, own.sizes, alpha=ALPHA, method="wilson")
            spread = 100 * np.clip(np.array([own.right - low, high - own.right]), 0.0, None)
            *_, bars = axes.errorbar(
                100 * own.confidence, 100 * own.right, yerr=spread, fmt=f"{marker(number)}-", markersize=5, capsize=2,
                color=color(theme, number), elinewidth=0.8, linewidth=1.1, label=names[label],
            )  # fmt: skip
            for bar in bars:
                bar.set_alpha(0.35)
        least = min(float(own.confidence.min()) for own in found.values())
        axes.set(xlabel="confidence of replies (%)", ylabel="right (%)", ylim=(0, 102))
        axes.set_xlim(max(0.0, 100 * least - 5), 101)
        legend(figure, axes)
        return figure

    caption = (
        "Share of right replies against their confidence, in bins of equally many replies, with 95% intervals of a "
        "share of so many. Below the dashed line the models are too sure of themselves."
    )
    return {"calibration": Plot("Confidence of replies", caption, draw)}
