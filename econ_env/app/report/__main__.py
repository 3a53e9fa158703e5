"""Writes a report of runs: `python -m econ_env.app.report LOGDIR... [--out FILE]`."""

from __future__ import annotations

from pathlib import Path

import click

from econ_env.app.options import main


@click.command()
@click.argument("log_dirs", nargs=-1, required=True, metavar="LOGDIR...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page [default: report.html in the first LOGDIR].",
)
@click.option("--baseline", help="The method that differences are taken to [default: what the run chose].")
@click.option("--summary-only", is_flag=True, help="Print the summary alone and write nothing.")
def report(log_dirs: tuple[Path, ...], out: Path | None, baseline: str | None, summary_only: bool) -> None:
    """Summarise runs on the terminal, and write a page to look at and plots for papers."""
    from econ_env.app.report.runs import load_runs
    from econ_env.app.report.terminal import print_summary
    from econ_env.app.report.write import write_page
    from econ_env.app.runs.display import console

    runs = load_runs(log_dirs, baseline)
    print_summary(console, runs)
    if not summary_only:
        with console.status("writing the page"):
            page = write_page(runs, out)
        console.print(f"\nwritten: {page} and {page.parent / 'plots'}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main(report)
