"""Runs the main jobs: train a team, test it on the same problems without and with BNE rounds, write the results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from econ_agents.evaluate import evaluate_each
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_agents.trial import EpisodeResult, Trial
from econ_agents.workers import Workers
from econ_env.app.options import CommonOptions
from econ_env.app.run_config import RunConfig, make_env
from econ_env.app.runs import display
from econ_env.app.runs.datasets import RunProblems, choose_problems, choose_test_problems
from econ_env.app.runs.display import print_servers
from econ_env.app.runs.loggers import log_tests
from econ_env.app.runs.provenance import provenance
from econ_env.app.runs.recording import make_record, recorder
from econ_env.app.runs.results import (
    Totals,
    check_judged,
    sum_recorded,
    summarise,
    summarise_methods,
    summarise_training,
)
from econ_env.app.runs.run import OpenRun, validate
from econ_env.app.runs.team_facts import model_facts, print_facts
from econ_env.app.runs.trained_on import all_trained_on, fingerprint, read_trained_on
from econ_env.app.runs.trained_with import load_trained
from econ_env.app.train_test.dead_controls import warn_of_dead_controls
from econ_env.app.train_test.ray_run import Report, start_workers
from econ_env.app.train_test.training import run_logger, train_policy
from econ_env.env import EconParallelEnv
from econ_env.errors import ConfigError
from econ_env.llm.probe import Probed
from econ_env.problems.load import ProblemSet
from econ_env.recorded.load import is_recorded
from econ_env.traces import read_lines, shared_lines

TRAIN = "train"
"""Key of the training part of a run; the other parts have a method's key."""


@dataclass(frozen=True)
class BneTest:
    """A test of the trained team with K rounds per decision."""

    key: str
    """Its name in files."""
    name: str
    """Its name on the terminal."""
    rounds: int
    """Rounds K per decision."""


def methods(config: RunConfig) -> tuple[BneTest, BneTest]:
    """The two tests that are always compared."""
    rounds = config.test_rounds
    plural = "round" if rounds == 1 else "rounds"
    return BneTest("baseline", "Baseline (no BNE)", 1), BneTest("bne", f"P0 BNE ({rounds} {plural})", rounds)


def train_and_test(common: CommonOptions, train_episodes: int, test_episodes: int) -> None:
    """Train, then test; prints progress and the final table, writes results, traces, curves and checkpoints.

    Args:
        common: Settings and folders.
        train_episodes: Problems to train on; 0 skips training.
        test_episodes: Problems to test on; 0 skips testing.

    Raises:
        EconError: The run can't continue; finished work is on disk, and `resume` continues it.
    """
    config = common.config
    problems = choose_problems(config.env_args, test_episodes, config.seed, trains=train_episodes > 0)
    if common.resume:
        _refuse_trained_on(common.model_dir, problems)
    about = {
        "dataset": problems.source,
        "train_eps": train_episodes,
        "test_eps": test_episodes,
        "tested": {"train_eps": train_episodes},
    }
    with _Job(common, problems, about) as run:
        policy = run.train(train_episodes)
        if test_episodes:
            run.test(policy, {"bne": f"llm_traces_test_bne_{config.test_rounds}rounds.json"})
            with run_logger(common) as shown:
                log_tests(shown.logger, run.folder.read_rows(), len(problems.test))
    if test_episodes:
        check_judged(run.folder.read_rows())
    else:
        check_judged(run.folder.training_rows(), read_lines(run.folder.rounds_file))


def checkpoint_test(common: CommonOptions, test_episodes: int, name: str) -> None:
    """Test a trained team without and with BNE rounds, on problems that it was not trained on.

    Args:
        common: Settings and folders; `model_dir` is the checkpoint.
        test_episodes: Problems to test on.
        name: Name of the experiment; the traces go to `logs_NAME_test_baseline.json` and `logs_NAME_test_p0.json`.

    Raises:
        EconError: The run can't continue; finished work is on disk, and `resume` continues it.
        AgentsError: The checkpoint is missing, damaged, or does not fit the team.
    """
    policy, config = load_trained(common.config, str(common.model_dir), one_decision=False)
    common = replace(common, config=config)
    trained = all_trained_on(common.model_dir)
    problems = choose_test_problems(config.env_args, test_episodes, config.seed, trained)
    about = {
        "dataset": problems.source,
        "checkpoint": str(common.model_dir),
        "test_eps": test_episodes,
        "tested": {"weights": _digest(policy)},
    }
    with _Job(common, problems, about, policy) as run, run_logger(common) as shown:
        run.test(policy, {"baseline": f"logs_{name}_test_baseline.json", "bne": f"logs_{name}_test_p0.json"})
        log_tests(shown.logger, run.folder.read_rows(), len(problems.test))
    check_judged(run.folder.read_rows())


def _refuse_trained_on(model_dir: Path, problems: RunProblems) -> None:
    """Refuse to resume if test problems were used for training, for example with another number of test problems."""
    known = read_trained_on(model_dir)
    seen = 0 if known is None else sum(fingerprint(problem) in known.run for problem in problems.test)
    if seen:
        raise ConfigError(
            f"the run in {model_dir} was trained on {seen} of the {len(problems.test)} test problems; "
            "resume with its --test-eps and --seed, or start a new run with another --model-dir"
        )


def _digest(policy: EconPolicy) -> str:
    """A hash of the policy's weights."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in policy.state_dict().items():
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


class _Job:
    """One run as a context manager, with its settings, problems, folder and results; its end writes the summary."""

    def __init__(
        self, common: CommonOptions, problems: RunProblems, about: dict[str, Any], policy: EconPolicy | None = None
    ) -> None:
        self.common, self.config, self.problems = common, common.config, problems
        env = make_env(self.config, problems.test or problems.train)
        self._models = validate(common, env, policy)
        self._team = env.team
        self._workers = self._start_workers()
        try:
            trains = bool(about.get("train_eps"))
            self.run = OpenRun(common, provenance(common.config) | about, trains=trains)
        except BaseException:
            self._end_workers()
            raise
        self.folder = self.run.folder
        self._trained: dict[str, Any] = {}
        self._probed: list[Probed] = []

    def __enter__(self) -> _Job:
        parts = {"to train on": len(self.problems.train), "to test on": len(self.problems.test)}
        counts = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
        print_facts({"problems": f"{self.problems.source}: {counts}"})
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(complete=kind is None)

    def make_env(self, problems: ProblemSet) -> EconParallelEnv:
        """An environment over these problems that writes its rounds into the run's folder."""
        return make_env(self.config, problems, self.folder.rounds_file)

    def train(self, episodes: int) -> EconPolicy:
        """Train on the training problems; from a checkpoint if the run is resumed."""
        problems, common = self.problems.train, self.common
        model_dir = common.model_dir if episodes else None  # an untrained policy must not replace a trained one
        if episodes and self.config.llm.probe == "auto":
            self._probed = warn_of_dead_controls(self._team.executors, self.config.sampling)
        with self.run.timing(TRAIN):
            result = train_policy(common, self.folder, problems, self._envs(TRAIN), episodes, model_dir)
        self._trained = {"episodes": result.episodes, "stop_reason": result.stop_reason}
        return result.policy

    def test(self, policy: EconPolicy, traces: Mapping[str, str]) -> None:
        """Test both methods on the test problems for which they have no result yet.

        Args:
            policy: Chooses the controls.
            traces: File for all texts of the test, by method.

        Raises:
            TeamError: The policy was trained on a team of another shape.
        """
        policy.fits(TeamSpec.of(self.make_env(self.problems.test)))
        for method in methods(self.config):
            self._test(policy, method)
            if method.key in traces:
                self.folder.write_traces(method.key, traces[method.key])

    def _test(self, policy: EconPolicy, method: BneTest) -> None:
        make_env = self._envs(method.key)

        weights = policy.alpha.values()

        def make_test_env() -> Any:
            env = make_env()
            env.reward_weights = weights  # the weights at the end of training
            return env

        done = self.folder.done(method.key)
        todo = (index for index, problem in enumerate(self.problems.test) if problem.id not in done)
        with display.progress() as bars, self.run.timing(method.key):
            tally = display.PhaseTally(bars, f"K={method.rounds}", len(self.problems.test))
            for row in self.folder.read_rows(method.key):
                tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])
            write = recorder(self.folder, tally)

            def record(result: EpisodeResult, shown: Any) -> None:
                if isinstance(shown, Report):
                    self._note(shown)
                    assert shown.record is not None
                    write(shown.record)
                else:
                    write(make_record(method.key, result, shown.episode, self.config, shown.answer_rule))

            evaluate_each(
                Trial(policy, rounds=method.rounds, config=self.config.bne),
                make_test_env,
                todo,
                record,
                concurrency=self.config.problems_in_flight,
                seed=self.config.seed,
            )

    def _envs(self, part: str) -> Callable[[], Any]:
        """A factory of environments for a part of the run, in this process or in workers."""
        problems = self.problems.train if part == TRAIN else self.problems.test
        return (lambda: self.make_env(problems)) if self._workers is None else self._workers.envs(part)

    def _start_workers(self) -> Workers | None:
        """Start the workers, if the run uses Ray."""
        if not self.config.ray.spreads:
            return None
        with display.console.status("starting workers"):
            tests = {method.key: self.problems.test for method in methods(self.config)}
            workers = start_workers(self.config, {TRAIN: self.problems.train, **tests}, self._note)
        print_facts({"workers": f"{len(workers.actors)} processes on Ray"})
        return workers

    def _end_workers(self) -> None:
        if self._workers is not None:
            self._workers.close()

    def _note(self, report: Report) -> None:
        """Write a worker's report of an episode: its rounds, and the cost of its calls."""
        for row in report.rounds:
            shared_lines(self.folder.rounds_file).append(row)
        self.run.meter.merge(report.counted)

    def close(self, *, complete: bool) -> None:
        """Stop the workers and write the summary; print it if the run is complete."""
        self._end_workers()
        tested = summarise_methods(self.folder.read_rows())
        summaries: dict[str, dict[str, Any]] = {}
        for method in methods(self.config) if self.problems.test else ():
            own = tested.get(method.key) or Totals().summary()
            wall = self.run.method_seconds(method.key)
            summaries[method.key] = {"name": method.name, "k": method.rounds, **own, "wall_seconds": wall}
        training = {}
        if "checkpoint" not in self.run.about:
            trained = summarise_training(self.folder.training_rows())
            training = self._trained | trained | {"seconds": self.run.training_seconds()}
        found: dict[str, Any] = {
            "methods": summaries,
            "train": training,
            "models": self._models | model_facts(self._team),
        }
        if self._probed:
            found["probe"] = [probed.plain() for probed in self._probed]
        recorded = is_recorded(self.config.llm.backend)
        found["recorded"] = sum_recorded((), read_lines(self.folder.rounds_file)) if recorded else None
        servers = self.run.close(found, complete=complete)
        if complete:
            if summaries:
                shown = {part["name"]: part for part in summaries.values()}
                text_replies = self._models["reply_format"] == "text"
                json_rate = summarise(self.folder.read_rows())["json_rate"]
                display.print_summary(shown, json_rate, text_replies)
            print_servers(servers)
            display.print_recorded(found["recorded"])
            display.console.print(f"\nwritten to {self.folder.path}", highlight=False)
