"""Measures start-up times, each in a separate process."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.speed.lines import Line, in_turns

FIRST_ANSWER = """
import numpy as np
import econ_env
env = econ_env.parallel_env(problems="bundled:1", n_agents=3, llm="simulated", embedder="hash")
env.reset(seed=0)
env.step({agent: np.array([0.7, 1.1], np.float32) for agent in env.agents})
"""
SCRIPT = Path(__file__).parents[1] / "run_math_test.py"


def start() -> list[Line]:
    """Seconds for import, help and first answer, against importing a library that such a program needs anyway."""
    run = [sys.executable, "-c"]
    commands = {
        "import pettingzoo": [*run, "import pettingzoo"],
        "import econ_env": [*run, "import econ_env"],
        "econ --help": [str(Path(sys.executable).with_name("econ")), "--help"],
        "run_math_test.py --help": [sys.executable, str(SCRIPT), "--help"],
        "first answer, simulated team": [*run, FIRST_ANSWER],
        "import tianshou": [*run, "import tianshou.algorithm"],
        "import econ_agents.train": [*run, "import econ_agents.train"],
    }
    times = in_turns([partial(_seconds, command) for command in commands.values()], repeats=3)
    took = dict(zip(commands, times, strict=True))
    pairs = [
        ("import econ_env", "import pettingzoo"),
        ("econ --help", "import pettingzoo"),
        ("run_math_test.py --help", "import pettingzoo"),
        ("first answer, simulated team", "import pettingzoo"),
        ("import econ_agents.train", "import tianshou"),
    ]
    lines = [Line("start", what, took[what], "s", other, took[other], "lower") for what, other in pairs]
    return [Line("start", "import econ_env", took["import econ_env"], "s", "one second", 1.0, "lower", 1.0), *lines]


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
