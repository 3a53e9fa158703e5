"""Runs another project's trainer on the environment, in a Python environment that is created at first use.

python benchmarks/plugins/run.py torchrl_mappo

Each group of projects gets an environment of its own, in a cache folder (`benchmarks/overlays.py`). What is in the
`alone-` file of a script is installed without the packages it asks for: it asks for an old gymnasium, but runs with a
new one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

sys.path.append(str(Path(__file__).parents[2]))  # of a script, only its own folder is on the path
from benchmarks.overlays import cache_option, python_with

HERE = Path(__file__).parent
OVERLAYS = {
    "own": ("tianshou_ddpg", "epymarl_qmix"),
    "shared": ("torchrl_mappo", "sb3_supersuit", "skrl_mappo"),
    "benchmarl": ("benchmarl_task",),
    "rllib": ("rllib_ppo",),
    "agilerl": ("agilerl_maddpg",),
    "offline": ("d3rlpy_offline",),
    "old_numpy": ("xuance_mappo", "sample_factory_appo"),
    "epymarl": ("epymarl_itself",),
}
"""Scripts that can share a Python environment; `own` is the one that runs this file."""
TRIALS = [name for names in OVERLAYS.values() for name in names]


def python_for(trial: str, cache: Path) -> Path:
    """The interpreter that can run a trial; creates its Python environment if needed.

    Args:
        trial: One of `TRIALS`.
        cache: The folder for Python environments.

    Raises:
        click.ClickException: pip failed to install its packages.
    """
    overlay = next(name for name, names in OVERLAYS.items() if trial in names)
    if overlay == "own":
        return Path(sys.executable)
    names = OVERLAYS[overlay]
    alone = [file for name in names if (file := HERE / f"alone-{name}.txt").exists()]
    return python_with(overlay, [HERE / f"requirements-{name}.txt" for name in names], cache, alone=alone)


@click.command()
@click.argument("trial", type=click.Choice(TRIALS))
@click.argument("options", nargs=-1)
@cache_option("plugins")
def main(trial: str, options: tuple[str, ...], cache: Path) -> None:
    """Run one trial; the last line of its output is the result as JSON. OPTIONS are given to its script."""
    python = python_for(trial, cache)
    sys.exit(subprocess.run([python, HERE / f"{trial}.py", *options], check=False).returncode)


if __name__ == "__main__":
    main()
