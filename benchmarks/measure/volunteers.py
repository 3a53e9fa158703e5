"""Measures which parts of the learner let a team of equals agree on who does the work: the volunteer's dilemma.

One agent must volunteer at a cost, and all benefit. Agents with equal costs must come to differ before one of them can
do it alone, and with noise in training it is long worth as much that all do it. Agents with different costs differ
already. If the cost exceeds an agent's own benefit, only the team gains, and nobody volunteers for its own sake.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import click
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from econ_agents.config import AgentConfig, BneConfig, parse_config
from econ_agents.evaluate import evaluate
from econ_agents.policy import EconPolicy
from econ_agents.responses import best_response
from econ_agents.testing import VolunteersEnv
from econ_agents.train import train
from econ_agents.trial import Trial

Credit = Literal["own", "team"]
CREDITS: tuple[Credit, ...] = ("own", "team")
PROBLEMS = range(10_000, 10_024)
"""Problems to measure on; each deals the costs anew."""
COSTS = {"equal": (0.4, 0.4, 0.4), "two types": (0.2, 0.6, 0.6), "dear": (1.5, 1.5, 1.5)}
"""Costs of three agents; the benefit is 1."""
SETTINGS: Mapping[str, Any] = {
    "belief_dim": 16,
    "network": {"hidden_dim": 32, "encoder_dim": 16, "mixer_dim": 16, "ffn_dim": 32, "input_noise": 0.0},
    "optimizer": {"learning_rate": 3e-3, "actor_learning_rate": 2e-3, "coordinator_learning_rate": 3e-3},
    "target_update_tau": 0.05,
}
"""Narrow networks and large steps, without noise on the few inputs; all else is the default."""
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "no mixer": {"network": {"mixer": "mean"}},
    "no encoder": {"network": {"encoder": False}},
    "no Q consistency": {"losses": {"q_consistency": 0.0}},
    "no equilibrium loss": {"losses": {"equilibrium": 0.0}},
    "no response loss": {"losses": {"response": 0.0}},
    "K = 3, best": {"bne": {"max_iterations_train": 3}},
    "K = 3, logit": {"bne": {"max_iterations_train": 3, "response": "logit"}},
    "K = 3, state": {"bne": {"max_iterations_train": 3, "temperature": "state"}},
    "K = 3, no improvement loss": {"bne": {"max_iterations_train": 3}, "losses": {"improvement": 0.0}},
}
"""Settings that differ. The environment has no memory to leave out, and the improvement loss needs several rounds."""
FEW = ("defaults", "no mixer", "no Q consistency")
"""Variants that are trained on every task; the others only with equal costs."""
REFINEMENTS = {
    "K = 1": (1, BneConfig()),
    "K = 3, best": (3, BneConfig()),
    "K = 3, logit 0.05": (3, BneConfig(response="logit", temperature=0.05)),
    "K = 3, logit 0.2": (3, BneConfig(response="logit", temperature=0.2)),
    "K = 3, logit 0.2 to 0.05": (3, BneConfig(response="logit", temperature=0.2, temperature_end=0.05)),
    "K = 3, state 0.1": (3, BneConfig(temperature="state", temperature_share=0.1)),
    "K = 3, state 0.25": (3, BneConfig(temperature="state")),
    "K = 3, state 0.5": (3, BneConfig(temperature="state", temperature_share=0.5)),
}
"""Refinements of the defaults' final policies: rounds K and settings of the responses."""


class Score(NamedTuple):
    """How well a policy plays; means over problems."""

    right: bool
    """Whether in each problem one agent with the lowest cost volunteers alone."""
    payoff: float
    """The team's payoff as a share of the best one."""
    gap: float
    """NashConv of the pure profile for agents that are paid their own payoff."""


def score(policy: EconPolicy, costs: Sequence[float], rounds: int, config: BneConfig) -> Score:
    """Play the test problems without exploration."""
    env = VolunteersEnv(costs)
    trial = Trial(policy, rounds=rounds, config=config, gaps=False)
    rows = []
    for played in evaluate(trial, partial(VolunteersEnv, costs), PROBLEMS, concurrency=1):
        env.reset(options={"problem": played.problem})
        pure_1NA = env.pure(np.array(played.decisions[-1].profiles[-1]))
        payoff = float(env.game.utilities(pure_1NA, pure_1NA[:, :, None]).mean())
        gap = float(best_response(env.game, pure_1NA, config).nash_conv_B)
        rows.append((payoff / env.best_payoff, gap))
    payoff, gap = np.array(rows).mean(axis=0).tolist()
    return Score(payoff > 1.0 - 1e-9, payoff, gap)


def learn(costs: Sequence[float], credit: Credit, config: AgentConfig, episodes: int, seed: int) -> EconPolicy:
    """Train a team that is paid so."""
    return train(partial(VolunteersEnv, costs, credit=credit), config, episodes=episodes, seed=seed).policy


def variant(changes: Mapping[str, Any]) -> AgentConfig:
    """`SETTINGS` with these settings instead."""
    joined = {name: {**SETTINGS.get(name, {}), **group} for name, group in changes.items()}
    return parse_config({**SETTINGS, **joined})


def row(scores: Sequence[Score]) -> list[str]:
    """Cells of a table: how many runs are right with the exact 95% interval of their share, then mean (range)."""
    right, runs = sum(one.right for one in scores), len(scores)
    share = stats.binomtest(right, runs).proportion_ci()
    cells = [f"{right} of {runs} [{share.low:.2f}, {share.high:.2f}]"]
    for values in ([one.payoff for one in scores], [one.gap for one in scores]):
        cells.append(f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    return cells


@click.command()
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Runs of each variant.")
@click.option("--episodes", default=800, show_default=True, type=click.IntRange(1), help="Episodes of a run.")
@click.option("--costs", multiple=True, type=click.Choice(list(COSTS)), help="Only these costs; repeatable.")
@click.option("--only", multiple=True, type=click.Choice(list(VARIANTS)), help="Only these variants; repeatable.")
def main(seeds: int, episodes: int, costs: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Train each variant with each credit, and print how many teams agree, their payoffs and gaps."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    jobs = [
        (task, credit, name)
        for task in costs or COSTS
        for credit in CREDITS
        for name in only or VARIANTS
        if task == "equal" or name in FEW or only
    ]
    columns = ("right in all problems", "payoff", "gap")
    trained = Table("costs", "credit", "trained with", *columns)
    refined = Table("costs", "credit", "defaults, tested with", *columns)
    for task, credit, name in track(jobs, "runs", console=Console(stderr=True)):
        config = variant(VARIANTS[name])
        policies = [learn(COSTS[task], credit, config, episodes, seed) for seed in range(seeds)]
        K = config.bne.max_iterations_train
        trained.add_row(task, credit, name, *row([score(one, COSTS[task], K, config.bne) for one in policies]))
        for title, (rounds, bne) in REFINEMENTS.items() if name == "defaults" else ():
            refined.add_row(task, credit, title, *row([score(one, COSTS[task], rounds, bne) for one in policies]))
    console = Console(width=140)
    console.print(trained)
    if refined.row_count:
        console.print(refined)
    console.print(f"{episodes} episodes, seeds 0 to {seeds - 1}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
