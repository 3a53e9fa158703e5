"""Writes the report of runs: the HTML page, and the plots as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from econ_env.app.report.runs import Runs

REPORT_FILE = "report.html"
PLOTS_FOLDER = "plots"


def write_report(log_dirs: Sequence[str | Path], out: str | Path | None = None, baseline: str | None = None) -> Path:
    """Write `report.html`, and the plots as PNG into `plots/` beside it.

    Args:
        log_dirs: The log folders of one or more runs. Runs that differ only by the seed are pooled.
        out: The page's path; by default `report.html` in the first folder.
        baseline: The method that differences are relative to; by default the run's own choice.

    Returns:
        The path of the page.

    Raises:
        TraceError: A folder has no results, or something can't be read or written.
        ConfigError: No folder is given, or there is no such baseline.
    """
    from econ_env.app.report.runs import load_runs  # takes a second to import

    return write_page(load_runs(log_dirs, baseline), out)


def write_page(runs: Runs, out: str | Path | None = None) -> Path:
    """Write the report for loaded runs.

    Raises:
        TraceError: Something can't be read or written.
    """
    from econ_env.app.report.curves import read_all_curves
    from econ_env.app.report.episodes import pack_episodes
    from econ_env.app.report.page import render_page
    from econ_env.app.report.plots import all_plots
    from econ_env.app.report.style import render_png
    from econ_env.app.report.tables import all_tables
    from econ_env.errors import TraceError

    target = runs.runs[0].path / REPORT_FILE if out is None else Path(out)
    plots = all_plots(runs, read_all_curves(runs.runs))
    page = render_page(runs, all_tables(runs), plots, pack_episodes(runs))
    try:
        folder = target.parent / PLOTS_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for name, plot in plots.items():
            (folder / f"{name}.png").write_bytes(render_png(plot.draw))
        target.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise TraceError(f"{error.filename or target} can't be written: {error.strerror}") from error
    return target
