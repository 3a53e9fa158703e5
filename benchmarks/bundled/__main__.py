"""Writes the bundled problem set to a file: `python -m benchmarks.bundled --seed 0 --out FILE`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.bundled.generate import write


@click.command()
@click.option("--seed", default=0, show_default=True, help="The package ships seed 0.")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, writable=True, path_type=Path), help="JSON lines file."
)
def main(seed: int, out: Path) -> None:
    """Write the bundled problem set for a seed."""
    click.echo(f"{write(out, seed)} problems written to {out}")


if __name__ == "__main__":
    main()
