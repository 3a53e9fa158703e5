"""Workers on a Ray of two processors: what they do is what one process does, also when they die."""

from __future__ import annotations

import asyncio
import builtins
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from teams import small

from econ_agents.errors import ConfigError, TeamError, WorkerError
from econ_agents.evaluate import evaluate, evaluate_each
from econ_agents.policy import EconPolicy
from econ_agents.testing import AsyncQuadraticEnv, QuadraticEnv, QuadraticPolicy
from econ_agents.train import train
from econ_agents.training.watch import EpisodeOutcome
from econ_agents.trial import EpisodeResult, Trial
from econ_agents.workers import Workers
from econ_agents.workers.ray_setup import start_ray


class SlowEnv(AsyncQuadraticEnv):
    """Takes a moment for everything, and two decisions an episode."""

    delay = 0.02

    def __init__(self) -> None:
        super().__init__(horizon=2, low=0.5, high=2.5)
        self.problem = -1

    async def areset(self, seed: Any = None, options: Any = None) -> Any:
        self.problem = (options or {}).get("problem", -1)
        return await super().areset(seed, options)


class Broken(AsyncQuadraticEnv):
    """Can't be stepped."""

    async def astep(self, actions: Any) -> Any:
        raise ConfigError("no step today")


class QuadraticSite:
    """Works with `SlowEnv`, reports who played what, and says when it was opened."""

    def __init__(self, folder: Path, differs: bool = False) -> None:
        self.folder, self.differs = folder, differs
        self.worker = -1

    async def open(self, worker: int) -> None:
        self.worker = worker
        (self.folder / f"{worker}-{os.getpid()}").touch()

    def make_env(self, part: str) -> Any:
        return {"broken": Broken, "blocking": QuadraticEnv}.get(part, SlowEnv)()

    def identity(self) -> Any:
        return self.worker if self.differs else "same"

    def report(self, part: str, env: Any, result: EpisodeResult | None) -> Any:
        return part, self.worker, env.problem


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A small Ray on the loopback address."""
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import tests
    start_ray(2)
    yield ray
    ray.shutdown()


@pytest.fixture
def workers(ray: Any, tmp_path: Path) -> Iterator[Workers]:
    with Workers(lambda _: QuadraticSite(tmp_path), count=2) as workers:
        yield workers


@contextmanager
def killed_at(workers: Workers, done: list[Any], moments: list[int]) -> Iterator[None]:
    """Kill one worker after another, when so many episodes are done."""
    workers.envs("test")()  # all are there
    victims = workers.processes()

    def kill() -> None:
        for victim, moment in zip(victims, moments, strict=True):
            while len(done) < moment:
                time.sleep(0.002)
            os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    yield
    killer.join(10)
    assert not killer.is_alive()


@pytest.mark.slow
def test_a_test_has_the_results_of_one_process_and_each_worker_plays_its_share(workers: Workers) -> None:
    policy = QuadraticPolicy(start=0.5)
    expected = evaluate(Trial(policy, rounds=3), SlowEnv, range(24), seed=4)
    reports: dict[int, Any] = {}

    def note(result: EpisodeResult, report: Any) -> None:
        assert result.problem not in reports
        reports[result.problem] = report

    results = evaluate(Trial(policy, rounds=3), workers.envs("test"), range(24), seed=4, concurrency=6, on_episode=note)
    assert results == expected
    assert reports == {n: ("test", reports[n][1], n) for n in range(24)}
    shares = [sum(worker == number for _, worker, _ in reports.values()) for number in range(2)]
    assert min(shares) >= 6


@pytest.mark.slow
def test_each_test_is_played_with_the_weights_that_its_policy_has_then(workers: Workers) -> None:
    torch.manual_seed(0)
    policy = EconPolicy(workers.envs("test")().team, small())
    for shift in (0.0, 0.3):
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter += shift
        expected = evaluate(Trial(policy, rounds=2), SlowEnv, range(4))
        assert evaluate(Trial(policy, rounds=2), workers.envs("test"), range(4)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 2])
def test_training_ends_with_the_weights_of_one_process(workers: Workers, tmp_path: Path, rounds: int) -> None:
    config = small(bne={"max_iterations_train": rounds})
    outcomes: list[list[EpisodeOutcome]] = [[], []]
    alone = train(SlowEnv, config, episodes=12, seed=3, problem_of=lambda n: n, on_episode=outcomes[0].append)
    spread = train(
        workers.envs("train"), config, episodes=12, seed=3, problem_of=lambda n: n, on_episode=outcomes[1].append
    )
    assert outcomes[0] == outcomes[1]
    ours, theirs = alone.policy.state_dict(), spread.policy.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert {file.name[0] for file in tmp_path.iterdir()} == {"0", "1"}


@pytest.mark.slow
def test_workers_that_are_killed_in_a_test_lose_nothing(workers: Workers, tmp_path: Path) -> None:
    policy = QuadraticPolicy(start=0.5)
    expected = evaluate(Trial(policy, rounds=3), SlowEnv, range(60))
    done: list[EpisodeResult] = []
    with killed_at(workers, done, [10, 30]):
        evaluate_each(
            Trial(policy, rounds=3),
            workers.envs("test"),
            range(60),
            lambda result, _: done.append(result),
            concurrency=8,
        )
    assert sorted(done, key=lambda result: result.problem) == expected
    assert len(list(tmp_path.iterdir())) == 4  # both were opened again, in new processes


@pytest.mark.slow
def test_workers_that_are_killed_in_training_lose_nothing(ray: Any, tmp_path: Path) -> None:
    config = small(bne={"max_iterations_train": 2})
    alone: list[EpisodeOutcome] = []
    spread: list[EpisodeOutcome] = []
    reports: list[Any] = []
    kept = train(SlowEnv, config, episodes=24, problem_of=lambda n: n, on_episode=alone.append).policy.state_dict()
    with Workers(lambda _: QuadraticSite(tmp_path), count=2, on_report=reports.append) as workers:
        make = workers.envs("train")
        with killed_at(workers, spread, [5, 12]):
            done = train(make, config, episodes=24, problem_of=lambda n: n, on_episode=spread.append)
    assert spread == alone
    assert sorted(problem for _, _, problem in reports) == list(range(24))
    assert all(torch.equal(weights, kept[name]) for name, weights in done.policy.state_dict().items())
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.slow
def test_a_worker_that_is_lost_for_good_is_one_clear_error(workers: Workers, ray: Any) -> None:
    make = workers.envs("test")
    env = make()
    ray.kill(workers.actors[0])
    with pytest.raises(WorkerError, match="a worker was lost and could not be restarted"):
        evaluate(Trial(QuadraticPolicy()), lambda: env, [0])


@pytest.mark.slow
def test_what_an_environment_raises_arrives_as_it_is(workers: Workers) -> None:
    with pytest.raises(ConfigError, match=r"^no step today$"):
        evaluate(Trial(QuadraticPolicy(), rounds=1), workers.envs("broken"), [0])
    with pytest.raises(ConfigError, match=r"^no step today$"):
        train(workers.envs("broken"), small(), episodes=4)
    with pytest.raises(TeamError, match="workers need areset"):
        workers.envs("blocking")()


@pytest.mark.slow
def test_what_does_not_fit_is_refused(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="the cluster has 2 processors, too few for 3 workers; use fewer"):
        Workers(lambda _: QuadraticSite(tmp_path), count=3)
    with (
        Workers(lambda _: QuadraticSite(tmp_path, differs=True), count=2) as workers,
        pytest.raises(WorkerError, match="differ"),
    ):
        workers.envs("test")()
    with Workers(lambda count: QuadraticSite(tmp_path)) as workers:
        assert len(workers.actors) == 1
        with pytest.raises(WorkerError, match="needs a seed"):
            asyncio.run(workers.envs("test")().areset())


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    imports = builtins.__import__

    def without_ray(name: str, *arguments: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return imports(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(WorkerError, match=r"Ray is not installed, .* pip install 'econ-bne\[ray\]'"):
        Workers(lambda _: QuadraticSite(tmp_path), count=2)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-such-host.invalid:6379", "auto"])
def test_a_cluster_that_is_not_there_is_told_at_once(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    from ray._private import services

    monkeypatch.setattr(services, "find_gcs_addresses", lambda *_: ["127.0.0.1:9"])  # one that died
    with pytest.raises(WorkerError, match=rf"^no Ray cluster at {address}: .*; start one with: ray start --head$"):
        Workers(lambda _: QuadraticSite(tmp_path), count=2, address=address)
