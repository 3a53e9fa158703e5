"""Sets sizes and colours of the plots and renders them: light and dark, for a page, a phone and a paper."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MARKERS = "osD^vPX*<>"
DOTS_PER_INCH = 300
"""Resolution of the images for papers."""
PAPER, FULL, WIDE, NARROW = 7.2, 12.0, 5.6, 3.7
"""Widths in inches: a paper, a wide page, half of a wide page or all of a narrower one, and a phone."""
MAX_LABEL = 40
"""Maximum characters of a label."""
LINE = 0.19
"""Height in inches of a line of text."""
_LETTER, _HANDLE = 0.068, 0.5
"""Widths in inches of a letter in a legend, and of what stands before a label."""
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours of a plot."""

    ink: str
    """Text."""
    soft: str
    """Lines and marks that are no series."""
    faint: str
    """Axes and grid."""
    palette: tuple[str, ...]
    """Colours of series, distinct for colour-blind readers too (Okabe & Ito, https://jfly.uni-koeln.de/color/)."""


LIGHT = Theme(
    "#22262b", "#5d6670", "#d4d7db",
    ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5f6770", "#8c6d1f"),
)  # fmt: skip
DARK = Theme(
    "#e6e4df", "#a2a9b1", "#43484f",
    ("#56b4e9", "#f08a4b", "#2fc79b", "#e59ac4", "#9ad4f5", "#f0b93a", "#a9b0b8", "#d9c46a"),
)  # fmt: skip

Draw = Callable[[Theme, float], Figure]
"""Draws a figure of a theme and a width in inches."""


@dataclass(frozen=True)
class Plot:
    """One figure of the report."""

    title: str
    """What it shows."""
    caption: str
    """How to read it, with units; also a part of the text for readers who can't see it."""
    draw: Draw
    """Draws it."""
    full: bool = False
    """Whether it takes the whole width of a wide page."""
    words: str = ""
    """What it shows in words, for readers who can't see it, where no table of the section has the same numbers."""


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **share: Any) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **share).flat)


def color(theme: Theme, number: int) -> str:
    """Colour of a series."""
    return theme.palette[number % len(theme.palette)]


def marker(number: int) -> str:
    """Marker of a series; with the colour, 40 series are distinct."""
    return MARKERS[number % len(MARKERS)]


def short(text: str, most: int = MAX_LABEL) -> str:
    """A label cut to so many characters; of a run and its method, the run is cut, and brackets at the end are kept."""
    if len(text) <= most:
        return text
    for mark in (": ", " ("):
        start, _, end = text.rpartition(mark)
        room = most - 1 - len(mark + end)
        if start and room > 3 and (mark == ": " or end.endswith(")")):
            return f"{start[:room]}…{mark}{end}"
    return f"{text[: most - 1]}…"


def legend_height(labels: Sequence[str], width: float) -> float:
    """Inches that a legend with these labels takes above a figure of this width."""
    return LINE * math.ceil(len(labels) / _legend_columns(labels, width)) if labels else 0.0


def legend(figure: Figure, axes: Axes) -> None:
    """One legend above all axes, with as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        columns = _legend_columns(labels, figure.get_figwidth())
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False, handletextpad=0.4)


def _legend_columns(labels: Sequence[str], width: float) -> int:
    fits = int(width / (_HANDLE + _LETTER * max(map(len, labels))))
    return max(1, min(fits, len(labels)))


def render_svg(draw: Draw, theme: Theme, width: float) -> bytes:
    """The figure as SVG on a transparent ground, its text in the reader's own fonts."""
    with matplotlib.rc_context({**_settings(theme), "svg.fonttype": "none", "svg.hashsalt": "econ"}):
        file = io.BytesIO()
        draw(theme, width).savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return re.sub(rb"'DejaVu Sans'[^;\"]*", _FONTS.encode(), file.getvalue())


def render_png(draw: Draw) -> bytes:
    """The figure as PNG for a paper: light, wide, `DOTS_PER_INCH`."""
    with matplotlib.rc_context(_settings(LIGHT)):
        file = io.BytesIO()
        draw(LIGHT, PAPER).savefig(file, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return file.getvalue()


def _settings(theme: Theme) -> Any:
    """Settings of matplotlib; typed `Any`, because matplotlib requires literal key types."""
    colors: Sequence[str] = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")
    return {
        **dict.fromkeys(colors, theme.ink),
        **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), theme.faint),
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "lines.linewidth": 1.6,
        "text.parse_math": False,  # kinds and methods in labels may contain dollars
    }
