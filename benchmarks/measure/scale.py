"""Measures problems per second of a run on 1, 2 and 4 workers, and finds the bottleneck.

Ray workers on this machine call a server in a separate process that answers instantly. Every episode is judged,
rewarded and written by the driver (the learner's process), as in a test. A run without Ray comes first. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.measure.memory import CONTROLS, made_up
from econ_agents.baselines import FixedControls
from econ_agents.evaluate import evaluate_each
from econ_agents.team_spec import TeamSpec
from econ_agents.trial import EpisodeResult, Trial
from econ_agents.workers import Workers
from econ_env.app import RunConfig, load_run_config, make_env
from econ_env.app.runs import RunFolder, make_record
from econ_env.app.train_test import Report, RunSite
from econ_env.problems import ProblemSet
from econ_env.traces import shared_lines

PART = "fixed"
WARM_UP = 50
"""Problems before measuring starts, so that everything is loaded and connections are open."""
BUSY = 0.85
"""A process that uses more than this share of a core counts as the bottleneck."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """Measurements of one run."""

    workers: int
    """Number of worker processes; 0 if the driver plays the problems."""
    problems: int
    """Problems answered, judged and written."""
    seconds: float
    """Wall time."""
    server_cores: float
    """Cores kept busy by the server."""
    driver_cores: float
    """Cores kept busy by the driver, which distributes problems and writes results."""
    worker_cores: float
    """Cores kept busy by all workers together."""
    ray_cores: float
    """Cores kept busy by Ray's own processes."""
    other_cores: float
    """Cores kept busy by other programs."""

    @property
    def rate(self) -> float:
        """Problems per second."""
        return self.problems / self.seconds

    def bottleneck(self, cores: int) -> str:
        """The bottleneck of the run, judged by processor times."""
        parts = {"workers": self.worker_cores, "server": self.server_cores, "driver": self.driver_cores}
        if sum(parts.values()) + self.ray_cores + self.other_cores > BUSY * cores:
            most = max(parts, key=lambda name: parts[name])
            others = " and with other programs" if self.other_cores > 0.1 * cores else ""
            return f"this machine: its cores are busy, most with the {most}{others}"
        if self.driver_cores > BUSY:
            return "the driver's core"
        if self.workers and self.worker_cores > BUSY * self.workers:
            return "the workers' cores: more workers would help"
        return "the server's core" if self.server_cores > BUSY else "waiting, not processor time"


@contextmanager
def server(latency: float) -> Iterator[tuple[str, int]]:
    """Start a server in a separate process; yields its base URL and process id."""
    command = [sys.executable, "-m", "econ_env.testing.faulty_server", "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
        process.stdin.close()


def cpu(processes: Iterable[int]) -> float:
    """Processor seconds that processes have used so far; ended processes count 0."""
    total = 0
    for process in processes:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def machine() -> float:
    """Processor seconds used by all programs on the cores of this process."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.removeprefix("cpu").isdigit() and int(name.removeprefix("cpu")) in os.sched_getaffinity(0):
            user, nice, system, _idle, _waiting, *more = map(int, fields)
            total += user + nice + system + sum(more[:3])  # interrupts, and time taken by the host
    return total / TICKS


def descendants(process: int) -> list[int]:
    """Ids of all child processes of a process, at any depth."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return children + [below for child in children for below in descendants(child)]


def settings(url: str, concurrency: int) -> RunConfig:
    """Settings of a run on this server, without a cache."""
    llm = {"llm.backend": url, "llm.concurrency": concurrency, "llm.cache": False}
    return load_run_config(None, (), {**llm, "embedder": "hash"})


def measure(config: RunConfig, problems: ProblemSet, workers: Workers | None, server_process: int) -> Run:
    """Answer all problems, in workers or in this process.

    Args:
        config: Settings of the run.
        problems: The problems; the first `WARM_UP` are not measured.
        workers: The workers that play; `None` for this process.
        server_process: The server's process id.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place), {"config": {}}, resume=False)

        def record(result: EpisodeResult, shown: Any) -> None:
            if isinstance(shown, Report):
                for row in shown.rounds:
                    shared_lines(folder.rounds_file).append(row)
                assert shown.record is not None
                folder.add(*shown.record)
            else:
                folder.add(*make_record(PART, result, shown.episode, config, shown.answer_rule))

        here: Callable[[], Any] = lambda: make_env(config, problems, folder.rounds_file)  # noqa: E731
        make = here if workers is None else workers.envs(PART)
        policy = FixedControls(TeamSpec.of(here()), CONTROLS)

        def play(numbers: Sequence[int]) -> None:
            flying = config.problems_in_flight
            evaluate_each(Trial(policy, rounds=1, gaps=False), make, numbers, record, concurrency=flying)

        play(range(WARM_UP))
        playing = [] if workers is None else workers.processes()
        groups = {
            "server": [server_process],
            "driver": [os.getpid()],
            "worker": playing,
            "ray": [process for process in descendants(os.getpid()) if process not in (server_process, *playing)],
        }
        before, all_before = {name: cpu(processes) for name, processes in groups.items()}, machine()
        start = time.perf_counter()
        play(range(WARM_UP, len(problems)))
        seconds = time.perf_counter() - start
        taken = {name: cpu(groups[name]) - before[name] for name in groups}
        others = max(0.0, machine() - all_before - sum(taken.values()))
        folder.close()
    busy = {f"{name}_cores": spent / seconds for name, spent in {**taken, "other": others}.items()}
    return Run(len(playing), len(problems) - WARM_UP, seconds, **busy)


def scale(counts: Sequence[int], n_problems: int, concurrency: int, latency: float) -> Iterator[Run]:
    """One run for each number of workers, each with a new server; 0 means this process alone."""
    problems = made_up(WARM_UP + n_problems)
    for count in counts:
        with server(latency) as (url, process):
            config = settings(url, concurrency)
            if count == 0:
                yield measure(config, problems, None, process)
                continue

            def make_site(workers: int, config: RunConfig = config) -> RunSite:
                own = {"concurrency": -(-config.llm.concurrency // workers)}
                llm = config.llm.model_copy(update=own)
                return RunSite(config.model_copy(update={"llm": llm}), {PART: problems}, None)

            with Workers(make_site, count=count, address="local") as workers:
                yield measure(config, problems, workers, process)


@click.command()
@click.option("--workers", "counts", multiple=True, default=(0, 1, 2, 4), show_default=True, help="Numbers of workers.")
@click.option("--problems", default=2000, show_default=True, help="Problems to answer in each run.")
@click.option("--concurrency", default=64, show_default=True, help="Calls in flight, all workers together.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds per answer of the server.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the results to this JSON file.")
def main(counts: tuple[int, ...], problems: int, concurrency: int, latency: float, output: Path | None) -> None:
    """Print problems per second, cores kept busy by each part, and the bottleneck."""
    cores = len(os.sched_getaffinity(0))
    table = Table("workers", "problems/s", "driver", "workers", "server", "Ray", "others")
    runs = []
    for run in scale(counts, problems, concurrency, latency):
        name = "none" if run.workers == 0 else str(run.workers)
        busy = (run.driver_cores, run.worker_cores, run.server_cores, run.ray_cores, run.other_cores)
        table.add_row(name, f"{run.rate:.0f}", *(f"{share:.2f}" for share in busy))
        runs.append({**asdict(run), "problems_per_second": run.rate, "bottleneck": run.bottleneck(cores)})
    console = Console()
    console.print(table)
    console.print(f"cores kept busy by each part, of {cores}; {concurrency} calls in flight, {latency:g} s latency")
    for run in runs:
        console.print(f"bottleneck with {run['workers'] or 'no'} workers: {run['bottleneck']}", highlight=False)
    text = json.dumps({"cores": cores, "concurrency": concurrency, "latency": latency, "runs": runs}, indent=1)
    if output is not None:
        output.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
