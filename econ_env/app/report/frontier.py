"""Draws accuracy against cost: every method with its interval, the frontier of those that can be played, and bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from econ_env.app.compare import statistics
from econ_env.app.compare.readable import BOUNDS, base_of, run_of
from econ_env.app.report.runs import Runs
from econ_env.app.report.style import Plot, Theme, color, legend, legend_height, marker, new_figure, short

COSTS = {
    "calls": ("Accuracy against calls", "calls per problem"),
    "tokens": ("Accuracy against tokens", "tokens per problem"),
}
"""Title and axis of each cost."""


class Point(NamedTuple):
    """A method or a bound."""

    label: str
    """As the legend has it."""
    run: str
    """Its run; empty if there is one."""
    cost: float
    """Mean cost per problem."""
    share: float
    """Share of right answers."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    """Upper end."""
    bound: bool
    """Whether nobody can play it, because it knows the right answers."""


def frontiers(runs: Runs) -> dict[str, Plot]:
    """Accuracy against calls and against tokens, by file name; a cost that all methods have at 0 is left out."""
    found = {cost: points(runs, cost) for cost in COSTS}
    known = {cost: own for cost, own in found.items() if any(point.cost for point in own)}
    return {f"accuracy_{cost}": _plot(own, *COSTS[cost], full=len(known) == 1) for cost, own in known.items()}


def points(runs: Runs, cost: str) -> list[Point]:
    """All judged methods in the order of the tables, then a bound for each run.

    The bound is a perfect choice among the replies of one method, that of the run with the most to choose from; it
    costs what this method costs.

    Args:
        runs: Rows and overview.
        cost: `calls` or `tokens`.
    """
    judged = {label: part for label, part in runs.overview["methods"].items() if part["accuracy"]}
    found = []
    for label, part in judged.items():
        share, low, high = (part["accuracy"]["estimate"][end] for end in ("value", "low", "high"))
        bound = base_of(label) in BOUNDS
        name = f"{runs.names[label]} (bound)" if bound else runs.names[label]
        found.append(Point(name, run_of(label), part["cost"][cost], share, low, high, bound))
    return [*found, *(_bound(runs, label, judged[label], cost) for label in _bounding(judged))]


def _bounding(judged: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The label of each run whose replies hold a right one most often, if choosing among them could help."""
    best: dict[str, str] = {}
    for label, part in judged.items():
        share, run = part["executors"]["any"], run_of(label)
        if base_of(label) in BOUNDS or share is None or share <= part["accuracy"]["estimate"]["value"]:
            continue
        if run not in best or share > judged[best[run]]["executors"]["any"]:
            best[run] = label
    return list(best.values())


def _bound(runs: Runs, label: str, part: Mapping[str, Any], cost: str) -> Point:
    judged = [row for row in runs.methods[label] if row["verdict"] != "failed"]
    some = [any(reply["verdict"] == "correct" for reply in row["replies"]) for row in judged]
    rows = [{**row, "verdict": "correct" if right else "wrong"} for row, right in zip(judged, some, strict=True)]
    found = statistics.accuracy(rows)
    assert found is not None, "the method was judged"
    share, low, high = found.estimate
    assert low is not None and high is not None, "shares always have bounds"  # noqa: PT018
    prefix = f"{run_of(label)}: " if run_of(label) else ""
    return Point(f"{prefix}any reply right (bound)", run_of(label), part["cost"][cost], share, low, high, bound=True)


def frontier(found: Sequence[Point]) -> list[Point]:
    """The points that can be played and that no other one reaches or beats at as little cost, by cost."""
    best, kept = -1.0, []
    for point in sorted((point for point in found if not point.bound), key=lambda point: (point.cost, -point.share)):
        if point.share > best:
            best = point.share
            kept.append(point)
    return kept


def _plot(found: Sequence[Point], title: str, axis: str, *, full: bool) -> Plot:
    def draw(theme: Theme, width: float) -> Figure:
        labels = [short(point.label) for point in found]
        figure, (axes,) = new_figure(width, 3.2 + legend_height([*labels, "frontier"], width))
        for run in dict.fromkeys(point.run for point in found):
            line = frontier([point for point in found if point.run == run])
            axes.plot(
                [point.cost for point in line], [100 * point.share for point in line], color=theme.soft, linewidth=1.0,
                linestyle=(0, (4, 2)), zorder=1, label="frontier" if run == found[0].run else None,
            )  # fmt: skip
        for number, (point, label) in enumerate(zip(found, labels, strict=True)):
            ends = (point.share - point.low, point.high - point.share)
            spread = [[100 * max(end, 0.0)] for end in ends]  # rounding may put a bound beside 0% or 100%
            shade = theme.soft if point.bound else color(theme, number)
            axes.errorbar(
                point.cost, 100 * point.share, yerr=spread, fmt="_" if point.bound else marker(number), color=shade,
                markersize=13 if point.bound else 6, markeredgewidth=2.0 if point.bound else None, capsize=2.5,
                elinewidth=1.1, label=label,
            )  # fmt: skip
        low, high = _limits(found)
        axes.set(xlabel=axis, ylabel="accuracy (%)", ylim=(low, high))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.set_xlim(left=0, right=1.06 * max(point.cost for point in found))
        legend(figure, axes)
        return figure

    caption = (
        f"Accuracy in % with its 95% interval against the mean number of {axis}; up and left is better. Dashed: the "
        "frontier, the methods that no other reaches at as little cost."
    )
    if any(point.bound for point in found):
        caption += " Grey bars: bounds, which know the right answers and can't be played."
    if _limits(found)[0] > 0:
        caption += f" The scale starts at {_limits(found)[0]:.0f}%."
    return Plot(title, caption, draw, full, "; ".join(_said(point, axis) for point in found))


def _said(point: Point, axis: str) -> str:
    low, middle, high = 100 * point.low, 100 * point.share, 100 * point.high
    return f"{point.label}: {middle:.1f}% ({low:.1f} to {high:.1f}) at {point.cost:,.1f} {axis}"


def _limits(found: Sequence[Point]) -> tuple[float, float]:
    """Ends of the scale in %: all intervals with a margin, and 0 if the lowest is near it."""
    low, high = 100 * min(point.low for point in found), 100 * max(point.high for point in found)
    start = 5.0 * ((low - 3.0) // 5.0)
    return (start if start >= 30.0 else 0.0), min(102.0, high + 3.0)
