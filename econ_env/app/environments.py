"""Makes the environments of a run from its settings; models and embedder are shared by all of them."""

from __future__ import annotations

from pathlib import Path

from econ_env.app.run_config import RunConfig
from econ_env.env import EconParallelEnv
from econ_env.factory import parallel_env
from econ_env.problems.load import ProblemSet


def make_env(config: RunConfig, problems: ProblemSet, trace: Path | None = None) -> EconParallelEnv:
    """An environment over these problems.

    Args:
        config: The run's settings.
        problems: What is asked.
        trace: A file to which every round is appended.
    """
    return parallel_env(
        problems,
        config=config.env_config(),
        llm=config.llm.backend,
        coordinator=config.coordinator_model,
        executors=config.executor_model,
        embedder=config.embedder,
        trace=trace,
    )
