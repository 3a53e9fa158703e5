"""Trains a run's policy: shows progress, writes a row per episode, curves and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from econ_agents.train import TrainResult, train
from econ_agents.training.watch import EpisodeOutcome
from econ_env.app.options import CommonOptions
from econ_env.app.runs import display
from econ_env.app.runs import loggers as curves
from econ_env.app.runs.folder import RunFolder
from econ_env.app.runs.recording import Failures
from econ_env.app.runs.results import training_row
from econ_env.app.runs.trained_on import note_trained_on
from econ_env.problems.load import ProblemSet


def run_logger(common: CommonOptions, *, held: bool = False) -> AbstractContextManager[curves.Curves]:
    """The logger of a run; see `curves.logger`."""
    return curves.logger(common.log_dir / "tensorboard", common.wandb, common.config.model_dump(mode="json"), held=held)


def train_policy(
    common: CommonOptions,
    folder: RunFolder,
    problems: ProblemSet,
    make_env: Callable[[], Any],
    episodes: int,
    model_dir: Path | None,
) -> TrainResult:
    """Train on these problems, and record them next to the checkpoints; a resumed run starts from a checkpoint.

    Args:
        common: Settings and folders.
        folder: Gets a row per episode.
        problems: Training problems, in random order.
        make_env: Makes an environment over them, or a remote one.
        episodes: Problems to train on; 0 gives an untrained policy.
        model_dir: Where checkpoints go; `None` keeps none and can't be resumed.

    Raises:
        LLMUnavailableError: Too many problems failed in a row.
        AgentsError: A checkpoint can't be written or read.
        TraceError: The record of training problems can't be written or read.
    """
    failures = Failures()
    if model_dir is not None:
        note_trained_on(model_dir, problems[:episodes], resume=common.resume)

    def record(outcome: EpisodeOutcome) -> None:
        row = training_row(outcome.episode, problems[outcome.episode % len(problems)].id, outcome)
        folder.add_training(row)
        tally.count(row["verdict"], row["tokens"], row["calls"])
        failed = row["verdict"] == "failed"
        failures.count(failed, folder.last_error() if failed else None)

    def start(done: int) -> None:
        tally.start_at(done)
        if common.resume:
            where = f"after episode {done:,} of {episodes:,}" if done else "anew: there is no saved state yet"
            display.console.print(f"training goes on {where}" if done else f"training begins {where}", highlight=False)

    with display.progress() as bars, run_logger(common, held=model_dir is not None) as shown:
        tally = display.PhaseTally(bars, "train", episodes)
        return train(
            make_env,
            common.config.agent_config(),
            episodes=episodes,
            seed=common.config.seed,
            problem_of=lambda number: number % len(problems),
            model_dir=model_dir,
            logger=shown.logger,
            resume=common.resume and model_dir is not None,
            on_start=start,
            on_episode=record,
            on_save=shown.publish,
        )
