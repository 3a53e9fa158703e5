"""Runs another project's trainer on the environment, in a Python environment that is created at first use.

python benchmarks/plugins/run.py torchrl_mappo

These projects need versions that conflict, so they can't share one Python environment. Each group gets its own, in a
cache folder, on top of the one that runs this file: packages installed here (torch, econ_env) are visible and not
installed again; only the other packages of its `requirements-*.txt` are added.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import version
from pathlib import Path

import click
from platformdirs import user_cache_path

HERE = Path(__file__).parent
OVERLAYS = {
    "own": ("tianshou_ddpg", "epymarl_qmix"),
    "shared": ("torchrl_mappo", "sb3_supersuit", "skrl_mappo"),
    "benchmarl": ("benchmarl_task",),
    "rllib": ("rllib_ppo",),
    "agilerl": ("agilerl_maddpg",),
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
    files = [HERE / f"requirements-{name}.txt" for name in OVERLAYS[overlay]]
    torch = version("torch")
    inputs = [sys.version, sys.prefix, torch, *(file.read_text() for file in files)]
    folder = cache / f"{overlay}-{hashlib.sha256('|'.join(inputs).encode()).hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "installed"
    if not done.exists():
        _make(folder, python, files, torch)
        done.touch()
    return python


def _make(folder: Path, python: Path, files: list[Path], torch: str) -> None:
    click.echo(f"creating {folder}", err=True)
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(folder)
    inside = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    below = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (Path(inside) / "_below.pth").write_text("".join(below))
    constraints = folder / "constraints.txt"
    constraints.write_text(f"torch=={torch.partition('+')[0]}\n")  # a newer one may bring gigabytes of CUDA
    wanted = [argument for file in files for argument in ("-r", str(file))]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(constraints)]
    if subprocess.run([*pip, *wanted], check=False).returncode:
        shutil.rmtree(folder)
        names = ", ".join(file.name for file in files)
        raise click.ClickException(f"pip could not install {names}; see its message above")


@click.command()
@click.argument("trial", type=click.Choice(TRIALS))
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="ECON_PLUGINS_CACHE",
    default=user_cache_path("econ-bne") / "plugins",
    show_default=True,
    help="Folder for the Python environments.",
)
def main(trial: str, cache: Path) -> None:
    """Run one trial; the last line of its output is the result as JSON."""
    python = python_for(trial, cache.absolute())
    sys.exit(subprocess.run([python, HERE / f"{trial}.py"], check=False).returncode)


if __name__ == "__main__":
    main()
