"""Trains EPyMARL's own QMIX from a checkout of its repository, with the file that this package ships for it.

git clone https://github.com/uoe-agents/epymarl
python benchmarks/plugins/run.py epymarl_itself epymarl

EPyMARL is not on PyPI, so this is no part of `make thirdparty`, which runs the script on a stand-in. The checkout is
only read: its code runs in a temporary copy, which also takes what it writes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import click
from known_task import TEST_EPISODES, arguments, print_trial

from econ_env.wrappers import epymarl_config

EPISODES = 5000
TRAINING = {
    "t_max": EPISODES,
    "epsilon_anneal_time": EPISODES // 2,
    "target_update_interval_or_tau": 0.02,
    "test_interval": 10 * EPISODES,  # the policy is tested below, on other problems
    "save_model": True,
    "save_model_interval": EPISODES,
}
"""What the algorithm's own file sets for millions of steps must be given here, since it has the last word."""
RETURN = re.compile(r"test_return_mean:\s+(-?[\d.]+)")


class Checkout:
    """A copy of EPyMARL's code in a folder that also has problems as files, and a place for models."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self._main, self.models = folder / "src" / "main.py", folder / "models"
        self._problems = folder / "train.jsonl", folder / "test.jsonl"
        shutil.copytree(checkout / "src", folder / "src")
        for test, path in enumerate(self._problems):
            rows = ({"question": p.question, "answer": p.answer} for p in arguments(bool(test))["problems"])
            path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        stubs = folder / "stubs"
        stubs.mkdir()
        if importlib.util.find_spec("smaclite") is None:
            (stubs / "smaclite.py").touch()  # EPyMARL imports it for any environment; PyPI has no such package
        here = Path(__file__).parent
        self._path = os.pathsep.join(map(str, (stubs, here, here.parents[1])))

    def run(self, settings: Mapping[str, object], *, test: bool) -> str:
        """What EPyMARL prints when it runs QMIX on the simulated team, on training or test problems.

        Raises:
            click.ClickException: It failed.
        """
        chosen = {
            "seed": 0,
            "env_args.problems": self._problems[test],
            "env_args.llm": "known_task:team_llm",
            "local_results_path": self.models.parent,
            **settings,
        }
        command = [sys.executable, self._main, "--config=qmix", f"--env-config={epymarl_config()}", "with"]
        done = subprocess.run(
            [*command, *(f"{name}={value}" for name, value in chosen.items())],
            env={**os.environ, "PYTHONPATH": self._path, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise click.ClickException(f"EPyMARL stopped with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout

    def test_return(self, load_step: int) -> float:
        """Mean return of greedy actions on test problems, of the model saved nearest to a step; 0 is the last one."""
        (last,) = self.models.rglob(f"{max(int(path.name) for path in self.models.rglob('[0-9]*'))}")
        models = last.parent  # its name holds the id, whose slash makes a folder more
        settings = {
            "evaluate": True,
            "checkpoint_path": models,
            "load_step": load_step,
            "test_nepisode": TEST_EPISODES,
        }
        return float(RETURN.findall(self.run(settings, test=True))[-1])


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(checkout: Path) -> None:
    """Train QMIX of the EPyMARL in the folder CHECKOUT, and print the result as JSON."""
    if not (checkout / "src" / "main.py").exists():
        raise click.BadParameter(f"{checkout} is no checkout of EPyMARL: it has no src/main.py", param_hint="CHECKOUT")
    with tempfile.TemporaryDirectory() as folder:
        theirs = Checkout(checkout, Path(folder))
        start = time.perf_counter()
        theirs.run(TRAINING, test=False)
        seconds = time.perf_counter() - start
        print_trial("epymarl", _commit(checkout), EPISODES, seconds, theirs.test_return(1), theirs.test_return(0))


def _commit(checkout: Path) -> str:
    if not (checkout / ".git").exists():
        return "unknown"
    asked = subprocess.run(
        ["git", "-C", checkout, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


if __name__ == "__main__":
    main()
