"""Sets sizes and colours of the plots and renders them: light and dark, for a page, a phone and a paper."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MARKERS = "osD^vPX*hp"
DOTS_PER_INCH = 300
"""Resolution of the images for papers."""
WIDE, NARROW = 7.2, 3.7
"""Widths in inches: a page's column, and a phone."""
MAX_LABEL = 28
"""Maximum characters of a label."""
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours of a plot."""

    ink: str
    """Text."""
    faint: str
    """Axes and grid."""
    palette: tuple[str, ...]
    """Colours of series, distinct for colour-blind readers too (Okabe & Ito, https://jfly.uni-koeln.de/color/)."""


LIGHT = Theme(
    "#22262b", "#d4d7db",
    ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5f6770", "#8c6d1f"),
)  # fmt: skip
DARK = Theme(
    "#e6e4df", "#43484f",
    ("#56b4e9", "#f08a4b", "#2fc79b", "#e59ac4", "#9ad4f5", "#f0b93a", "#a9b0b8", "#d9c46a"),
)  # fmt: skip

Draw = Callable[[Theme, float], Figure]
"""Draws a figure of a theme and a width in inches."""


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


def short(text: str) -> str:
    """A label cut to `MAX_LABEL` characters."""
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend above all axes."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False, handletextpad=0.4)


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
        draw(LIGHT, WIDE).savefig(file, format="png", dpi=DOTS_PER_INCH, facecolor="white")
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
