"""Measures start-up times, each in a separate process."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.speed.lines import Line, in_turns
from econ_env.testing import FaultyServer

FIRST_ANSWER = """
import numpy as np
import econ_env
env = econ_env.parallel_env(problems="bundled:1", n_agents=3, llm="simulated", embedder="hash")
env.reset(seed=0)
env.step({agent: np.array([0.7, 1.1], np.float32) for agent in env.agents})
"""
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "run_math_test.py"
TEST_SCRIPT = ROOT / "benchmarks" / "test_math.py"
EMBEDDERS = ("hash", "minilm")
REPEATS = 3
WALL_AIM, PROCESSOR_AIM = 5.0, 4.0


class Started(NamedTuple):
    """What a script took from its start until its first model call reached the server."""

    wall: float
    """Seconds."""
    processor: float
    """Seconds of processor time, of all threads and of processes that have ended."""


def start() -> list[Line]:
    """Seconds for import, help, first answer, and the first model call of the scripts that train and test.

    The first three are compared with importing a library that such a program needs anyway.
    """
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
    times = in_turns([partial(_seconds, command) for command in commands.values()], repeats=REPEATS)
    took = dict(zip(commands, times, strict=True))
    pairs = [
        ("import econ_env", "import pettingzoo"),
        ("econ --help", "import pettingzoo"),
        ("run_math_test.py --help", "import pettingzoo"),
        ("first answer, simulated team", "import pettingzoo"),
        ("import econ_agents.train", "import tianshou"),
    ]
    lines = [Line("start", what, took[what], "s", other, took[other], "lower") for what, other in pairs]
    first = Line("start", "import econ_env", took["import econ_env"], "s", "one second", 1.0, "lower", 1.0)
    return [first, *lines, *_first_calls()]


def _first_calls() -> list[Line]:
    """Seconds and processor time until the first call, of training and of the test of a checkpoint, by embedder."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        data = place / "problems.jsonl"
        data.write_text(
            "".join(json.dumps({"question": f"What is {n} + 4?", "answer": str(n + 4)}) + "\n" for n in range(16))
        )
        commands: dict[str, list[object]] = {}
        for embedder in EMBEDDERS:
            models = place / embedder
            fixed = ["--no-cache", "--dataset", data, "--embedder", embedder, "--train-envs", 1]
            train = [sys.executable, SCRIPT, *fixed, "--train-eps", 8, "--test-eps", 4, "--model-dir", models]
            with FaultyServer() as server:
                _run([*train, "--llm", server.url, "--log-dir", place / f"{embedder}_logs"])
            test = [sys.executable, TEST_SCRIPT, *fixed[:-2], "--test-eps", 4, "--model-dir", models / "final"]
            commands[f"{SCRIPT.name}, {embedder}"] = train
            commands[f"{TEST_SCRIPT.name}, {embedder}"] = test
        taken = [[_first_call(command, place / "logs") for command in commands.values()] for _ in range(REPEATS)]
    lines = []
    for name, runs in zip(commands, zip(*taken, strict=True), strict=True):
        wall, processor = (statistics.median(values) for values in zip(*runs, strict=True))
        what = f"to the first call of {name}"
        lines.append(Line("start", what, wall, "s", "one second", 1.0, "lower", WALL_AIM))
        lines.append(Line("start", "processor time of it", processor, "s", "one second", 1.0, "lower", PROCESSOR_AIM))
    return lines


def _first_call(command: Sequence[object], logs: Path) -> Started:
    """Run a script until its first model call; the call is not answered, and the script is ended."""
    ended: list[float] = []

    def end(body: Mapping[str, Any]) -> str:
        if not ended:
            ended.append(time.perf_counter())
            running.kill()
        return ""

    with tempfile.TemporaryDirectory(dir=logs.parent) as folder, FaultyServer(end) as server:
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        running = _started([*command, "--llm", server.url, "--log-dir", Path(folder) / "logs"])
        running.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not ended:
        raise RuntimeError(f"{command[1]} ended without a call")
    return Started(ended[0] - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _run(command: Sequence[object]) -> None:
    if _started(command).wait():
        raise RuntimeError(f"{command[1]} failed")


def _started(command: Sequence[object]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(list(map(str, command)), env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
