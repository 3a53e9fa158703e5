"""The main job: train a team, test it on the same problems without and with BNE rounds, and write everything down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from econ_agents.evaluate import EpisodeResult, evaluate
from econ_agents.policy import EconPolicy
from econ_env.app import display
from econ_env.app.datasets import RunProblems, choose_problems
from econ_env.app.environments import make_env
from econ_env.app.failures import Failures
from econ_env.app.folder import RunFolder
from econ_env.app.options import CommonOptions
from econ_env.app.provenance import provenance
from econ_env.app.results import by_method, result_row, summarise, summarise_training
from econ_env.app.run_config import RunConfig
from econ_env.app.training import train_policy
from econ_env.env import EconParallelEnv
from econ_env.problems import ProblemSet


@dataclass(frozen=True)
class Method:
    """One way to let the trained team answer."""

    key: str
    """Its name in files."""
    name: str
    """Its name on the terminal."""
    rounds: int
    """K."""


def methods(config: RunConfig) -> tuple[Method, Method]:
    """The two that every test compares."""
    rounds = config.test_rounds
    plural = "round" if rounds == 1 else "rounds"
    return Method("baseline", "Baseline (no BNE)", 1), Method("bne", f"P0 BNE ({rounds} {plural})", rounds)


def train_and_test(common: CommonOptions, train_episodes: int, test_episodes: int) -> None:
    """Train, then test; prints progress and the closing table, writes results, traces, curves and checkpoints.

    Args:
        common: Settings and folders.
        train_episodes: Problems to train on; 0 skips training.
        test_episodes: Problems to test on.

    Raises:
        EconError: The run can't go on; what was done is on disk and `resume` goes on from there.
    """
    config = common.config
    problems = choose_problems(config.env_args, test_episodes, config.seed)
    about = provenance(config) | {"dataset": problems.source, "train_eps": train_episodes, "test_eps": test_episodes}
    folder = RunFolder(common.log_dir, about, resume=common.resume)
    if folder.moved_to is not None:
        display.console.print(f"the earlier run in {common.log_dir} was moved to {folder.moved_to}")
    run = _Run(config, folder, problems)
    try:
        run.announce()
        policy = run.train(common, train_episodes)
        for method in methods(config):
            run.test(policy, method)
        run.complete = True
    finally:
        run.close(about)


class _Run:
    """One run: its settings, problems and folder, and what has come of it."""

    def __init__(self, config: RunConfig, folder: RunFolder, problems: RunProblems) -> None:
        self.config = config
        self.folder = folder
        self.problems = problems
        self.complete = False
        self._seconds: dict[str, float] = {}
        self._trained: dict[str, Any] = {}
        self._models: dict[str, Any] = {}

    def make_env(self, problems: ProblemSet) -> EconParallelEnv:
        """An environment over these problems that writes its rounds into the run's folder."""
        return make_env(self.config, problems, self.folder.rounds_file)

    def announce(self) -> None:
        """Reach the models and say which they are."""
        env = self.make_env(self.problems.test)
        with display.console.status("loading models"):
            team = env.team
            infos = {"coordinator": team.coordinator.info, "executor": team.executors[0].info}
            dim = env.layout.dim
        self._models = {role: asdict(info) for role, info in infos.items()}
        self._models |= {"embedder": env.encoder.embedder.name, "reply_format": team.form(team.executors[0])}
        names = " / ".join(dict.fromkeys(info.model for info in infos.values()))
        train, test = len(self.problems.train), len(self.problems.test)
        for label, text in (
            ("models", f"{infos['executor'].backend}: {names}"),
            ("embedder", f"{env.encoder.embedder.name} ({dim} numbers)"),
            ("problems", f"{self.problems.source}: {train:,} to train on, {test:,} to test on"),
            ("team", f"1 coordinator, {self.config.n_agents} executors, {self._models['reply_format']} replies"),
        ):
            display.console.print(f"{label:<9}{text}", highlight=False)

    def train(self, common: CommonOptions, episodes: int) -> EconPolicy:
        """Train on the training problems; from a checkpoint if the run is resumed."""
        start = time.perf_counter()
        problems = self.problems.train
        try:
            result = train_policy(
                common, self.folder, problems, lambda: self.make_env(problems), episodes, common.model_dir
            )
        finally:
            self._seconds["train"] = time.perf_counter() - start
        self._trained = {"episodes": result.episodes, "stop_reason": result.stop_reason}
        return result.policy

    def test(self, policy: EconPolicy, method: Method) -> None:
        """Test on those test problems that have no result yet."""
        done = self.folder.done(method.key)
        todo = [index for index, problem in enumerate(self.problems.test) if problem.id not in done]
        start = time.perf_counter()
        with display.progress() as bars:
            tally = display.Tally(bars, f"K={method.rounds}", len(self.problems.test))
            for row in by_method(self.folder.rows).get(method.key, []):
                tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])
            try:
                evaluate(
                    policy,
                    lambda: self.make_env(self.problems.test),
                    todo,
                    rounds=method.rounds,
                    concurrency=max(1, -(-self.config.llm.concurrency // self.config.n_agents)),
                    seed=self.config.seed,
                    on_episode=self._recorder(method, tally),
                )
            finally:
                self._seconds[method.key] = time.perf_counter() - start
        if method.key == "bne":
            self.folder.write_traces("bne", f"llm_traces_test_bne_{method.rounds}rounds.json")

    def _recorder(self, method: Method, tally: display.Tally) -> Callable[[EpisodeResult, EconParallelEnv], None]:
        failures = Failures()

        def record(result: EpisodeResult, env: EconParallelEnv) -> None:
            episode = env.episode
            assert episode is not None
            gap = result.decisions[-1].gap_after
            row = result_row(
                method.key,
                episode,
                stop_reasons=[decision.stop_reason for decision in result.decisions],
                residuals=[residual for decision in result.decisions for residual in decision.residuals],
                gap=None if gap is None else sum(gap),
                seconds=result.seconds,
            )
            self.folder.add(row, {"episode": episode.to_dict(), "decisions": [asdict(d) for d in result.decisions]})
            tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])
            failures.count(row["verdict"] == "failed", row["error"])

        return record

    def close(self, about: dict[str, Any]) -> None:
        """Write the summary of what was done, and show it if the run is complete."""
        rows = by_method(self.folder.rows)
        earlier = self.folder.earlier.get("methods", {})
        trained = self._seconds.get("train", 0.0) + self.folder.earlier.get("train", {}).get("seconds", 0.0)
        summaries: dict[str, dict[str, Any]] = {}
        for method in methods(self.config):
            wall = self._seconds.get(method.key, 0.0) + earlier.get(method.key, {}).get("wall_seconds", 0.0)
            own = summarise(rows.get(method.key, []))
            summaries[method.key] = {"name": method.name, "k": method.rounds, **own, "wall_seconds": wall}
        self.folder.write_summary(
            {
                "complete": self.complete,
                "methods": summaries,
                "train": self._trained | summarise_training(self.folder.training_rows()) | {"seconds": trained},
                "models": self._models,
                **about,
            }
        )
        self.folder.close()
        if self.complete:
            shown = {part["name"]: part for part in summaries.values()}
            display.print_summary(
                shown, summarise(self.folder.rows)["json_rate"], self._models["reply_format"] == "text"
            )
            display.console.print(f"\nwritten to {self.folder.path}", highlight=False)
