"""Draws the report's figures from rows: tokens by role, controls, residuals, curves, and those of other modules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from econ_env.app.report.calibration_plot import calibration_plots
from econ_env.app.report.curves import Curve
from econ_env.app.report.frontier import frontiers
from econ_env.app.report.probe_plot import probe_plots
from econ_env.app.report.runs import Runs
from econ_env.app.report.style import LINE, Plot, Theme, color, legend, legend_height, marker, new_figure, short
from econ_env.app.report.tables import by_kind, control_columns
from econ_env.app.runs.results import ROLES, Row

LETTERS = 36
"""Most letters of a line of a label beside a bar; half as many on a phone."""
MAX_PANELS = 12
"""Maximum kinds or curves drawn; the caption names the others."""
RASTERISED = 400
"""Panels with more points than this draw them as an image."""
RESPONDED = ("small_change", "oscillation")
"""Stop reasons found after a best response, whose residual was measured but which was not played."""


def all_plots(runs: Runs, curves: Mapping[str, Sequence[Curve]]) -> dict[str, Plot]:
    """The figures by file name, without those that would be empty.

    Args:
        runs: Rows and overview.
        curves: Learning curves by run.
    """
    plots = {**frontiers(runs), **calibration_plots(runs), **probe_plots(runs)}
    if any(part["cost"]["tokens"] for part in runs.overview["methods"].values()):
        plots["tokens_by_role"] = tokens_by_role(runs)
    if len(control_columns(runs)) > 1:
        plots["controls"] = controls(runs)
    steps = {runs.names[label]: residuals_by_step(rows) for label, rows in runs.methods.items()}
    if any(steps.values()):
        plots["residuals"] = residuals(steps)
    if any(curves.values()):
        plots["learning_curves"] = learning_curves(curves)
    return plots


def tokens_by_role(runs: Runs) -> Plot:
    """Tokens per problem by role of the calls."""
    parts, names = runs.overview["methods"], runs.names

    def draw(theme: Theme, width: float) -> Figure:
        named = [fill(short(names[label]), LETTERS if width > 5 else LETTERS // 2) for label in parts]
        lines = max(name.count("\n") + 1 for name in named)
        figure, (axes,) = new_figure(width, 0.9 + (0.1 + LINE * lines) * len(parts))
        left = np.zeros(len(parts))
        for number, role in enumerate(ROLES):
            values = np.array([part["cost"]["tokens_by_role"][role] for part in parts.values()])
            axes.barh(range(len(parts)), values, left=left, height=0.62, color=color(theme, number), label=role)
            left += values
        axes.set_yticks(range(len(parts)), named)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_major_locator(MaxNLocator(5 if width > 5 else 3))
        axes.set_xlabel("tokens per problem")
        legend(figure, axes)
        return figure

    caption = "Mean tokens per problem, prompts and generated text together, by role."
    return Plot("Tokens by role", caption, draw, full=True)


def controls(runs: Runs) -> Plot:
    """The first two submitted controls of every executor, one panel per kind of problem."""
    (x, x_title), (y, y_title) = list(control_columns(runs).items())[:2]
    kinds = list(by_kind(runs.rows))
    shown = kinds[:MAX_PANELS]
    methods = {runs.names[label]: by_kind(rows) for label, rows in runs.methods.items()}

    def draw(theme: Theme, width: float) -> Figure:
        above = legend_height([short(label) for label in methods], width)
        figure, panels = _grid(width, len(shown), 2.4, above, sharex=True, sharey=True)
        for axes, kind in zip(panels, shown, strict=True):
            for number, (label, groups) in enumerate(methods.items()):
                _scatter(axes, groups.get(kind, []), (x, y), theme, number, label)
            axes.set_title(short(kind, 28))
        figure.supxlabel(x_title[0].lower() + x_title[1:], fontsize=9, color=theme.ink)
        figure.supylabel(y_title.lower(), fontsize=9, color=theme.ink)
        legend(figure, panels[0])
        return figure

    caption = "Controls of every executor in the last round; one point per executor and problem." + _left_out(kinds)
    return Plot("Controls chosen per kind of problem", caption, draw, full=len(shown) > 2)


def _scatter(axes: Axes, rows: Sequence[Row], names: tuple[str, str], theme: Theme, number: int, label: str) -> None:
    x_name, y_name = names
    replies = [reply for row in rows for reply in row["replies"] if x_name in reply and y_name in reply]
    points = [(reply[x_name], reply[y_name]) for reply in replies]
    distinct = set(points)
    x, y = zip(*distinct, strict=True) if distinct else ((), ())
    few = len(distinct) <= 3  # constant controls: one point stands for many, so draw it large
    axes.scatter(
        x, y, s=34 if few else 9, alpha=1.0 if few else 0.55, color=color(theme, number), marker=marker(number),
        linewidths=0, rasterized=len(distinct) > RASTERISED, zorder=3 if few else 2,
    )  # fmt: skip
    axes.plot([], [], linestyle="none", color=color(theme, number), marker=marker(number), label=short(label))


def residuals_by_step(rows: Sequence[Row]) -> list[list[float]]:
    """Residuals of all decisions, by response step; empty without any.

    A row lists the residuals of its decisions in order. A decision of r rounds has r - 1 residuals, and one more if
    its stop reason is in `RESPONDED`.
    """
    steps: list[list[float]] = []
    for row in rows:
        counts = [
            rounds - 1 + (reason in RESPONDED)
            for rounds, reason in zip(row["rounds"], row["stop_reasons"], strict=False)
        ]
        if sum(counts) != len(row["residuals"]):
            continue
        rest = iter(row["residuals"])
        for count in counts:
            for step in range(count):
                if step == len(steps):
                    steps.append([])
                steps[step].append(next(rest))
    return steps


def residuals(steps: Mapping[str, Sequence[Sequence[float]]]) -> Plot:
    """Residual per BNE round: median and middle half."""

    def draw(theme: Theme, width: float) -> Figure:
        above = legend_height([short(label) for label, own in steps.items() if own], width)
        figure, (axes,) = new_figure(width, 2.8 + above)
        for number, (label, own) in enumerate(steps.items()):
            if not own:
                continue
            x = np.arange(1, len(own) + 1)
            low, middle, high = (np.array([np.quantile(step, q) for step in own]) for q in (0.25, 0.5, 0.75))
            axes.fill_between(x, low, high, color=color(theme, number), alpha=0.18, linewidth=0)
            axes.plot(x, middle, marker=marker(number), color=color(theme, number), label=short(label), markersize=5)
            for place, step in zip(x, own, strict=True):
                axes.annotate(
                    f"n={len(step)}", (place, middle[place - 1]), textcoords="offset points", xytext=(5, 6), fontsize=7
                )
        axes.set(xlabel="response after round", ylabel="residual (of range 2)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.15)
        axes.set_ylim(bottom=0)
        legend(figure, axes)
        return figure

    caption = (
        "Residual of each best response: the largest change of a control in it, with controls scaled to [-1, 1]. "
        "Line: median over the decisions that reached this step (n); band: their middle half."
    )
    return Plot("Residual per BNE round", caption, draw)


def learning_curves(curves: Mapping[str, Sequence[Curve]]) -> Plot:
    """Learning curves, one panel per quantity."""
    by_name: dict[tuple[str, str], dict[str, Curve]] = {}
    for run, own in curves.items():
        for curve in own:
            by_name.setdefault((curve.name, curve.unit), {})[run] = curve
    names = list(by_name)
    shown = names[:MAX_PANELS]
    order = list(curves)

    def draw(theme: Theme, width: float) -> Figure:
        above = legend_height([short(run) for run in order], width) if len(order) > 1 else 0.0
        figure, panels = _grid(width, len(shown), 2.0, above)
        for axes, name in zip(panels, shown, strict=True):
            for run, curve in by_name[name].items():
                _plot_curve(axes, curve, color(theme, order.index(run)), short(run))
            axes.set_title(short(name[0], 28))
            axes.set_xlabel(name[1])
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(4))
        if len(order) > 1:
            legend(figure, panels[0])
        return figure

    caption = (
        "Training curves by TensorBoard tag. Pale: raw values; strong: mean over a window of a tenth of the curve, if "
        "it has 50 points or more." + _left_out([name for name, _ in names])
    )
    return Plot("Learning curves", caption, draw, full=len(shown) > 2)


def _plot_curve(axes: Axes, curve: Curve, shade: str, label: str) -> None:
    window = len(curve.values) // 10 if len(curve.values) >= 50 else 1
    if window > 1:
        axes.plot(
            curve.steps, curve.values, color=shade, alpha=0.25, linewidth=0.8, rasterized=len(curve.values) > 2000
        )
        kernel = np.ones(window) / window
        smooth = np.convolve(curve.values, kernel, mode="valid")
        axes.plot(curve.steps[window - 1 :], smooth, color=shade, label=label)
    else:
        axes.plot(curve.steps, curve.values, color=shade, label=label, marker=".", markersize=4, linewidth=1.1)


def _grid(width: float, panels: int, height: float, above: float = 0.0, **share: bool) -> tuple[Figure, list[Axes]]:
    """A figure with this many panels, with as many in a row as fit, and room `above` them; all in inches."""
    columns = max(1, min(panels, int(width / (2.3 if width > 5 else 1.8))))
    rows = math.ceil(panels / columns)
    figure, axes = new_figure(width, height * rows + 0.5 + above, rows, columns, **share)
    for spare in axes[panels:]:
        spare.set_visible(False)
    return figure, axes[:panels]


def _left_out(names: Sequence[str]) -> str:
    rest = names[MAX_PANELS:]
    return f" Not drawn: {', '.join(rest)}." if rest else ""
