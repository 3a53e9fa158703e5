"""Episodes in which executors may stay silent, weigh and cost: steps, prices, prospects, banks, copies and checks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test

from econ_env import load_bank, parallel_env
from econ_env.answers import EconAnswerRule
from econ_env.config import EnvConfig, parse_settings
from econ_env.errors import BankError, ConfigError, LLMReplyError
from econ_env.observations.infos import PRICE_KEYS
from econ_env.recorded import BankRow, Manifest, write_bank
from econ_env.records import Problem
from econ_env.testing import ScriptedLLM, check_env
from econ_env.traces import read_lines

PROBLEMS = [Problem("What is 2 + 2?", "4", "four")]
AGENTS = ("executor_0", "executor_1", "executor_2")
BOTH = ["speak", "weight"]
FOUR = ["temperature", "repetition_penalty", "speak", "weight"]


def team(answers=("4", "4", "5"), controls=("speak", "weight"), commitment="weighted", **changes):
    """A team whose executors each have an answer; an error is raised. Answers may be a list by round."""

    def script(request):
        if request.role != "executor":
            return "The answer is 4."
        said = answers[int(request.agent[-1])]
        said = said[request.round_index] if isinstance(said, list) else said
        if isinstance(said, Exception):
            raise said
        return f"The answer is {said}."

    llm = ScriptedLLM(script)
    config = {"sampling": {"controls": list(controls)}, "commitment": commitment, "strategy": "off"}
    config |= changes.pop("config", {})
    reward = {"initial_weights": (0.0, 1.0, 0.0)} | changes.pop("reward", {})
    env = parallel_env(PROBLEMS, llm=llm, embedder="hash", config={**config, "reward": reward}, **changes)
    return env, llm


def act(*pairs):
    """(speak, weight) of each executor."""
    return {f"executor_{n}": np.array(pair, np.float32) for n, pair in enumerate(pairs)}


def speaking(*numbers, weight=1.0):
    return act(*((float(n in numbers), weight) for n in range(3)))


# Steps


def test_a_step_asks_only_if_the_decision_has_no_round():
    env, llm = team()
    env.reset(seed=0)
    env.step(speaking(0, 2))
    assert [request.agent for request in llm.requests] == ["executor_0", "executor_2"]
    env.reset()
    env.deliberate(speaking(0))
    env.step(speaking(0, 1, 2))
    assert len(llm.requests) == 3
    assert len(env.episode.decisions[0].rounds) == 1


def test_a_round_of_nobody_is_the_stop_and_says_so():
    env, llm = team()
    env.reset(seed=0)
    env.deliberate(speaking())  # the first round has one in any case
    assert [request.agent for request in llm.requests] == ["executor_0"]
    assert not env.last_outcome.silent
    _, infos = env.deliberate(speaking())
    assert env.last_outcome == ("4", False, True)
    assert (infos["executor_1"]["calls"], infos["executor_1"]["rounds"]) == (1.0, 2.0)
    *_, infos = env.step(speaking())
    assert (len(llm.requests), len(env.episode.decisions[0].rounds)) == (1, 2)
    assert infos["executor_1"]["team_correct"] == 1.0


def test_new_weights_at_a_step_are_counted_without_a_call_and_shown(tmp_path):
    env, llm = team(trace=tmp_path / "rounds.jsonl")
    env.reset(seed=0)
    env.deliberate(speaking(0, 1, 2))
    *_, infos = env.step(act((0, 0.25), (0, 0.25), (1, 1.0)))
    assert (len(llm.requests), infos["executor_0"]["team_correct"]) == (3, 0.0)
    first, second = env.episode.decisions[0].rounds
    assert (first.commitment.answer, second.commitment.answer) == ("4", "5")
    assert (second.asked, second.index, infos["executor_2"]["weight"], infos["executor_0"]["rounds"]) == ((), 1, 1, 2)
    lines = list(read_lines(tmp_path / "rounds.jsonl"))
    assert [line["round"]["asked"] for line in lines] == [list(AGENTS), []]
    assert [r["controls"]["weight"] for r in lines[1]["round"]["replies"]] == [0.25, 0.25, 1.0]
    env.reset()
    env.deliberate(speaking(0, 1, 2))
    env.step(speaking())  # the same weights
    assert len(env.episode.decisions[0].rounds) == 1


def test_weights_without_speak_ask_again_only_for_what_is_sampled():
    env, llm = team(controls=("temperature", "weight"))
    env.reset(seed=0)
    env.deliberate(act((0.5, 1.0), (0.5, 1.0), (0.5, 1.0)))
    env.step(act((0.5, 0.1), (0.5, 0.1), (0.5, 1.0)))
    assert len(llm.requests) == 3
    assert env.episode.last_round.commitment.answer == "5"
    env.reset()
    env.deliberate(act((0.5, 1.0), (0.5, 1.0), (0.5, 1.0)))
    env.step(act((0.6, 1.0), (0.5, 1.0), (0.5, 1.0)))
    assert len(llm.requests) == 9
    assert env.episode.last_round.asked == AGENTS


def test_a_decision_begins_with_silence():
    env, llm = team(max_rounds=2)
    env.reset(seed=0)
    env.deliberate(speaking(0))
    env.deliberate(speaking(1))
    env.step(speaking())
    assert env.last_outcome is None
    env.step(speaking(2))
    assert len(llm.requests) == 3
    assert [reply.status for reply in env.episode.decisions[1].rounds[0].replies] == ["silent", "silent", "valid"]


def test_silence_is_no_failure_and_no_disagreement():
    env, _ = team()
    env.reset(seed=0)
    *_, infos = env.step(speaking(0, 2))
    assert [infos[agent]["valid"] for agent in AGENTS] == [1.0, 0.0, 1.0]
    assert (infos["executor_0"]["agreement"], infos["executor_0"]["failed"]) == (0.5, 0.0)
    assert env.episode.decisions[0].replies_judged[1] is None
    assert "executor_1 [speak=0.00 weight=1.00]: silent" in env.episode.render()
    env, _ = team(answers=(LLMReplyError("gone"), "4", "4"))
    env.reset(seed=0)
    *_, infos = env.step(speaking(0))
    assert infos["executor_1"]["failed"] == 1.0
    assert env.episode.decisions[0].failed


# Rewards, prices and prospects


def test_silent_executors_earn_nothing_and_the_team_has_the_mean_of_the_others():
    weights = {"initial_weights": (0.25, 0.5, 0.25), "team_ts": "mean"}
    env, _ = team(answers=("4", "5", "4"), reward=weights)
    env.reset(seed=0)
    _, rewards, *_ = env.step(speaking(0, 1))
    decision = env.episode.decisions[0]
    assert (rewards["executor_2"], decision.rewards[2].al, decision.rewards[2].total) == (0.0, 0.0, 0.0)
    for term in ("al", "ts", "cc", "total"):
        mean = (getattr(decision.rewards[0], term) + getattr(decision.rewards[1], term)) / 2
        assert getattr(decision.team_reward, term) == pytest.approx(mean)
    assert decision.team_reward.ts == 0.5


def test_each_executor_pays_for_its_own_calls_and_the_team_for_all():
    env, _ = team(reward={"price": 0.25})
    env.reset(seed=0)
    env.deliberate(speaking(0, 2))
    env.deliberate(speaking(0))
    _, rewards, *_, infos = env.step(speaking())
    assert rewards == {"executor_0": 1 - 0.5, "executor_1": 0.0, "executor_2": -0.25}
    assert [infos[agent]["price"] for agent in AGENTS] == [0.5, 0.0, 0.25]
    info = infos["executor_1"]
    assert (info["team_price"], info["team_reward"], info["team_ts"], info["team_correct"]) == (0.75, 0.25, 1.0, 1.0)
    assert "price 0.750" in env.episode.render()


def test_a_price_per_thousand_tokens():
    env, llm = team(reward={"price": 2.0, "price_per": "kilotoken"})
    env.reset(seed=0)
    env.step(speaking(0))
    usage = env.episode.decisions[0].rounds[0].replies[0].usage
    assert usage.tokens > 4
    assert env.episode.decisions[0].team_reward.price == pytest.approx(2.0 * usage.tokens / 1000)
    assert len(llm.requests) == 1


def test_failed_calls_are_not_paid_for_but_a_failed_round_is():
    env, _ = team(answers=("?", LLMReplyError("gone"), "4"), reward={"price": 0.5})
    env.reset(seed=0)
    _, rewards, *_ = env.step(speaking(1))
    assert rewards == dict.fromkeys(AGENTS, 0.0)
    env, _ = team(answers=("4", LLMReplyError("gone"), "4"), reward={"price": 0.5})
    env.reset(seed=0)
    _, rewards, *_ = env.step(speaking(0, 1))
    assert [rewards[agent] for agent in AGENTS] == [0.5, 0.0, 0.0]


def test_the_price_can_be_set_at_any_time():
    env, _ = team()
    assert env.price == 0.0
    env.reset(seed=0)
    env.deliberate(speaking(0))
    env.price = 0.125
    _, rewards, *_ = env.step(speaking())
    assert rewards["executor_0"] == 0.875
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="the price must be a number of at least 0"):
            env.price = wrong
    with pytest.raises(ConfigError, match=r"reward.price"):
        parse_settings(EnvConfig, {"reward": {"price": -1}})


@pytest.mark.parametrize(
    ("controls", "price", "there"), [(BOTH, 0.0, True), (["weight"], 0.0, False), (["weight"], 0.5, True)]
)
def test_infos_have_prices_where_there_is_a_price_or_a_choice(controls, price, there):
    env, _ = team(controls=controls, reward={"price": price})
    env.reset(seed=0)
    *_, infos = env.step(dict.fromkeys(AGENTS, np.ones(len(controls), np.float32)))
    assert tuple(infos["executor_0"]) == env.info_keys
    assert set(PRICE_KEYS).issubset(infos["executor_0"]) is there


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=4), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_calls_are_the_number_asked_and_prices_add_up(rounds, price):
    env, llm = team(answers=("4", "5", "6"), reward={"price": price})
    env.reset(seed=0)
    for speak in rounds:
        before = len(llm.requests)
        observations, _ = env.deliberate(act(*((value, 1.0) for value in speak)))
        asked = [agent for agent, value in zip(AGENTS, speak, strict=True) if value >= 0.5]
        if not asked and before == 0:
            asked = [AGENTS[int(np.argmax(np.array(speak, np.float32)))]]
        assert env.episode.last_round.asked == tuple(asked)
        assert len(llm.requests) - before == len(asked)
        assert all(env.observation_space(agent).contains(seen) for agent, seen in observations.items())
    prospect = env.prospect
    *_, infos = env.step(speaking())
    decision = env.episode.decisions[0]
    assert env.episode.usage.calls == len(llm.requests)
    assert decision.team_reward.price == pytest.approx(price * len(llm.requests))
    assert sum(part.price for part in decision.rewards) == pytest.approx(decision.team_reward.price)
    assert infos["executor_0"]["team_reward"] == pytest.approx(prospect - decision.team_reward.price)
    for part in decision.rewards:
        assert part.total == pytest.approx(part.ts - part.price)


def test_the_prospect_is_what_a_step_would_pay_without_its_price():
    env, _ = team(answers=(["5", "4"], "4", "5"), reward={"price": 0.125})
    assert env.prospect == 0.0
    env.reset(seed=0)
    assert env.prospect == 0.0
    env.deliberate(speaking(0))
    assert env.prospect == 0.0  # wrong
    env.deliberate(speaking(0))
    assert env.prospect == 1.0
    env.reward_weights = (0.5, 0.25, 0.25)
    other = copy.deepcopy(env)
    *_, infos = other.step(speaking())
    assert env.prospect == pytest.approx(infos["executor_0"]["team_reward"] + 0.25)
    paid = other.episode.decisions[0].team_reward
    assert env.prospect == pytest.approx(0.5 * paid.al + 0.25 * paid.ts + 0.25 * paid.cc)
    env.reward_weights = (0.0, 1.0, 0.0)
    *_, infos = env.step(speaking())
    assert infos["executor_0"]["team_reward"] == 0.75
    assert env.prospect == 0.0


def test_the_prospect_is_judged_once_and_a_step_uses_it():
    class Counting(EconAnswerRule):
        golds = 0

        def same(self, answer, gold):
            Counting.golds += 1
            return super().same(answer, gold)

    env, _ = team(answer_rule=Counting("counting-v1"))
    env.reset(seed=0)
    env.deliberate(speaking(0, 1, 2))
    first = env.prospect
    asked = Counting.golds
    assert env.prospect == first
    env.step(speaking())
    assert Counting.golds == asked


# Checks, banks and copies


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Twelve problems, four models, two samples at two temperatures, with questions, texts, tokens."""
    rows = [
        BankRow(
            problem=str(problem), model=f"m{model}", gold=str(problem), sample=sample, temperature=temperature,
            answer=None if (problem + model) % 5 == 4 else str(problem + (problem * model + sample) % 3),
            question=f"Which number is {problem}?", reply=f"Model {model} says {problem}." + "!" * model,
            tokens=10 * (model + 1),
        )
        for problem in range(12) for model in range(4) for temperature in (0.0, 1.0) for sample in range(2)
    ]  # fmt: skip
    return load_bank(write_bank(tmp_path_factory.mktemp("bank") / "small.parquet", rows, Manifest()))


def played(bank, controls, **changes):
    weighs = {"commitment": "weighted"} if "weight" in controls else {}
    config = {"sampling": {"controls": controls}, "reward": {"price": 0.01}, **weighs, **changes}
    return parallel_env(llm=bank, embedder="hash", config=config)


@pytest.mark.parametrize("controls", [FOUR, BOTH, ["speak"]])
@pytest.mark.parametrize("changes", [{}, {"max_rounds": 2}])
def test_teams_that_choose_to_speak_pass_every_check(bank, controls, changes):
    def simulated():
        weighs = {"commitment": "weighted"} if "weight" in controls else {}
        return parallel_env("bundled:1", llm="simulated", embedder="hash", n_agents=5,
                            config={"sampling": {"controls": controls}, **weighs, **changes})  # fmt: skip

    for make in (simulated, lambda: played(bank, controls, **changes)):
        check_env(make)
        parallel_api_test(make(), num_cycles=20)
        parallel_seed_test(make, num_cycles=5)


def test_a_bank_plays_rounds_of_some_and_counts_its_calls(bank):
    env = played(bank, BOTH)
    env.reset(seed=0, options={"problem": "3"})
    actions = act((1, 1), (0, 1), (0, 1), (0, 1))
    env.deliberate(actions)
    env.deliberate(act((0, 1), (1, 1), (0, 1), (1, 0.5)))
    *_, infos = env.step(actions)
    first, second, third = env.episode.decisions[0].rounds
    assert [r.asked for r in (first, second, third)] == [("executor_0",), ("executor_1", "executor_3"), ()]
    assert [reply.silent for reply in second.replies] == [False, False, True, False]
    assert infos["executor_0"]["calls"] == 3.0
    assert infos["executor_0"]["team_price"] == pytest.approx(0.03)
    assert [reply.chars for reply in third.replies] == [len("Model 0 says 3."), 16, None, 18]
    recorded = [reply.recorded for reply in second.replies if reply.recorded is not None]
    assert not any(place.clipped for place in recorded)  # the temperature is fixed, at 0.7


def test_only_controls_that_are_chosen_can_be_clipped(bank):
    outside = {"controls": ["speak"], "temperature_default": 1.75}
    for sampling, clipped in ((outside, False), ({"controls": ["temperature", "speak"]}, True)):
        env = parallel_env(llm=bank, embedder="hash", config={"sampling": sampling})
        env.reset(seed=0)
        env.step({agent: env.action_space(agent).high for agent in env.agents})
        assert {reply.recorded.clipped for reply in env.episode.last_round.replies} == {clipped}


def test_a_bank_deals_the_same_reply_whoever_else_is_asked(bank):
    env = played(bank, ["temperature", "speak"])
    seen = []
    for others in (0.0, 1.0):
        env.reset(seed=4, options={"problem": "5"})
        env.deliberate(act((0.0, others), (0.0, others), (0.0, 1.0), (0.0, others)))
        seen.append(env.episode.last_round.replies[2])
    assert seen[0].recorded == seen[1].recorded


def test_what_a_bank_can_not_price_or_weigh_is_one_line(bank, tmp_path):
    rows = [BankRow("p", "m", "4", "4", reply_chars=40), BankRow("p", "n", "4", "5", reply_chars=400)]
    lengths = load_bank(write_bank(tmp_path / "lengths.parquet", rows, Manifest()))
    with pytest.raises(
        BankError, match=r"lengths.parquet does not say how many tokens .*: set reward.price_per to call"
    ):
        parallel_env(llm=lengths, config={"reward": {"price_per": "kilotoken"}})
    with pytest.raises(BankError, match="set commitment to vote or weighted"):
        parallel_env(llm=bank, config={"commitment": "always"})
    env = played(bank, BOTH, reward={"price": 1.0, "price_per": "kilotoken"})
    env.reset(seed=0)
    env.step(act((0, 1), (1, 1), (0, 1), (0, 1)))
    assert env.episode.decisions[0].team_reward.price == pytest.approx(0.02)
    env = parallel_env(llm=lengths, config={"sampling": {"controls": ["speak"]}})
    env.reset(seed=0)
    env.step(act((1,), (1,)))
    assert [reply.chars for reply in env.episode.last_round.replies] == [40, 400]


@pytest.mark.parametrize("way", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_in_the_middle_of_a_decision_go_on_alike(bank, way):
    config = {"sampling": {"controls": FOUR}, "commitment": "weighted", "reward": {"price": 0.1}, "n_agents": 4}
    for make in (
        lambda: played(bank, FOUR),
        lambda: parallel_env("bundled:1", llm="simulated", embedder="hash", config=config),
    ):
        env = make()
        env.reset(seed=3)
        low, high = env.action_space("executor_0").low, env.action_space("executor_0").high
        rng = np.random.default_rng(0)
        actions = [{a: rng.uniform(low, high).astype(np.float32) for a in env.agents} for _ in range(4)]
        env.deliberate(actions[0])
        prospect = env.prospect
        env.price = 0.5
        other = way(env)
        assert (other.prospect, other.price) == (prospect, 0.5)
        for one in (env, other):
            one.deliberate(actions[1])
        ours, theirs = (one.step(actions[2]) for one in (env, other))
        for mine, yours in zip(ours, theirs, strict=True):
            for agent in mine:
                assert np.array_equal(mine[agent], yours[agent]) or mine[agent] == yours[agent]
        assert env.episode.decisions[0].rewards == other.episode.decisions[0].rewards
