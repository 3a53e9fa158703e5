"""Memory does not grow with the number of problems, nor our own work per call with the team."""

import cProfile
import json
import pstats
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.measure.memory import Timed, made_up, main
from econ_env import parallel_env
from econ_env.llm import background
from econ_env.simulation.model import SimulatedLLM

ROOT = Path(__file__).parents[2]
GROWTH = 8.0
"""MiB that fragments of memory may come to while 10,000 problems are answered. Each of them writes 10 kB of rows and
traces, of which any that were kept would show: 4 kB a row was 40 MiB."""

MEASURE = """
import json
from benchmarks.measure.memory import memory
seen = []
memory({6_000, 11_000, 16_000}, seen.append)
print(json.dumps(seen))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_is_flat():
    """In a process of its own: caches are full after 6,000 problems, which 20,000 texts and more are said about."""
    run = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    seen = {problems: resident for problems, resident, _ in json.loads(run.stdout)}
    assert seen.keys() == {6_000, 11_000, 16_000}
    assert seen[16_000] < seen[6_000] + GROWTH


def function_calls(n_agents: int, episodes: int) -> float:
    """Python functions called per model call, in all that an environment does."""
    problems = made_up(2 + episodes)
    llm = Timed(SimulatedLLM(problems))
    env = parallel_env(problems, llm=llm, embedder="hash", n_agents=n_agents)
    actions = {agent: np.array([0.7, 1.1], np.float32) for agent in env.possible_agents}
    profile = cProfile.Profile()

    async def play() -> None:
        for number in range(2 + episodes):
            if number == 2:  # all is loaded
                llm.calls = 0
                profile.enable()
            await env.areset(seed=0, options={"problem": number})
            await env.adeliberate(actions)
            await env.astep(actions)
        profile.disable()

    background.run(play())
    return pstats.Stats(profile).total_calls / llm.calls


def test_own_work_per_call_does_not_grow_with_the_team():
    small, middle, large = (function_calls(n_agents, 48 // n_agents) for n_agents in (3, 12, 48))
    assert large < 1.1 * middle  # the simulated coordinator that merges twelve clusters reads more
    assert large < small


@pytest.mark.slow
def test_it_prints_memory_and_work_for_each_team():
    ran = CliRunner().invoke(main, ["--problems", "20", "--agents", "3", "--agents", "5", "--calls", "20"])
    assert ran.exit_code == 0, ran.output
    rows = [re.findall(r"[\d.,]+", line) for line in ran.output.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == ["2", "10", "20", "3", "5"]
    assert all(float(cell) > 0 for row in rows for cell in row[1:2])
