"""Runs a learner on the known-optimum task and measures it at checkpoints with the simulator's exact formulas.

A run trains on `TRAIN_PROBLEMS` problems and is measured on others of the same kinds. The measure is exact: the
probability that the team is right at the policy's profile, not the observed share of right episodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from benchmarks.known_optimum.peers import random_search, train_actor_critic
from benchmarks.known_optimum.variants import Variant
from econ_agents.config import BneConfig
from econ_agents.equilibrium import Acts, EquilibriumConfig
from econ_agents.evaluate import evaluate
from econ_agents.joint_env import Array, as_joint
from econ_agents.policy import EconPolicy
from econ_agents.train import TrainUpdate, train
from econ_agents.training import UniformReplayBuffer
from econ_agents.trial import Trial
from econ_env import EconParallelEnv, parallel_env
from econ_env.simulation import KnownOptimum, known_optimum

TRAIN_PROBLEMS = 200
TEST_PROBLEMS = 60
CHECKPOINT = 16
"""Episodes between measurements."""
GAP_CHECKPOINT = 128
"""Episodes between measurements of the true gap, which take half a second per problem."""
GAP_PROBLEMS = 4
"""Problems for measuring the true gap during training."""
GAP_PROBLEMS_END = 8
"""Problems for measuring it at the end."""
NEAR = (0.95, 0.98)
"""Shares of the oracle's accuracy for which the first checkpoint is reported."""

REFINEMENTS = {
    "K=1": (1, BneConfig()),
    "K=3": (3, BneConfig()),
    "K=3, plays on when an answer repeats": (3, BneConfig(stop_when_repeated=False)),
    "K=3, not damped": (3, BneConfig(damping=0.0)),
    "K=3, logit 0.05": (3, BneConfig(response="logit", temperature=0.05)),
    "K=3, logit by state": (3, BneConfig(temperature="state")),
}
"""Refinements of the final policy for measuring true gaps: rounds K and settings of the responses."""


@dataclass
class Result:
    """The results of a run, as plain values."""

    name: str
    seed: int
    key: str
    episodes: list[int] = field(default_factory=list)
    """Checkpoints."""
    share: list[float] = field(default_factory=list)
    """Team accuracy as a share of the oracle's at each of them."""
    gap_episodes: list[int] = field(default_factory=list)
    """Checkpoints of the true gap."""
    gap: list[float] = field(default_factory=list)
    """True gap after K = 1: mean over problems of the best single deviation's gain in team accuracy."""
    gap_refined: list[float] = field(default_factory=list)
    """True gap after K = 3."""
    refined: dict[str, dict[str, float]] = field(default_factory=dict)
    """At the end, per refinement: true gap, share of the oracle's accuracy and mean number of rounds."""
    seconds: float = 0.0
    """Wall time of training, including measurements."""
    cpu_seconds: float = 0.0
    """Processor time of this process, including measurements."""


@cache
def tasks(coupling: float) -> tuple[KnownOptimum, KnownOptimum]:
    """The task to train on and the one to measure on: the same kinds, other problems."""
    both = known_optimum(n_problems=TRAIN_PROBLEMS + TEST_PROBLEMS, coupling=coupling)
    parts = both.problems[:TRAIN_PROBLEMS], both.problems[TRAIN_PROBLEMS:]
    return KnownOptimum(parts[0], both.landscape), KnownOptimum(parts[1], both.landscape)


def environment(task: KnownOptimum, weights: tuple[float, float, float] | None, credit: str = "own") -> EconParallelEnv:
    """A team on the task's problems, with the simulated model in this process."""
    paid = {"reward": {"credit": credit}}
    return parallel_env(task.problems, llm=task.llm, embedder="hash", reward_weights=weights, config=paid)


class Measure:
    """Measures a policy on problems that it was not trained on.

    Args:
        task: The task with these problems.
    """

    def __init__(self, task: KnownOptimum) -> None:
        self.task = task
        self.env = as_joint(environment(task, None))
        first = [self.env.reset(seed=0, options={"problem": index})[0] for index in range(len(task.problems))]
        self.obs_BND = torch.as_tensor(np.stack(first))

    @torch.no_grad()
    def profiles(self, policy: Acts) -> Array:
        """The policy's controls [B, N, A], in the environment's units."""
        shape = (self.env.team.n_agents, self.env.team.action_dim)
        return np.stack([self.env.to_env(row).reshape(shape) for row in policy.propose(self.obs_BND).numpy()])

    def share(self, profiles_BNA: Array) -> float:
        """Team accuracy at these profiles as a share of the oracle's."""
        pairs = zip(self.task.problems, profiles_BNA, strict=False)
        accuracy = np.mean([self.task.team_accuracy(problem.kind, profile) for problem, profile in pairs])
        return float(accuracy) / self.task.oracle.accuracy

    def gap(self, profiles_BNA: Array) -> float:
        """Mean over problems of the best single deviation's gain in team accuracy."""
        pairs = zip(self.task.problems, profiles_BNA, strict=False)
        return float(np.mean([self.task.true_gap(problem.kind, profile).team_gap for problem, profile in pairs]))


@cache
def measure(coupling: float) -> Measure:
    """The measure for tasks with this coupling."""
    return Measure(tasks(coupling)[1])


def warm_up() -> None:
    """Use one thread, and let Tianshou compile its functions now, so that no run is slowed by it."""
    torch.set_num_threads(1)
    buffer = UniformReplayBuffer(8, 2)
    with suppress(ValueError):
        buffer.sample_indices(1)


def run(variant: Variant, seed: int, episodes: int) -> dict[str, Any]:
    """Train, measure at checkpoints, and return the `Result` as plain values."""
    result = Result(variant.name, seed, variant.key(seed, episodes))
    wall, cpu = time.perf_counter(), time.process_time()
    if variant.learner == "random_search":
        _search(variant, seed, episodes, result)
    elif variant.learner == "econ":
        _learn(variant, seed, episodes, result)
    elif variant.rates is not None:
        task, judge = tasks(variant.coupling)[0], measure(variant.coupling)
        note = partial(_note, result, judge)
        make = partial(environment, task, variant.weights(), variant.credit)
        train_actor_critic(variant.learner, make, variant.config(), variant.rates, episodes, seed, note, CHECKPOINT)
    result.seconds, result.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return asdict(result)


def learn(
    make: Callable[[], EconParallelEnv], variant: Variant, seed: int, episodes: int, result: Result
) -> EconPolicy:
    """Train ECON on the caller's environments; measurements at checkpoints go into `result`."""
    judge = measure(variant.coupling)

    def on_update(update: TrainUpdate) -> None:
        last = update.episodes >= episodes
        if update.episodes % CHECKPOINT == 0 or last:
            _note(result, judge, update.episodes, update.policy)
        if variant.kind == "gap" and (update.episodes == CHECKPOINT or update.episodes % GAP_CHECKPOINT == 0 or last):
            result.gap_episodes.append(update.episodes)
            result.gap.append(judge.gap(judge.profiles(update.policy)[:GAP_PROBLEMS]))
            after = refined(update.policy, judge, *REFINEMENTS["K=3"], n_problems=GAP_PROBLEMS)
            result.gap_refined.append(after["gap"])

    trained = train(make, variant.config(), episodes=episodes, seed=seed, on_update=on_update)
    missing = range((trained.episodes // CHECKPOINT + 1) * CHECKPOINT, episodes + 1, CHECKPOINT)
    for number in dict.fromkeys([*missing, *([episodes] if trained.episodes < episodes else [])]):
        _note(result, judge, number, trained.policy)  # after an early stop the policy stays the same
    return trained.policy


def first_reaching(episodes: list[int], share: list[float], level: float) -> int | None:
    """The first checkpoint at which a curve reaches this level; `None` if it never does."""
    return next((number for number, value in zip(episodes, share, strict=True) if value >= level), None)


def _note(result: Result, judge: Measure, episodes: int, policy: Acts) -> None:
    result.episodes.append(episodes)
    result.share.append(judge.share(judge.profiles(policy)))


def _learn(variant: Variant, seed: int, episodes: int, result: Result) -> None:
    make = partial(environment, tasks(variant.coupling)[0], variant.weights(), variant.credit)
    policy = learn(make, variant, seed, episodes, result)
    if variant.kind in ("gap", "coupled"):
        judge = measure(variant.coupling)
        names = REFINEMENTS if variant.kind == "gap" else ("K=1",)
        result.refined = {name: refined(policy, judge, *REFINEMENTS[name]) for name in names}


def refined(
    policy: EconPolicy, judge: Measure, rounds: int, config: EquilibriumConfig, n_problems: int = TEST_PROBLEMS
) -> dict[str, float]:
    """True gap, share of the oracle's accuracy and mean rounds, for the profiles submitted after up to K rounds."""
    make = partial(environment, judge.task, None)
    played = evaluate(Trial(policy, rounds=rounds, config=config, gaps=False), make, range(n_problems))
    profiles_BNA = np.array([episode.decisions[-1].profiles[-1] for episode in played])
    return {
        "gap": judge.gap(profiles_BNA[:GAP_PROBLEMS_END]),
        "share": judge.share(profiles_BNA),
        "rounds": float(np.mean([episode.decisions[-1].rounds for episode in played])),
    }


def _search(variant: Variant, seed: int, episodes: int, result: Result) -> None:
    train_task, test_task = tasks(variant.coupling)
    for spent, profile_NA in random_search(partial(environment, train_task, None), episodes, seed):
        result.episodes.append(spent)
        accuracy = test_task.accuracy(dict.fromkeys(test_task.kind_shares, profile_NA))
        result.share.append(accuracy / test_task.oracle.accuracy)
