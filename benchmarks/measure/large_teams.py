"""Compares large teams in clusters with flat ones: accuracy, calls, tokens, longest prompt, critical path, overhead.

The model is simulated, so everything except the times is repeatable: an executor is right with a known probability,
and a coordinator takes the majority of its inputs. Calls take time as at a server: per request, per token read and per
token written. The critical path is the time of an episode if only calls took time: the strategy, then in each round the
slowest executor or cluster, and the commitment that waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import binomtest

from econ_env import parallel_env
from econ_env.env import EconParallelEnv
from econ_env.episode import Episode
from econ_env.llm import LLM, ChatRequest, Completion, LLMInfo
from econ_env.records import Round
from econ_env.simulation import KnownOptimum, independent_counts, known_optimum, win_chance
from econ_env.team import split_team
from econ_env.traces import write_json

CONTROLS = (0.9, 1.1)
"""(T, p) of every executor, away from the best controls, so that replies differ."""


@dataclass(frozen=True)
class Pace:
    """How long a call takes, in seconds."""

    request: float
    """Fixed time per request."""
    read: float
    """Time per token of the prompt."""
    written: float
    """Time per token of the answer."""


class TimedLLM:
    """A model whose calls take time, and which records the time of each call."""

    def __init__(self, llm: LLM, pace: Pace) -> None:
        self._llm = llm
        self._pace = pace
        self.seconds: dict[tuple[str, int], float] = {}
        """Seconds by agent (or role, if the agent is empty) and round."""

    @property
    def info(self) -> LLMInfo:
        """Info of the wrapped model."""
        return self._llm.info

    async def complete(self, request: ChatRequest) -> Completion:
        """The model's answer, after the time for reading and writing."""
        done = await self._llm.complete(request)
        used, pace = done.usage, self._pace
        seconds = pace.request + pace.read * used.prompt_tokens + pace.written * used.completion_tokens
        self.seconds[request.agent or request.role, request.round_index] = seconds
        await asyncio.sleep(seconds)
        return done

    async def aclose(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True)
class Measured:
    """Results of one kind of team; numbers are means per problem unless stated otherwise."""

    executors: int
    clusters: int
    """1 for a flat team."""
    rounds: int
    """Rounds K per problem."""
    problems: int
    """Number of problems for accuracy and cost."""
    accuracy: float
    """Share of the problems solved."""
    interval: tuple[float, float]
    """95% Wilson interval of the accuracy."""
    expected: float
    """Expected accuracy, computed from the simulator."""
    calls: float
    executor_tokens: float
    commitment_tokens: float
    """Tokens of local and global commitments together."""
    longest_prompt: int
    """Tokens of the longest prompt of any coordinator."""
    critical_path: float
    """Seconds; mean over the timed episodes."""
    wall: float
    """Seconds; mean over the timed episodes."""
    cpu_per_call: float
    """Processor seconds of this process per call of the timed episodes."""

    @property
    def beyond(self) -> float:
        """Overhead of an episode beyond its critical path, in seconds per call."""
        return (self.wall - self.critical_path) / self.calls


def make(task: KnownOptimum, llm: LLM, cluster_size: int) -> EconParallelEnv:
    """A team's environment with the task's problems."""
    return parallel_env(task.problems, llm=llm, n_agents=task.n_agents, cluster_size=cluster_size, embedder="hash")


async def play(env: EconParallelEnv, problem: int, rounds: int) -> Episode:
    """Play one problem for K rounds with the same controls."""
    await env.areset(seed=problem, options={"problem": problem})
    actions = dict.fromkeys(env.possible_agents, np.array(CONTROLS, np.float32))
    for _ in range(rounds):
        await env.adeliberate(actions)
    await env.astep(actions)  # submits the last round without a call
    assert env.episode is not None
    return env.episode


async def play_all(task: KnownOptimum, cluster_size: int, rounds: int, at_once: int) -> list[Episode]:
    """Play every problem of the task, `at_once` in parallel."""
    todo = iter(range(len(task.problems)))

    async def worker() -> list[Episode]:
        env = make(task, task.llm, cluster_size)
        return [await play(env, problem, rounds) for problem in todo]

    return [episode for part in await asyncio.gather(*(worker() for _ in range(at_once))) for episode in part]


def expected_accuracy(task: KnownOptimum, sizes: Sequence[int]) -> float:
    """Probability that the majority of cluster majorities is right; all wrong answers are equally likely."""
    wrong = task.landscape.wrong_answers
    total = 0.0
    for kind, share in task.kind_shares.items():
        chance = float(task.chance(kind, CONTROLS))
        local = [float(independent_counts(np.full(size, chance)) @ win_chance(size, wrong)) for size in sizes]
        team = (
            local[0] if len(sizes) == 1 else float(independent_counts(np.array(local)) @ win_chance(len(sizes), wrong))
        )
        total += share * team
    return total


def critical_path(seconds: dict[tuple[str, int], float], rounds: Sequence[Round]) -> float:
    """Seconds from the strategy to the last commitment if nothing but calls took time."""
    total = seconds["strategy", 0]
    for round_ in rounds:
        if round_.clusters:
            waits = [
                max(seconds[agent, round_.index] for agent in cluster.agents)
                + seconds[f"cluster_{number}", round_.index]
                for number, cluster in enumerate(round_.clusters)
            ]
        else:
            waits = [seconds[reply.agent, round_.index] for reply in round_.replies]
        total += max(waits) + seconds["commitment", round_.index]
    return total


def measure(task: KnownOptimum, cluster_size: int, rounds: int, timed: int, pace: Pace) -> Measured:
    """Play all problems with instant calls, then a few in sequence with timed calls."""
    episodes = asyncio.run(play_all(task, cluster_size, rounds, at_once=8))
    right = sum(e.decisions[-1].judgement is not None and e.decisions[-1].judgement.correct for e in episodes)
    played = [round_ for episode in episodes for round_ in episode.decisions[-1].rounds]
    walls, paths, calls = [], [], 0
    cpu = time.process_time()
    for problem in range(timed):
        llm = TimedLLM(task.llm, pace)
        env = make(task, llm, cluster_size)
        start = time.perf_counter()
        episode = asyncio.run(play(env, problem, rounds))
        walls.append(time.perf_counter() - start)
        paths.append(critical_path(llm.seconds, episode.decisions[-1].rounds))
        calls += episode.usage.calls
    cpu = time.process_time() - cpu
    sizes = [len(part) for part in split_team(task.n_agents, cluster_size)]
    interval = binomtest(right, len(episodes)).proportion_ci(method="wilson")
    return Measured(
        executors=task.n_agents,
        clusters=len(sizes),
        rounds=rounds,
        problems=len(episodes),
        accuracy=right / len(episodes),
        interval=(float(interval.low), float(interval.high)),
        expected=expected_accuracy(task, sizes),
        calls=sum(episode.usage.calls for episode in episodes) / len(episodes),
        executor_tokens=sum(reply.usage.tokens for r in played for reply in r.replies) / len(episodes),
        commitment_tokens=sum(made.usage.tokens for r in played for made in r.commitments) / len(episodes),
        longest_prompt=max(made.usage.prompt_tokens for r in played for made in r.commitments),
        critical_path=float(np.mean(paths)),
        wall=float(np.mean(walls)),
        cpu_per_call=cpu / calls,
    )


def show(results: Sequence[Measured], chance: float) -> None:
    """Print the table."""
    names = ("executors", "clusters", "K", "accuracy [95%]", "expected", "calls", "executor tok.", "commitment tok.")
    times = ("longest prompt", "critical path s", "wall s", "overhead ms/call", "CPU ms/call")
    table = Table(*names, *times, title=f"each executor is right with probability {chance:.3f}")
    for run in results:
        low, high = run.interval
        table.add_row(
            str(run.executors),
            "flat" if run.clusters == 1 else str(run.clusters),
            str(run.rounds),
            f"{run.accuracy:.3f} [{low:.3f}, {high:.3f}]",
            f"{run.expected:.3f}",
            f"{run.calls:.0f}",
            f"{run.executor_tokens:,.0f}",
            f"{run.commitment_tokens:,.0f}",
            str(run.longest_prompt),
            f"{run.critical_path:.2f}",
            f"{run.wall:.2f}",
            f"{1e3 * run.beyond:.2f}",
            f"{1e3 * run.cpu_per_call:.2f}",
        )
    Console(width=None if Console().is_terminal else 200).print(table)


@click.command()
@click.option(
    "--executors",
    "teams",
    multiple=True,
    type=click.IntRange(1),
    default=(9, 48),
    show_default=True,
    help="Team sizes.",
)
@click.option(
    "--rounds",
    "levels",
    multiple=True,
    type=click.IntRange(1),
    default=(1, 3),
    show_default=True,
    help="Rounds K per problem.",
)
@click.option(
    "--cluster-size", type=click.IntRange(2), default=4, show_default=True, help="Maximum executors in a cluster."
)
@click.option(
    "--problems", type=click.IntRange(1), default=300, show_default=True, help="Problems for accuracy and cost."
)
@click.option(
    "--timed", type=click.IntRange(1), default=3, show_default=True, help="Episodes that are timed, in sequence."
)
@click.option(
    "--latency",
    type=click.FloatRange(0),
    default=0.2,
    show_default=True,
    help="Fixed seconds per call.",
)
@click.option(
    "--read", type=click.FloatRange(0), default=0.0003, show_default=True, help="Seconds per token of a prompt."
)
@click.option(
    "--written", type=click.FloatRange(0), default=0.02, show_default=True, help="Seconds per token of an answer."
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the numbers to this JSON file.")
def main(
    teams: tuple[int, ...],
    levels: tuple[int, ...],
    cluster_size: int,
    problems: int,
    timed: int,
    latency: float,
    read: float,
    written: float,
    output: Path | None,
) -> None:
    """Print costs and gains of clusters compared with a flat team of the same size."""
    pace = Pace(latency, read, written)
    runs = [(n, size, rounds) for n in teams for size in (0, cluster_size) for rounds in levels]
    tasks = {n: known_optimum(n_problems=problems, n_agents=n, kinds=1) for n in teams}
    measure(known_optimum(n_problems=8, n_agents=3, kinds=1), 0, 1, 1, pace)  # warm-up: imports and judge
    results = [measure(tasks[n], size, rounds, timed, pace) for n, size, rounds in track(runs, transient=True)]
    task = tasks[teams[0]]
    chance = float(task.chance(task.problems[0].kind, CONTROLS))
    show(results, chance)
    if output is not None:
        settings = {"controls": CONTROLS, "chance": chance, "pace": asdict(pace), "timed": timed}
        write_json(output, {**settings, "teams": [asdict(run) for run in results]})


if __name__ == "__main__":
    main()
