"""Measures tokens of a trained team against debate and votes, on a task with a known optimum."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np

from benchmarks.speed.lines import Line
from econ_agents.baselines import FixedControls
from econ_agents.config import AgentConfig
from econ_agents.team_spec import TeamSpec
from econ_agents.train import train
from econ_env import EconParallelEnv, parallel_env
from econ_env.answers import DEFAULT_RULE
from econ_env.app.compare import TeamMethod
from econ_env.methods import Debate, Method, SelfConsistency, judged
from econ_env.problems import ProblemSet
from econ_env.records import Usage
from econ_env.simulation import KnownOptimum, known_optimum

EPISODES = 160
PROBLEMS = 200
"""Test problems; equally many others are for training."""
SAMPLES = (1, 3, 5, 9, 15, 25, 41, 65)
"""Samples of self-consistency to try, until it is right as often as the team."""


def tokens() -> list[Line]:
    """Tokens per problem, K = 3 with early stop; the other methods use the best fixed controls of the task."""
    both = known_optimum(n_problems=2 * PROBLEMS)
    trained, task = (
        KnownOptimum(ProblemSet(part), both.landscape) for part in (both.problems[:PROBLEMS], both.problems[PROBLEMS:])
    )
    config = AgentConfig()
    policy = train(partial(_env, trained), config, episodes=EPISODES, seed=0).policy
    env = _env(task)
    team, make = env.team, partial(_env, task)
    best = next(iter(task.best_fixed.profiles.values()))[0].tolist()
    ours = TeamMethod("bne", policy, make, task.problems, rounds=3, config=config.bne)
    fixed = TeamMethod("fixed", FixedControls(TeamSpec.of(env), best), make, task.problems)
    accuracy, spent = _ask(ours, task)
    what = f"K=3, right {accuracy:.0%}"
    lines = []
    debate_right, debate = _ask(Debate(team, 3, temperature=best[0]), task)
    lines.append(
        Line(
            "tokens", what, spent, "tokens/problem", f"debate, 3 rounds, right {debate_right:.0%}", debate, "lower", 0.5
        )
    )
    for samples in SAMPLES:
        right, other = _ask(SelfConsistency(team, samples, temperature=best[0]), task)
        if right >= accuracy:
            reached = f"SC@{samples}, right {right:.0%}"
            break
    else:
        reached = f"SC@{samples}, right {right:.0%}: no number of samples tried is as good"
    lines.append(Line("tokens", what, spent, "tokens/problem", reached, other, "lower"))
    divided = TeamMethod("bne", policy, partial(_env, task, "divided"), task.problems, rounds=3, config=config.bne)
    less_right, less = _ask(divided, task)
    shorter = f"K=3, condensed where divided, right {less_right:.0%}"
    lines.append(
        Line(
            "tokens",
            shorter,
            less,
            "tokens/problem",
            f"debate, 3 rounds, right {debate_right:.0%}",
            debate,
            "lower",
            0.5,
        )
    )
    right, other = _ask(fixed, task)
    lines.append(
        Line("tokens", what, spent, "tokens/problem", f"the best fixed controls, right {right:.0%}", other, "lower")
    )
    return lines


def _env(task: KnownOptimum, commitment: str = "always") -> EconParallelEnv:
    return parallel_env(task.problems, llm=task.llm, embedder="hash", config={"commitment": commitment})


def _ask(method: Method, task: KnownOptimum) -> tuple[float, float]:
    """Share of problems solved, and tokens per problem."""

    async def everything() -> list[tuple[bool, int]]:
        done = []
        for problem in task.problems:
            answer = await judged(await method.answer(problem, seed=1), DEFAULT_RULE)
            verdict = answer.episode.decisions[-1].judgement
            used = sum(answer.usage.values(), Usage())
            done.append((verdict is not None and verdict.correct, used.tokens))
        return done

    rows = np.array(asyncio.run(everything()), dtype=float)
    return float(rows[:, 0].mean()), float(rows[:, 1].mean())
