"""Runs methods on the same problems and seeds with one team and one judge, at matched budgets; writes the results."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from econ_agents.concurrency import all_or_none
from econ_agents.policy import EconPolicy
from econ_env import background
from econ_env.answers import make_rule
from econ_env.app import display
from econ_env.app.compare_table import print_overview
from econ_env.app.datasets import RunProblems, choose_problems, choose_test_problems
from econ_env.app.environments import make_env
from econ_env.app.failures import Failures
from econ_env.app.folder import RunFolder
from econ_env.app.method_names import BUILT_IN, LEARNED, MethodMaker, MethodName, parse_names
from econ_env.app.options import CommonOptions
from econ_env.app.overview import REFERENCE, overview
from econ_env.app.provenance import added, provenance
from econ_env.app.results import Row, result_row, summarise_methods
from econ_env.app.run_config import RunConfig
from econ_env.app.server_counts import count_servers
from econ_env.app.trained_on import read_trained_on
from econ_env.app.training import train_policy
from econ_env.errors import ConfigError
from econ_env.meter import shared_meter
from econ_env.methods import Answer, Match, Method, judged, match_units
from econ_env.records import Problem, Usage
from econ_env.seeding import derive_seed

PROBE_PROBLEMS = 8
"""Problems on which costs are measured to match a budget: the first ones, whose answers are kept."""

Measure = Literal["tokens", "calls"]


@dataclass(frozen=True)
class CompareOptions:
    """What is to be compared, and how."""

    methods: str
    """Names, separated by commas; see `parse_names`."""
    problems: int
    """How many."""
    seeds: int
    """How many, from the run's seed on."""
    match: Measure | None
    """What open methods should spend like ECON with BNE; `None` leaves their defaults."""
    baseline: str | None
    """What differences are taken to; by default the first."""
    temperature: float
    """Of `sc`, `best_of_n`, `debate` and `fixed`."""
    policy: Path | None
    """A checkpoint's folder."""
    train_episodes: int | None
    """Problems to train on first, where there is no checkpoint."""


def compare(common: CommonOptions, options: CompareOptions) -> dict[str, Any]:
    """Run the comparison; prints progress and the closing tables, writes rows, traces and the summary.

    Args:
        common: Settings and folders.
        options: What is to be compared.

    Returns:
        What `overview` says of all rows.

    Raises:
        EconError: The run can't go on; what was done is on disk and `resume` goes on from there.
    """
    if options.policy is not None and options.train_episodes is not None:
        raise ConfigError("--policy names a trained policy and --train-eps trains one: give one of them")
    names = _in_order(parse_names(options.methods), options)
    config = common.config
    problems = _problems(config, options)
    others = [name.base for name in names if name.base not in BUILT_IN]
    about = provenance(config) | {"dataset": problems.source, "compare": _fixed_settings(options)}
    about["added"] = added(config, others)
    maker = MethodMaker(config, problems.test, None, options.temperature)
    with display.console.status("loading models"):
        _ = maker.team  # before the folder is opened: what can't be had must not push an earlier run aside
    folder = RunFolder(common.log_dir, about, resume=common.resume)
    if folder.moved_to is not None:
        display.console.print(f"the earlier run in {common.log_dir} was moved to {folder.moved_to}")
    run = _Comparison(common, options, folder, problems, maker, [name.key for name in parse_names(options.methods)])
    try:
        run.announce()
        if any(name.base in LEARNED for name in names):
            run.learn()
        for name in names:
            run.play(name)
        run.complete = True
    finally:
        seen = run.close(about)
    print_overview(display.console, seen, run.matching)
    display.console.print(f"\nwritten to {folder.path}", highlight=False)
    return seen


def _problems(config: RunConfig, options: CompareOptions) -> RunProblems:
    """What is asked: never what the checkpoint, if there is one, was trained on."""
    if options.policy is None:
        return choose_problems(config.env_args, options.problems, config.seed)
    known = read_trained_on(options.policy)
    trained = None if known is None else known.run | known.before
    return choose_test_problems(config.env_args, options.problems, config.seed, trained)


def _in_order(names: Sequence[MethodName], options: CompareOptions) -> list[MethodName]:
    """The methods with the reference first, if others are matched to it.

    Raises:
        ConfigError: The reference or the baseline is missing, or no policy was named.
    """
    keys = [name.key for name in names]
    if options.baseline not in (None, *keys):
        raise ConfigError(f"the baseline {options.baseline} is not among the methods {', '.join(keys)}")
    learned = [name.key for name in names if name.base in LEARNED]
    if learned and options.policy is None and options.train_episodes is None:
        raise ConfigError(
            f"{' and '.join(learned)} need a policy: give --policy DIR, or --train-eps N (0 for an untrained one)"
        )
    if options.match is not None and any(name.open for name in names):
        if REFERENCE not in keys:
            raise ConfigError(
                f"--match {options.match} needs {REFERENCE} among the methods; add it, or use --match none"
            )
        return sorted(names, key=lambda name: name.key != REFERENCE)
    return list(names)


def _fixed_settings(options: CompareOptions) -> dict[str, Any]:
    """What must not change when a run goes on; methods, problems and seeds may be added."""
    trained = options.train_episodes if options.policy is None else None
    return {
        "policy": None if options.policy is None else str(options.policy),
        "train_eps": trained,
        "problems": options.problems if trained else None,  # what is left to train on depends on it
        "match": options.match,
        "temperature": options.temperature,
    }


class _Comparison:
    """One run: its team and folder, and what has come of it."""

    def __init__(
        self,
        common: CommonOptions,
        options: CompareOptions,
        folder: RunFolder,
        problems: RunProblems,
        maker: MethodMaker,
        order: Sequence[str],
    ) -> None:
        self.common, self.config, self.options = common, common.config, options
        self.folder, self.problems, self.maker, self.order = folder, problems, maker, order
        self.seeds = [self.config.seed + number for number in range(options.seeds)]
        self.matching: dict[str, dict[str, Any]] = dict(folder.earlier.get("matching", {}))
        self.complete = False
        self._models: dict[str, Any] = {}
        self._seconds: dict[str, float] = {}
        self._probed: dict[tuple[str, int | None, int, str], tuple[Answer, float]] = {}
        self._failures = Failures()
        self.meter = shared_meter(self.config.env_config().llm)
        self.meter.reset()

    def learn(self) -> None:
        """Get the learner's policy: from its checkpoint, or trained now.

        Raises:
            AgentsError: The checkpoint can't be read, or was made for another team.
        """
        episodes, problems = self.options.train_episodes, self.problems.train
        if self.options.policy is not None:
            policy = EconPolicy.from_pretrained(
                self.options.policy, n_agents=self.config.n_agents, trust=self.config.trusted
            )
        elif episodes:
            make = partial(make_env, self.config, problems, self.folder.rounds_file)
            policy = train_policy(self.common, self.folder, problems, make, episodes, self.common.model_dir).policy
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.config.seed)
                policy = EconPolicy(self.maker.spec, self.config.agent_config())
        policy.fits(self.maker.spec)
        self.maker.policy = policy

    def announce(self) -> None:
        """Say which models there are."""
        team = self.maker.team
        infos = {"coordinator": team.coordinator.info, "executor": team.executors[0].info}
        self._models = {role: asdict(info) for role, info in infos.items()}
        self._models["names"] = list(team.models)
        self._models["reply_format"] = team.form(team.executors[0])
        names = " / ".join(team.models)
        seeds = "" if len(self.seeds) == 1 else f", {len(self.seeds)} seeds"
        for label, text in (
            ("models", f"{infos['executor'].backend}: {names}"),
            ("problems", f"{self.problems.source}: {len(self.problems.test):,}{seeds}"),
            ("team", f"1 coordinator, {self.config.n_agents} executors, {self._models['reply_format']} replies"),
        ):
            display.console.print(f"{label:<9}{text}", highlight=False)

    def play(self, name: MethodName) -> None:
        """Let a method answer all problems and seeds that it has no row for."""
        done = {seed: self.folder.done(name.key, seed) for seed in self.seeds}
        wanted = itertools.product(self.seeds, self.problems.test)
        todo = [(problem, seed) for seed, problem in wanted if problem.id not in done[seed]]
        start = time.perf_counter()
        with display.progress() as bars:
            tally = display.Tally(bars, name.key.rpartition(":")[2], len(self.seeds) * len(self.problems.test))
            for row in self.folder.read_rows(name.key):
                tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])
            if todo:
                background.run(self._play(name, todo, tally))
        self._seconds[name.key] = time.perf_counter() - start
        if name.key in self.matching:
            self.matching[name.key]["ratio"] = self._ratio(name.key)

    async def _play(self, name: MethodName, todo: Sequence[tuple[Problem, int]], tally: display.Tally) -> None:
        units = await self._units(name)
        method = self.maker.make(name, units)
        waiting = iter(todo)

        async def worker() -> None:
            for problem, seed in waiting:
                known = self._probed.pop((name.key, units, seed, problem.id), None)
                answer, seconds = known or await self._ask(method, problem, seed)
                row = await self._write(name, units, answer, seconds, seed)
                tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])

        await all_or_none(worker() for _ in range(self._in_flight(len(todo))))

    def _in_flight(self, most: int) -> int:
        return min(most, self.config.problems_in_flight)

    async def _ask(self, method: Method, problem: Problem, seed: int) -> tuple[Answer, float]:
        """An answer, judged, and the seconds it took; gives up when too many fail one after another."""
        start = time.perf_counter()
        answer = await method.answer(problem, derive_seed("episode", seed, problem.id))
        seconds = time.perf_counter() - start
        last = answer.rounds[-1]
        reason = next((reply.error for reply in last.replies if reply.error), last.commitment.error)
        self._failures.count(last.failed, reason)
        return await judged(answer, self.maker.env.answer_rule), seconds

    async def _write(self, name: MethodName, units: int | None, answer: Answer, seconds: float, seed: int) -> Row:
        llm = self.config.llm
        row = await asyncio.to_thread(
            result_row,
            name.key,
            answer.episode,
            stop_reasons=answer.stop_reasons,
            residuals=answer.residuals,
            gap=answer.gap,
            seconds=seconds,
            seed=seed,
            units=units,
            prices=(llm.price_prompt, llm.price_completion),
            rule=self.maker.env.answer_rule,
        )
        self.folder.add(row, {"seed": seed, "episode": answer.episode.to_dict()})
        return row

    # Budgets --------------------------------------------------------------------------------------------------------

    async def _units(self, name: MethodName) -> int | None:
        """Samples or rounds of a method: as named, as in an earlier part of this run, matched, or by default."""
        if name.base not in BUILT_IN or not (name.open or name.units):
            return None
        earlier = next(self.folder.read_rows(name.key), None)
        if earlier is not None:
            return int(earlier["units"])
        if not name.open:
            return name.units
        if self.options.match is None:
            return self.maker.default_units(name)
        if name.key in self.matching:
            return int(self.matching[name.key]["units"])
        match = await self._match(name, self.options.match)
        self.matching[name.key] = {
            "by": self.options.match,
            "unit": "rounds" if name.base == "debate" else "samples",
            "units": match.units,
            "target": match.target,
            "probes": {str(units): cost for units, cost in match.probes.items()},
            "ratio": match.ratio,
        }
        return match.units

    async def _match(self, name: MethodName, measure: Measure) -> Match:
        problems = self.problems.test[:PROBE_PROBLEMS]
        seed = self.seeds[0]

        async def cost(units: int) -> float:
            method = self.maker.make(name, units)

            async def probe(problem: Problem) -> float:
                answer, seconds = await self._ask(method, problem, seed)
                self._probed[name.key, units, seed, problem.id] = answer, seconds
                usage = sum(answer.usage.values(), Usage())
                return usage.tokens if measure == "tokens" else usage.calls

            waiting = iter(problems)
            costs: list[float] = []

            async def worker() -> None:
                for problem in waiting:
                    costs.append(await probe(problem))

            await all_or_none(worker() for _ in range(self._in_flight(len(problems))))
            return float(np.mean(costs))

        return await match_units(cost, self._spent(REFERENCE, measure), growth=2.0 if name.base == "debate" else 16.0)

    def _spent(self, key: str, measure: Measure) -> float:
        """What a method spent per answer so far."""
        rows = list(self.folder.read_rows(key))
        return float(np.mean([sum(row["tokens"].values()) if measure == "tokens" else row["calls"] for row in rows]))

    def _ratio(self, key: str) -> float:
        """What a matched method spent by what the reference did, over all rows."""
        measure = self.matching[key]["by"]
        return self._spent(key, measure) / self._spent(REFERENCE, measure)

    # The end --------------------------------------------------------------------------------------------------------

    def close(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Write the summary of what was done, and return its overview."""
        rule = make_rule(self.config.answer_rule)
        rows = list(self.folder.read_rows())
        seen = overview(rows, self.options.baseline or self.order[0], order=self.order, rule=rule)
        earlier = self.folder.earlier.get("methods", {})
        methods = {}
        for key, summary in summarise_methods(rows).items():
            wall = self._seconds.get(key, 0.0) + earlier.get(key, {}).get("wall_seconds", 0.0)
            methods[key] = {"name": BUILT_IN.get(key.partition("@")[0], key), **summary, "wall_seconds": wall}
        servers = count_servers(self.meter.snapshot().by_server, self.folder.earlier.get("servers", {}))
        self.folder.write_summary(
            {
                "complete": self.complete,
                "servers": servers,
                "methods": methods,
                "overview": seen,
                "matching": self.matching,
                "models": self._models,
                **about,
            }
        )
        self.folder.close()
        return seen
