"""Measures whether memory grows with the number of problems, and our own work per call with the team size.

A simulated team answers in this process, instantly and without a cache, with the hash embedder instead of a model. So
only our own code takes time and memory. Every episode is judged, rewarded and written as in a test.
"""

from __future__ import annotations

import gc
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console
from rich.table import Table

from econ_agents.baselines import FixedControls
from econ_agents.config import AgentConfig
from econ_agents.equilibrium import Acts
from econ_agents.evaluate import evaluate_each
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_agents.trial import EpisodeResult, Trial
from econ_env import parallel_env
from econ_env.app import RunConfig
from econ_env.app.runs import RunFolder, make_record
from econ_env.env import EconParallelEnv
from econ_env.llm import ChatRequest, Completion, LLMInfo
from econ_env.problems import ProblemSet
from econ_env.records import Problem
from econ_env.simulation import SimulatedLLM

CONTROLS = (0.7, 1.1)
IN_FLIGHT = 6
WARM_UP = 20
"""Problems before timing starts, so that everything is loaded."""


class Memory(NamedTuple):
    """Memory of the process after a number of problems."""

    problems: int
    """Problems answered, judged and written."""
    resident: float
    """Resident memory in MiB."""
    seconds: float
    """Seconds since the first problem."""


class Work(NamedTuple):
    """Work per call of a team."""

    agents: int
    """Executors."""
    calls: int
    """Model calls."""
    cpu: float
    """Milliseconds of processor time per call, without the simulated model's own time."""


class Timed:
    """A model that records its own processor time."""

    def __init__(self, llm: SimulatedLLM) -> None:
        self.llm, self.calls, self.cpu = llm, 0, 0.0

    @property
    def info(self) -> LLMInfo:
        """Info of the simulated model."""
        return self.llm.info

    async def complete(self, request: ChatRequest) -> Completion:
        """Answer at once."""
        start = time.thread_time()
        try:
            return await self.llm.complete(request)
        finally:
            self.calls += 1
            self.cpu += time.thread_time() - start

    async def aclose(self) -> None:
        """Nothing to release."""


def made_up(count: int) -> ProblemSet:
    """`count` different problems."""
    problems = (
        Problem(f"Tom has {n} apples and buys {n + 3} more. How many are there?", str(2 * n + 3), f"apples-{n}")
        for n in range(count)
    )
    return ProblemSet(tuple(problems), source="made up")


def resident() -> float:
    """Resident memory of this process in MiB; Linux only."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(moments: Collection[int], tell: Callable[[Memory], None]) -> None:
    """Answer problems and measure memory.

    Args:
        moments: Numbers of problems after which to measure; the largest one ends the run.
        tell: Called with each measurement.
    """
    problems = made_up(max(moments))
    llm = SimulatedLLM(problems)
    answered = itertools.count(1)
    config, start = RunConfig(), time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place), {"config": {}}, resume=False)

        def make_env() -> EconParallelEnv:
            return parallel_env(problems, llm=llm, embedder="hash", trace=folder.rounds_file)

        def record(result: EpisodeResult, env: EconParallelEnv) -> None:
            assert env.episode is not None
            folder.add(*make_record("fixed", result, env.episode, config, env.answer_rule))
            count = next(answered)
            if count in moments:
                tell(Memory(count, resident(), time.perf_counter() - start))

        policy = FixedControls(TeamSpec.of(make_env()), CONTROLS)
        numbers = range(len(problems))
        evaluate_each(Trial(policy, rounds=1, gaps=False), make_env, numbers, record, concurrency=IN_FLIGHT)
        folder.close()


def work(n_agents: int, calls: int, rounds: int | None) -> Work:
    """Let a team answer problems until it made about `calls` calls.

    Args:
        n_agents: Executors.
        calls: Model calls to measure.
        rounds: K of an untrained policy that also measures its gaps; `None` for fixed controls.
    """
    problems = made_up(WARM_UP + calls)
    llm = Timed(SimulatedLLM(problems))

    def make_env() -> EconParallelEnv:
        return parallel_env(problems, llm=llm, embedder="hash", n_agents=n_agents)

    spec = TeamSpec.of(make_env())
    policy: Acts = FixedControls(spec, CONTROLS) if rounds is None else EconPolicy(spec, AgentConfig())

    def play(numbers: Iterable[int]) -> None:
        k, gaps = rounds or 1, rounds is not None
        evaluate_each(Trial(policy, rounds=k, gaps=gaps), make_env, numbers, lambda *_: None, concurrency=IN_FLIGHT)

    play(range(WARM_UP))
    before, own = llm.calls, time.process_time() - llm.cpu
    play(itertools.takewhile(lambda _: llm.calls - before < calls, range(WARM_UP, len(problems))))
    own, made = time.process_time() - llm.cpu - own, llm.calls - before
    return Work(n_agents, made, 1000.0 * own / made)


@click.command()
@click.option(
    "--problems",
    type=click.IntRange(0),
    default=100_000,
    show_default=True,
    help="Problems to answer in total; 0 skips the memory test.",
)
@click.option(
    "--agents",
    multiple=True,
    type=click.IntRange(1),
    default=(3, 12, 48),
    show_default=True,
    help="Team sizes to measure.",
)
@click.option(
    "--calls", type=click.IntRange(1), default=2000, show_default=True, help="Model calls to measure per team."
)
def main(problems: int, agents: tuple[int, ...], calls: int) -> None:
    """Print resident memory after a tenth, a half and all of the problems, and our work per call for each team."""
    console = Console()
    if problems:
        table = Table("problems", "resident MiB", "seconds", "problems/s")
        seen: list[Memory] = []
        memory({max(1, problems // 10), max(1, problems // 2), problems}, seen.append)
        for at in seen:
            table.add_row(
                f"{at.problems:,}", f"{at.resident:.1f}", f"{at.seconds:.0f}", f"{at.problems / at.seconds:.0f}"
            )
        console.print(table)
    table = Table("executors", "CPU ms/call, fixed controls", "learner, K=1", "learner, K=3")
    for n_agents in agents:
        cells = [f"{work(n_agents, calls, rounds).cpu:.2f}" for rounds in (None, 1, 3)]
        table.add_row(str(n_agents), *cells)
    console.print(table)


if __name__ == "__main__":
    main()
