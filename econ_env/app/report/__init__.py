"""Reports runs from their log folders: an HTML page, plots for papers and a summary for the terminal."""

from econ_env.app.report.write import REPORT_FILE, write_report

__all__ = ["REPORT_FILE", "write_report"]
