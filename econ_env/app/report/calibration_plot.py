"""Draws reliability curves: the share of right replies against their confidence, and against what was believed."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped] # ships no type information

from econ_env.app.compare.intervals import ALPHA
from econ_env.app.report.calibration import BELIEF, CONFIDENCE, Forecast, calibrations
from econ_env.app.report.runs import Runs
from econ_env.app.report.style import Plot, Theme, color, legend, legend_height, marker, new_figure, short


def calibration_plots(runs: Runs) -> dict[str, Plot]:
    """The reliability curves by file name, of what some reply has: a confidence, a belief."""
    drawn = {"calibration": _curves(runs, CONFIDENCE), "beliefs": _curves(runs, BELIEF)}
    return {name: plot for name, plot in drawn.items() if plot is not None}


def _curves(runs: Runs, forecast: Forecast) -> Plot | None:
    found = calibrations(runs, forecast)
    if not found:
        return None
    order = list(runs.methods)
    names = {label: short(runs.names[label]) for label in found}

    def draw(theme: Theme, width: float) -> Figure:
        figure, (axes,) = new_figure(width, 3.2 + legend_height([*names.values(), forecast.calibrated], width))
        axes.plot([0, 100], [0, 100], color=theme.soft, linewidth=1.0, linestyle=(0, (4, 2)), label=forecast.calibrated)
        for label, own in found.items():
            number = order.index(label)
            low, high = proportion_confint(own.right * own.sizes, own.sizes, alpha=ALPHA, method="wilson")
            spread = 100 * np.clip(np.array([own.right - low, high - own.right]), 0.0, None)
            *_, bars = axes.errorbar(
                100 * own.forecast, 100 * own.right, yerr=spread, fmt=f"{marker(number)}-", markersize=5, capsize=2,
                color=color(theme, number), elinewidth=0.8, linewidth=1.1, label=names[label],
            )  # fmt: skip
            for bar in bars:
                bar.set_alpha(0.35)
        least = min(float(own.forecast.min()) for own in found.values())
        axes.set(xlabel=forecast.axis, ylabel="right (%)", ylim=(0, 102))
        axes.set_xlim(max(0.0, 100 * least - 5), 101)
        legend(figure, axes)
        return figure

    return Plot(forecast.title, forecast.caption, draw)
