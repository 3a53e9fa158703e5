"""Makes Python environments on top of the one that runs this: only the packages of requirement files are added.

Other projects need versions that conflict, so they can't share one Python environment. Each gets its own, in a cache
folder. Packages installed here (torch, econ_env) are visible there and not installed again, unless a requirement file
asks for another version.
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
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from platformdirs import user_cache_path


def cache_option(kind: str) -> Callable[[Any], Any]:
    """The option `--cache`, a folder for environments of one kind: `plugins`, `engines` or `clients`."""
    return click.option(
        "--cache",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=f"ECON_{kind.upper()}_CACHE",
        default=user_cache_path("econ-bne") / kind,
        show_default=True,
        help="Folder for the environments.",
    )


def python_with(name: str, files: Sequence[Path], cache: Path, *, alone: Sequence[Path] = ()) -> Path:
    """The interpreter of an environment with the packages of requirement files; creates it at first use.

    An environment is used again until a file, the version of torch, or the Python below it changes.

    Args:
        name: Start of its folder's name.
        files: Requirement files.
        cache: The folder for environments.
        alone: Requirement files of packages that are installed without the packages they ask for.

    Raises:
        click.ClickException: pip failed to install the packages.
    """
    torch = version("torch")
    inputs = [sys.version, sys.prefix, torch, *(file.read_text() for file in (*files, *alone))]
    folder = cache.absolute() / f"{name}-{hashlib.sha256('|'.join(inputs).encode()).hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "installed"
    if not done.exists():
        click.echo(f"creating {folder}", err=True)
        _make(folder, torch)
        try:
            _install(python, files, "-c", folder / "constraints.txt")
            _install(python, alone, "--no-deps")
        except click.ClickException:
            shutil.rmtree(folder)
            raise
        done.touch()
    return python


def _make(folder: Path, torch: str) -> None:
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(folder)
    inside = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    below = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (Path(inside) / "_below.pth").write_text("".join(below))
    # A newer torch may bring gigabytes of CUDA.
    (folder / "constraints.txt").write_text(f"torch=={torch.partition('+')[0]}\n")


def _install(python: Path, files: Sequence[Path], *options: str | Path) -> None:
    if not files:
        return
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options]
    if subprocess.run([*pip, *(part for file in files for part in ("-r", file))], check=False).returncode:
        names = ", ".join(file.name for file in files)
        raise click.ClickException(f"pip could not install {names}; see its message above")
