"""Draws accuracy against calls: each method a point with its interval, and the frontier of those that can be played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.on_record.contest import BOUNDS
from econ_env.app.compare import readable_name

COLORS = {"learned": "#d55e00", "rule": "#0072b2", "bound": "#5f6770"}
"""From Okabe and Ito, distinct for colour-blind readers too."""

VOTES = "sc@"
"""What the names of votes of fixed size start with: they share a line, without names and bars of their own."""

NEAR = 0.02
"""Points share a label if they lie closer, as a share of the largest number of calls and of 50 points."""


def kind_of(method: str) -> str:
    """`learned`, `rule` or `bound`."""
    if method in BOUNDS:
        return "bound"
    return "learned" if method.startswith("econ") else "rule"


def named(method: str) -> str:
    """A method's name for readers: its key's, or what the learned team pays for a call."""
    base, _, price = method.partition("@")
    if base == "econ":
        return f"{price} a call" if price else "ECON"
    return "ECON, sampling alone" if base == "econ_sampling" else readable_name(method)


def frontier(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that no other one beats at as few calls, by calls."""
    best, kept = 0.0, []
    for row in sorted(rows, key=lambda row: (row["calls"], -row["accuracy"])):
        if row["accuracy"] > best:
            best = row["accuracy"]
            kept.append(row)
    return kept


def labels(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, list[str]]]:
    """Where each label stands, in calls and percent; methods of a kind whose points lie close together share one."""
    widest = max(row["calls"] for row in rows)
    placed: list[tuple[float, float, list[str]]] = []
    for row in sorted(rows, key=lambda row: -row["accuracy"]):
        point = 100.0 * row["accuracy"]
        near = (
            names
            for calls, other, names in placed
            if kind_of(names[0]) == kind_of(row["method"])
            and abs(calls - row["calls"]) < NEAR * widest
            and abs(other - point) < 100.0 * NEAR / 2.0
        )
        found = next(near, None)
        if found is None:
            placed.append((row["calls"], point, [row["method"]]))
        else:
            found.append(row["method"])
    return placed


def draw(rows: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Write the picture.

    Args:
        rows: As `intervals.rows` makes them.
        title: Above the picture.
        path: File to write, such as `recorded.png`.
    """
    votes = [row for row in rows if row["method"].startswith(VOTES)]
    rows = [row for row in rows if not row["method"].startswith(VOTES)]
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    for kind, label in (
        ("learned", "ECON, by the price of a call"),
        ("rule", "rules of thumb"),
        ("bound", "bounds, not playable"),
    ):
        own = [row for row in rows if kind_of(row["method"]) == kind]
        if not own:
            continue
        points = [100.0 * row["accuracy"] for row in own]
        spread = [
            [point - 100.0 * row["ci"][0] for point, row in zip(points, own, strict=True)],
            [100.0 * row["ci"][1] - point for point, row in zip(points, own, strict=True)],
        ]
        axes.errorbar(
            [row["calls"] for row in own], points, yerr=spread, fmt="D" if kind == "learned" else "o",
            color=COLORS[kind], label=label, capsize=2, elinewidth=0.8, markersize=5,
        )  # fmt: skip
    playable = frontier([row for row in [*votes, *rows] if kind_of(row["method"]) != "bound"])
    _join(axes, playable, "-", "#999999", "frontier")
    _join(axes, [row for row in rows if row["method"].startswith("econ@")], "-", COLORS["learned"], None)
    if votes:
        _join(axes, votes, ".:", COLORS["rule"], f"votes of 1 to {len(votes)}")
    axes.margins(x=0.06)
    axes.set_xlim(left=0.0)
    axes.set(xlabel="calls per problem", ylabel="right, % (bars: 95%)", title=title)
    axes.grid(visible=True, linewidth=0.3)
    axes.legend(loc="lower right", fontsize=8)
    _label(axes, rows)
    figure.savefig(path, dpi=150)


def _join(axes: Axes, rows: Sequence[Mapping[str, Any]], form: str, color: str, label: str | None) -> None:
    ordered = sorted(rows, key=lambda row: row["calls"])
    axes.plot(
        [row["calls"] for row in ordered], [100.0 * row["accuracy"] for row in ordered],
        form, color=color, label=label, linewidth=1.0, zorder=0,
    )  # fmt: skip


def _label(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write names beside the points, moved until they hide no name, point or bar."""
    axes.figure.draw_without_rendering()  # places are known only then
    spots = [(row["calls"], 100.0 * share) for row in rows for share in (row["accuracy"], *row["ci"])]
    texts = [axes.text(calls, point, "\n".join(map(named, names)), fontsize=8) for calls, point, names in labels(rows)]
    adjust_text(
        texts, x=[calls for calls, _ in spots], y=[point for _, point in spots], ax=axes,
        expand=(1.1, 1.3), force_text=(0.3, 0.5), iter_lim=300,
        arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5},
    )  # fmt: skip
