"""Lets another project's client ask a served team, in an environment of its own that is created at first use.

python benchmarks/clients/run.py openai http://127.0.0.1:8000/v1 PROBLEMS.json

It prints one line of JSON with the client's version and what it got. PROBLEMS.json is a list of questions that the team
can answer, each as `{"question": ..., "answer": ...}`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

sys.path.append(str(Path(__file__).parents[2]))  # of a script, only its own folder is on the path
from benchmarks.overlays import cache_option, python_with

HERE = Path(__file__).parent
PYTHON = ("openai", "litellm", "langchain", "inspect", "lm_eval", "dspy", "llm")
"""Clients with a script `NAME_client.py` and its packages in `requirements-NAME.txt`."""
PROMPTFOO = "promptfoo"
"""The client from npm."""
CLIENTS = (*PYTHON, PROMPTFOO)


def node_package(name: str, cache: Path) -> Path:
    """The folder of a package from npm; `npm-NAME.txt` lists it and what it needs. It is installed at first use.

    Args:
        name: The package.
        cache: The folder for environments.

    Raises:
        click.ClickException: npm is missing or failed.
    """
    wanted = (HERE / f"npm-{name}.txt").read_text(encoding="utf-8").split()
    folder = cache.absolute() / f"{name}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    done = folder / "installed"
    if not done.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise click.ClickException(f"npm is missing, which installs {name}: install Node.js")
        click.echo(f"creating {folder}", err=True)
        shutil.rmtree(folder, ignore_errors=True)  # of an installation that was stopped
        folder.mkdir(parents=True)
        # What is optional takes a gigabyte; the part of it that is needed is in the list.
        quiet = ("--omit=optional", "--no-audit", "--no-fund", "--loglevel=error")
        if subprocess.run([npm, "install", "--prefix", folder, *quiet, *wanted], check=False).returncode:
            shutil.rmtree(folder)
            raise click.ClickException(f"npm could not install {name}; see its message above")
        done.touch()
    return folder / "node_modules" / name


@click.command()
@click.argument("client", type=click.Choice(CLIENTS))
@click.argument("url")
@click.argument("problems", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@cache_option("clients")
def main(client: str, url: str, problems: Path, cache: Path) -> None:
    """Let a client ask; the last line of its output is what it got, as JSON."""
    if client == PROMPTFOO:
        python, more = Path(sys.executable), {"PROMPTFOO_HOME": str(node_package(PROMPTFOO, cache))}
    else:
        python, more = python_with(client, [HERE / f"requirements-{client}.txt"], cache), {}
    command = [python, HERE / f"{client}_client.py", url, problems.absolute()]
    sys.exit(subprocess.run(command, env={**os.environ, **more}, check=False).returncode)


if __name__ == "__main__":
    main()
