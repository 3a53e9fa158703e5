"""Runs methods on the same problems and seeds with one team and one judge, at matched budgets; writes the results."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from econ_agents.concurrency import all_or_none
from econ_agents.device import find_device
from econ_agents.policy import EconPolicy
from econ_env.answers import judging, make_rule
from econ_env.app.compare.compare_table import print_overview
from econ_env.app.compare.fits import Fits
from econ_env.app.compare.matching import PROBE_PROBLEMS, Matching, Measure
from econ_env.app.compare.method_names import (
    BUILT_IN,
    EMBEDS,
    FITTED,
    LEARNED,
    SEARCHED,
    MethodMaker,
    MethodName,
    parse_names,
)
from econ_env.app.compare.overview import REFERENCE, overview
from econ_env.app.compare.played import check_playable
from econ_env.app.compare.readable import Play, readable_names
from econ_env.app.compare.search import check_plays
from econ_env.app.entry import need
from econ_env.app.options import CommonOptions
from econ_env.app.run_config import RunConfig, make_env
from econ_env.app.runs import display
from econ_env.app.runs.datasets import RunProblems, choose_problems, choose_test_problems, training_problems
from econ_env.app.runs.provenance import added, provenance
from econ_env.app.runs.recording import Failures
from econ_env.app.runs.results import Row, check_judged, result_row, sum_recorded, summarise_methods
from econ_env.app.runs.run import OpenRun, validate
from econ_env.app.runs.team_facts import print_facts
from econ_env.app.runs.trained_on import all_trained_on
from econ_env.app.runs.trained_with import load_trained
from econ_env.app.train_test.dead_controls import warn_of_dead_controls
from econ_env.app.train_test.training import train_policy
from econ_env.errors import ConfigError
from econ_env.llm import background
from econ_env.llm.probe import Probed
from econ_env.llm.seeding import derive_seed
from econ_env.methods import Answer, Method, judged
from econ_env.recorded import RecordedTeam
from econ_env.recorded.load import is_recorded
from econ_env.records import Problem
from econ_env.traces import read_lines


@dataclass(frozen=True)
class CompareOptions:
    """Options of a comparison."""

    methods: str
    """Names, separated by commas; see `parse_names`."""
    problems: int
    """Number of problems."""
    seeds: int
    """Number of seeds, starting with the run's seed."""
    match: Measure | None
    """Cost to match to ECON with BNE, for methods without a fixed number; `None` uses the defaults."""
    baseline: str | None
    """Method that the others are compared with; by default the first."""
    temperature: float
    """Temperature of every sampled reply, and of `fixed`."""
    policy: Path | None
    """A checkpoint: its folder, or a repository on the hub."""
    train_episodes: int | None
    """Problems to train on first, if there is no checkpoint."""
    fit: int = 100
    """Most training problems on which methods of `FITTED` and `SEARCHED` learn first."""


def compare(common: CommonOptions, options: CompareOptions) -> dict[str, Any]:
    """Run the comparison; prints progress and the final tables, writes rows, traces and the summary.

    Args:
        common: Settings and folders.
        options: Options of the comparison.

    Returns:
        The result of `overview` for all rows.

    Raises:
        EconError: The run can't continue; finished work is on disk, and `resume` continues it.
    """
    if options.policy is not None and options.train_episodes is not None:
        raise ConfigError("--policy names a trained policy and --train-eps trains one: give one of them")
    names = _in_order(parse_names(options.methods), options)
    policy = None
    if options.policy is not None and any(name.base in LEARNED for name in names):
        policy, own = load_trained(common.config, str(options.policy), one_decision=False)
        common = replace(common, config=own)
    config = common.config
    check_playable(names, config)
    if any(name.base == "cma_es" for name in names):
        need("search", "cmaes")
    trains = _trains(names, options)
    problems = choose_compared(config, options)
    others = [name.base for name in names if name.base not in BUILT_IN]
    about = provenance(config) | {"dataset": problems.source, "compare": _fixed_settings(options)}
    about["added"] = added(config, others)
    maker = MethodMaker(config, problems.test, None, options.temperature)
    to_fit = problems.train[: options.fit]
    models = _prepare(maker, policy, names, common, len(to_fit))  # validate before moving old files
    run = OpenRun(common, about | {"models": models}, trains=trains)
    seeds = "" if options.seeds == 1 else f", {options.seeds} seeds"
    print_facts({"problems": f"{problems.source}: {len(problems.test):,}{seeds}"})
    order = [name.key for name in parse_names(options.methods)]
    comparison = _Comparison(common, options, run, problems, maker, order)
    complete = False
    try:
        if any(name.base in LEARNED for name in names):
            comparison.learn()
        comparison.fits.learn(names)
        for name in names:
            comparison.play(name)
        complete = True
    finally:
        seen = comparison.close(complete=complete)
    print_overview(display.console, seen, comparison.matching.told, names_of(seen, config))
    display.print_recorded(comparison.recorded())
    display.console.print(f"\nwritten to {run.folder.path}", highlight=False)
    check_judged(run.folder.read_rows())
    return seen


def names_of(seen: Mapping[str, Any], config: RunConfig) -> dict[str, str]:
    """The readable name of each method in the result of `overview`."""
    play = Play(config.test_rounds, "speak" in config.sampling.controls)
    return readable_names(seen["methods"], dict.fromkeys(seen["methods"], play))


def _trains(names: Sequence[MethodName], options: CompareOptions) -> bool:
    """Whether a policy is trained first."""
    return options.policy is None and bool(options.train_episodes) and any(name.base in LEARNED for name in names)


def choose_compared(config: RunConfig, options: CompareOptions) -> RunProblems:
    """The problems of a comparison, without the training problems of a checkpoint among those to test on.

    Raises:
        ProblemError: They can't be loaded, or there are not enough.
    """
    names, args, seed = parse_names(options.methods), config.env_args, config.seed
    fits = any(name.base in (*FITTED, *SEARCHED) for name in names)
    if options.policy is None:
        return choose_problems(args, options.problems, seed, trains=fits or _trains(names, options))
    chosen = choose_test_problems(args, options.problems, seed, all_trained_on(options.policy))
    return chosen._replace(train=training_problems(args, chosen, seed)) if fits else chosen


def _prepare(
    maker: MethodMaker, policy: EconPolicy | None, names: Sequence[MethodName], common: CommonOptions, plays: int
) -> dict[str, Any]:
    """Load models, and check that the policy, if there is one, fits; returns facts about the models for the summary.

    `plays` is the number of training episodes of a search.

    Raises:
        ConfigError: A method needs log-probabilities that are not asked for, or more plays.
        EconError: The models are unavailable.
        AgentsError: The checkpoint was made for another team.
    """
    asks = maker.team.logprobs or isinstance(maker.team, RecordedTeam)  # what is on record shows in the fit
    if any(name.base == "cisc" for name in names) and not asks:
        raise ConfigError("cisc needs log-probabilities: set llm.logprobs=true")
    embeds, learns = (any(name.base in bases for name in names) for bases in (EMBEDS, LEARNED))
    models = validate(common, maker.env, policy, embeds=embeds, learns=learns)
    for name in names:
        if name.base in SEARCHED:
            check_plays(name.base, (maker.spec.n_agents, maker.spec.action_dim), plays)
    maker.policy = policy
    return models


def _in_order(names: Sequence[MethodName], options: CompareOptions) -> list[MethodName]:
    """The methods, with the reference first if others are matched to it.

    Raises:
        ConfigError: The reference, the baseline or the policy is missing.
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
    """Options that must not change when a run is resumed; methods, problems and seeds may be added."""
    trained = options.train_episodes if options.policy is None else None
    return {
        "policy": None if options.policy is None else str(options.policy),
        "train_eps": trained,
        "problems": options.problems if trained else None,  # decides which problems are left for training
        "match": options.match,
        "temperature": options.temperature,
    }


class _Comparison:
    """One comparison: its team, folder and results."""

    def __init__(
        self,
        common: CommonOptions,
        options: CompareOptions,
        run: OpenRun,
        problems: RunProblems,
        maker: MethodMaker,
        order: Sequence[str],
    ) -> None:
        self.common, self.config, self.options = common, common.config, options
        self.run, self.problems, self.maker, self.order = run, problems, maker, order
        self.folder = run.folder
        self.seeds = [self.config.seed + number for number in range(options.seeds)]
        self.matching = Matching(
            maker, run.folder, options.match, problems.test[:PROBE_PROBLEMS], self.seeds[0], self._ask, self._in_flight
        )
        self.fits = Fits(maker, run.folder, problems.train[: options.fit])
        self._failures = Failures()
        self._probed: list[Probed] = []

    def learn(self) -> None:
        """Train a policy now, if none was loaded."""
        episodes, problems = self.options.train_episodes, self.problems.train
        if self.maker.policy is not None:
            return
        if episodes:
            if self.config.llm.probe == "auto":
                self._probed = warn_of_dead_controls(self.maker.env.team.executors, self.config.sampling)
            make = partial(make_env, self.config, problems, self.folder.rounds_file)
            policy = train_policy(self.common, self.folder, problems, make, episodes, self.common.model_dir).policy
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.config.seed)
                policy = EconPolicy(self.maker.spec, self.config.agent_config()).to(find_device(self.config.device))
        policy.fits(self.maker.spec)
        self.maker.policy = policy

    def play(self, name: MethodName) -> None:
        """Let a method answer all problems and seeds for which it has no row yet."""
        done = {seed: self.folder.done(name.key, seed) for seed in self.seeds}
        wanted = itertools.product(self.seeds, self.problems.test)
        todo = [(problem, seed) for seed, problem in wanted if problem.id not in done[seed]]
        with display.progress() as bars, self.run.timing(name.key):
            tally = display.PhaseTally(
                bars, name.key.rpartition(":")[2][:16], len(self.seeds) * len(self.problems.test)
            )
            for row in self.folder.read_rows(name.key):
                tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])
            if todo:
                background.run(self._play(name, todo, tally))
        self.matching.settle(name.key)

    async def _play(self, name: MethodName, todo: Sequence[tuple[Problem, int]], tally: display.PhaseTally) -> None:
        units = await self.matching.units(name)
        method = self.maker.make(name, units)
        waiting = iter(todo)

        async def worker() -> None:
            for problem, seed in waiting:
                known = self.matching.take(name.key, units, seed, problem)
                answer, seconds = known or await self._ask(method, problem, seed)
                row = await self._write(name, units, answer, seconds, seed)
                tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])

        await all_or_none(worker() for _ in range(self._in_flight(len(todo))))

    def _in_flight(self, most: int) -> int:
        return min(most, self.config.problems_in_flight)

    async def _ask(self, method: Method, problem: Problem, seed: int) -> tuple[Answer, float]:
        """A judged answer, and its seconds; raises an error if too many fail in a row."""
        start = time.perf_counter()
        answer = await method.answer(problem, derive_seed("episode", seed, problem.id))
        seconds = time.perf_counter() - start
        last = answer.rounds[-1]
        self._failures.count(last.failed, last.error)
        return await judged(answer, self.maker.env.answer_rule), seconds

    async def _write(self, name: MethodName, units: int | None, answer: Answer, seconds: float, seed: int) -> Row:
        rule = self.maker.env.answer_rule
        make_row = partial(
            result_row,
            name.key,
            answer.episode,
            stop_reasons=answer.stop_reasons,
            residuals=answer.residuals,
            gap=answer.gap,
            believed=answer.believed,
            seconds=seconds,
            seed=seed,
            units=units,
            llm=self.config.llm,
            reward=self.config.reward,
            rule=rule,
        )
        row = await judging(rule, make_row)
        self.folder.add(row, {"seed": seed, "episode": answer.episode.to_dict()})
        return row

    def recorded(self) -> dict[str, int] | None:
        """What methods and training have played from a bank; `None` for models that answer."""
        if not is_recorded(self.config.llm.backend):
            return None
        return sum_recorded(self.folder.read_rows(), read_lines(self.folder.rounds_file))

    def close(self, *, complete: bool) -> dict[str, Any]:
        """Write the summary of the results so far, and return their overview."""
        rows = list(self.folder.read_rows())
        rule = make_rule(self.config.answer_rule)
        seen = overview(rows, self.options.baseline or self.order[0], order=self.order, rule=rule)
        methods = {}
        for key, summary in summarise_methods(rows).items():
            name = BUILT_IN.get(key.partition("@")[0], key)
            methods[key] = {"name": name, **summary, "wall_seconds": self.run.method_seconds(key)}
        fitting = {"fitting": self.fits.told} if self.fits.told else {}
        probed = {"probe": [found.plain() for found in self._probed]} if self._probed else {}
        shown = {"matching": self.matching.told, "recorded": self.recorded(), **fitting, **probed}
        self.run.close({"methods": methods, "overview": seen, **shown}, complete=complete)
        return seen
