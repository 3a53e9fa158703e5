"""An answer rule that takes its time never holds up another problem's calls, wherever answers are read or compared."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest

from econ_env import EnvConfig, parallel_env
from econ_env.answers import DEFAULT_RULE
from econ_env.errors import LLMReplyError
from econ_env.llm import background
from econ_env.methods import (
    AdaptiveConsistency,
    BestFirst,
    BestOfN,
    ConfidenceVote,
    Debate,
    EarlyStopping,
    SelfConsistency,
    SingleCall,
    WeightedVote,
    ask_members,
    judged,
)
from econ_env.records import Problem, PromptEmbedding, Strategy
from econ_env.team import Team
from econ_env.testing import ScriptedLLM

PROBLEM = Problem("What is 2 + 2?", "4", "p1")
PATIENCE = 20.0
"""Seconds after which a rule gives up waiting for the event loop; never reached unless the loop is held up."""


class Slow:
    """A rule of somebody's own. Each reading and comparison waits until the event loop has run something else."""

    name = "slow-v1"

    def __init__(self) -> None:
        self.held_up = self.waited = 0

    def attach(self) -> None:
        self._loop, self._thread = asyncio.get_running_loop(), threading.current_thread()

    def _wait(self) -> None:
        went_on = threading.Event()
        self._loop.call_soon_threadsafe(went_on.set)
        self.held_up += threading.current_thread() is self._thread or not went_on.wait(PATIENCE)
        self.waited += 1

    def extract(self, reply):
        self._wait()
        return DEFAULT_RULE.extract(reply)

    def same(self, answer, gold):
        self._wait()
        return DEFAULT_RULE.same(answer, gold)


def script(commitment):
    def say(request):
        if request.role == "commitment":
            if isinstance(commitment, Exception):
                raise commitment
            return commitment
        return f"The answer is {4 + request.seed % 2}."

    return ScriptedLLM(say)


def on_loop(rule, coroutine):
    async def main():
        rule.attach()
        return await coroutine

    return asyncio.run(main())


@pytest.mark.parametrize("commitment", ["The answer is 4.", LLMReplyError("nothing usable")], ids=["said", "failed"])
@pytest.mark.parametrize("mode", ["always", "divided"])
@pytest.mark.parametrize("n_agents", [3, 5], ids=["flat", "clusters"])
def test_a_round_waits_for_a_slow_rule_in_a_thread(commitment, mode, n_agents):
    rule, llm = Slow(), script(commitment)
    team = Team(llm, (llm,) * n_agents, EnvConfig(n_agents=n_agents, commitment=mode), rule=rule)
    profile = [PromptEmbedding(0.7, 1.0)] * n_agents
    played = team.round(PROBLEM, Strategy(None), profile, index=0, last_answer=None, seed=7)
    round_ = on_loop(rule, played)
    assert round_.commitment.answer in ("4", "5")
    assert rule.waited >= n_agents
    assert rule.held_up == 0


@pytest.mark.parametrize(
    "make",
    [SingleCall, lambda t: SelfConsistency(t, 3), lambda t: BestOfN(t, 3), lambda t: Debate(t, 2), AdaptiveConsistency,
     EarlyStopping, lambda t: BestFirst(t, (2, 0, 1)), lambda t: WeightedVote(t, (1.0, 2.0, 3.0)),
     lambda t: ConfidenceVote(t, 1.0)],
)  # fmt: skip
def test_methods_vote_and_are_judged_in_a_thread(make):
    rule, llm = Slow(), script("The answer is 4.")
    team = Team(llm, (llm,) * 3, EnvConfig(), rule=rule)

    async def answer():
        return await judged(await make(team).answer(PROBLEM, 7), rule)

    done = on_loop(rule, answer())
    assert done.episode.decisions[-1].judgement.rule == "slow-v1"
    assert rule.held_up == 0


def test_members_are_judged_in_a_thread():
    rule, llm = Slow(), script("The answer is 4.")
    team = Team(llm, (llm,) * 3, EnvConfig(), rule=rule)
    record = on_loop(rule, ask_members(team, [PROBLEM], 0, 0.7, 1))
    assert record.labels.shape == (1, 3)
    assert rule.waited >= 3 + 3 + 1
    assert rule.held_up == 0


def test_an_environment_agrees_and_pays_in_a_thread():
    rule = Slow()
    env = parallel_env([PROBLEM], llm=script("The answer is 4."), embedder="hash", answer_rule=rule)

    async def attach():
        rule.attach()

    background.run(attach())
    env.reset(seed=0)
    _, _, _, _, infos = env.step(dict.fromkeys(env.agents, np.array([0.7, 1.1], np.float32)))
    assert infos["executor_0"]["team_correct"] == 1.0
    assert rule.waited >= 3 + 1 + 3 + 4  # read replies and commitment, agree, pay
    assert rule.held_up == 0


def test_a_replaced_team_keeps_its_rule():
    rule, llm = Slow(), script("The answer is 4.")
    team = Team(llm, (llm,), EnvConfig(), rule=rule)
    assert replace(team, executors=()).rule is rule
    with pytest.raises(TypeError, match="rule"):
        Team(llm, (llm,), EnvConfig())
