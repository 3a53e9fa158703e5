"""Runs episodes on Ray workers: gives each worker its settings, and collects a report per episode."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from econ_agents.trial import EpisodeResult
from econ_agents.workers import Workers
from econ_env.app.run_config import RunConfig, make_env
from econ_env.app.runs.provenance import provenance
from econ_env.app.runs.recording import Record, make_record
from econ_env.app.train_test.ray_limits import Keeper, RemoteLimits, needs_keeper
from econ_env.embedding import shared_encoder
from econ_env.env import EconParallelEnv
from econ_env.errors import ConfigError
from econ_env.llm.http.address import read_addresses
from econ_env.llm.http.secrets import login_header
from econ_env.llm.make import resolve
from econ_env.llm.meter import Meter, MeterSnapshot, shared_meter
from econ_env.problems.load import ProblemSet


class Report(NamedTuple):
    """A worker's report of a finished episode."""

    rounds: list[dict[str, Any]]
    """For `rounds.jsonl`."""
    counted: MeterSnapshot
    """Cost of the worker's calls since its last report."""
    record: Record | None
    """Record of a test episode; `None` in training."""


@dataclass
class RunSite:
    """Settings and problems of a run, as each worker gets them."""

    config: RunConfig
    """The run's settings."""
    problems: Mapping[str, ProblemSet]
    """Problems by part of the run: `train`, and a method's key for each test."""
    keeper: Any
    """Handle of the `Keeper`, if there is one."""

    async def open(self, worker: int) -> None:
        """Make the worker ask the run's keeper before each call."""
        if self.keeper is None:
            return
        await self.keeper.meet.remote(worker, os.getpid())
        self._meter.limits = RemoteLimits(self.keeper, worker, self.config.llm)

    def make_env(self, part: str) -> EconParallelEnv:
        """An environment over the problems of a part of the run."""
        return make_env(self.config, self.problems[part])

    def identity(self) -> dict[str, str]:
        """Versions of packages, and the name of the embedder."""
        embedder = shared_encoder(self.config.embedder, self.config.env_device).embedder.name
        return {**provenance(self.config)["versions"], "embedder": embedder}

    def report(self, part: str, env: Any, result: EpisodeResult | None) -> Report:
        """Make the report of an episode."""
        episode = env.episode
        record = None if result is None else make_record(part, result, episode, self.config, env.answer_rule)
        return Report(episode.round_rows(), self._meter.take(), record)

    @property
    def _meter(self) -> Meter:
        return shared_meter(self.config.llm)


def start_workers(config: RunConfig, problems: Mapping[str, ProblemSet], arrived: Callable[[Report], None]) -> Workers:
    """Start the workers of a run.

    Limits per minute and the budget hold for the whole run. `concurrency` is split among the workers, rounded up.

    Args:
        config: The run's settings, which ask for workers.
        problems: Problems, by part of the run.
        arrived: Called with the report of each training episode.

    Raises:
        WorkerError: Ray is not installed, or the cluster is unavailable.
        ConfigError: A server's URL has a login, which would not reach the workers.
    """
    backend = resolve(config.llm.backend)
    if "://" in backend and any(login_header(address.url) for address in read_addresses(backend)):
        raise ConfigError(
            "a user name and password in a server's URL do not reach workers; use a key: set OPENAI_API_KEY "
            "on all machines"
        )

    def make_site(count: int) -> RunSite:
        own = {"backend": backend, "concurrency": -(-config.llm.concurrency // count)}
        llm = config.llm.model_copy(update=own)
        return RunSite(config.model_copy(update={"llm": llm}), problems, _start_keeper(config))

    return Workers(make_site, count=config.ray.workers, address=config.ray.address, on_report=arrived)


def _start_keeper(config: RunConfig) -> Any:
    """Start the keeper on this machine, so that it lives as long as the run; `None` without limits and budget."""
    limits = config.llm
    if not needs_keeper(limits):
        return None
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    make: Any = ray.remote(Keeper).options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)
    return make.remote(limits)
