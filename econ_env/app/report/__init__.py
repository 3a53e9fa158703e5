"""Reports of runs: a page to look at, plots for papers and a summary for the terminal, from what runs have written."""

from econ_env.app.report.write import REPORT_FILE, write_report

__all__ = ["REPORT_FILE", "write_report"]
