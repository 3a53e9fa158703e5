"""The view with a step for each wave: rewards, infos, what is believed, and what is learned where answers are known."""

import json
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch

from econ_agents.config import parse_config
from econ_agents.evaluate import evaluate
from econ_agents.joint_env import as_joint
from econ_agents.networks.discussion import DiscussionReader
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import SPEAK
from econ_agents.train import train
from econ_agents.trial import Trial
from econ_agents.wave_env import WaveEnv
from econ_env import parallel_env
from econ_env.recorded import BankRow, Manifest, load_bank, write_bank
from econ_env.wrappers import NormalizedActions

PRICE = 0.05


def bank_of(path, answers, problems=24):
    """A bank in which the gold is 1 and each model gives the answers of its function of the problem's number."""
    made = [
        BankRow(f"p{number}", model, "1", answer(number), temperature=0.0, reply_chars=100 + number)
        for model, answer in answers.items()
        for number in range(problems)
    ]
    return load_bank(write_bank(path / "made.parquet", made, Manifest()))


def team(bank, **reward):
    settings = {
        "sampling": {"controls": ["speak", "weight"]},
        "commitment": "weighted",
        "reward": {"price": PRICE} | reward,
    }
    return parallel_env(llm=bank, config=settings)


def action(*pairs):
    return np.array(pairs, np.float32).ravel()


@pytest.fixture
def mixed(tmp_path):
    """Model `a` is right on even problems, `b` and `c` always, `c` in its own spelling."""
    return bank_of(tmp_path, {"a": lambda n: "1" if n % 2 == 0 else "7", "b": lambda n: "1", "c": lambda n: "1.0"})


def test_an_environment_whose_executors_may_be_silent_gets_this_view(mixed):
    assert isinstance(as_joint(team(mixed)), WaveEnv)
    assert not isinstance(as_joint(parallel_env(llm=mixed)), WaveEnv)


def test_rewards_of_the_steps_add_up_to_the_teams(mixed):
    env = as_joint(team(mixed))
    env.reset(seed=0, options={"problem": "p1"})
    _, first, ended, _, info = env.step(action((1, 1), (0, 1), (0, 1)))  # a says 7
    assert (first, ended) == (pytest.approx(-PRICE), False)
    assert info["wave_spoke"].tolist() == [1, 0, 0]
    _, second, ended, _, info = env.step(action((0, 1), (1, 1), (1, 1)))  # b and c outvote it
    assert (second, ended) == (pytest.approx(1 - 2 * PRICE), False)
    assert (info["wave_label"].tolist(), info["wave_right"].tolist()) == ([0, 1, 1], [0, 1, 1])
    assert info["wave_amount"].tolist() == [0.0, 1.0, 1.0]
    _, last, ended, _, info = env.step(action((0, 1), (0, 0), (0, 0)))  # and are given no weight
    assert (last, ended) == (pytest.approx(-1.0), True)
    assert first + second + last == pytest.approx(info["team_reward"]) == pytest.approx(-3 * PRICE)
    assert env.parallel_env.episode.usage.calls == 3


def test_infos_have_the_same_keys_at_every_step(mixed):
    env = as_joint(team(mixed))
    env.reset(seed=0)
    seen = [set(env.step(action(*[(own, 1)] * 3))[-1]) for own in (1, 0)]
    assert seen[0] == seen[1]


def test_the_first_step_asks_somebody_and_the_last_nobody(mixed):
    env = WaveEnv(team(mixed), most=2)
    env.reset(seed=0)
    *_, info = env.step(action((0.1, 1), (0.3, 1), (0.2, 1)))
    assert info["wave_spoke"].tolist() == [0, 1, 0]
    env.step(action((1, 1), (0, 1), (0, 1)))
    *_, ended, _, info = env.step(action((1, 1), (1, 1), (1, 1)))
    assert (ended, info["wave_spoke"].tolist(), info["calls"]) == (True, [0, 0, 0], 2.0)


def test_agents_that_act_in_other_units_speak_above_the_middle(mixed):
    """A wrapper's actions lie in [-1, 1]."""
    env = as_joint(NormalizedActions(team(mixed)))
    assert isinstance(env, WaveEnv)
    env.reset(seed=0, options={"problem": "p1"})
    _, reward, _, _, info = env.step(action((0.1, 1), (-0.1, 1), (-1, 1)))
    assert (info["wave_spoke"].tolist(), reward) == ([1, 0, 0], pytest.approx(-PRICE))
    *_, ended, _, info = env.step(action((-1, 1), (-0.1, 1), (-0.1, 1)))
    assert (ended, info["calls"]) == (True, 1.0)


def test_an_agent_speaks_once_in_a_decision(mixed):
    env = as_joint(team(mixed))
    env.reset(seed=0)
    everyone = action((1, 1), (1, 1), (1, 1))
    env.step(everyone)
    *_, ended, _, info = env.step(everyone)
    assert (ended, info["calls"], info["wave_spoke"].tolist()) == (True, 3.0, [0, 0, 0])


def test_a_question_without_gold_is_heard_to_the_end(mixed):
    """As `econ solve` does: nothing is judged, and the last weights count."""
    env = as_joint(team(mixed))
    run = env.run_coroutine
    run(env.areset(seed=0, options={"problem": "p1"}))
    steps = [action((1, 0), (1, 1), (0, 0)), action((0, 1), (0, 0), (0, 1))]
    overs = [run(env.ahear(step))[1] for step in steps]
    assert overs == [False, True]
    assert env.last_outcome.answer == "7"
    assert not env.parallel_env.episode.decisions[-1].submitted


def test_each_episode_has_its_own_price_until_one_is_set(mixed):
    env = team(mixed, price=0.01, price_max=0.1)
    prices = []
    for seed in range(40):
        env.reset(seed=seed)
        prices.append(env.price)
    assert 0.01 <= min(prices) < 0.02 < 0.05 < max(prices) <= 0.1
    env.price = 0.03
    env.reset(seed=1)
    assert env.price == 0.03


@pytest.mark.parametrize("price", [0.0, 0.005, 0.4, 7.0])
def test_the_learner_reads_the_price_that_the_environment_shows(mixed, price):
    env = as_joint(team(mixed, price=price))
    obs_ND, _ = env.reset(seed=0)
    assert DiscussionReader(env.team)(torch.as_tensor(obs_ND)[None]).price_B.item() == pytest.approx(price, rel=1e-4)


SETTINGS = {
    "network": {"memory": False},
    "gamma": 1.0,
}


AT_ONCE = SETTINGS | {"exploration": {"all_speak": 1.0}}
"""All speak in training."""


def test_all_speak_at_once_where_training_asks_for_it(mixed):
    asked = []
    train(partial(team, mixed), parse_config(AT_ONCE), episodes=8, seed=0, on_episode=asked.append)
    assert [one.numbers["calls"] for one in asked] == [3.0] * 8


class Two(EconPolicy):
    """The first two speak at once, the third never."""

    def propose(self, obs_BND):
        act_BNA = super().propose(obs_BND).clone()
        act_BNA[..., self.spec.control(SPEAK)] = torch.tensor([1.0, 1.0, -1.0])
        return act_BNA


class Mute:
    """Plays as another policy, and tells nothing."""

    def __init__(self, policy):
        self.policy = policy

    def propose(self, obs_BND):
        return self.policy.propose(obs_BND)


class Told(Mute):
    """Tells these numbers."""

    def __init__(self, policy, right, gain):
        super().__init__(policy)
        self.told = torch.tensor([right]), torch.tensor([gain])

    def hear(self, obs_BND):
        return self.told


class Unasked(Mute):
    """Must not be asked."""

    def hear(self, obs_BND):
        raise AssertionError("nobody may be silent here")


def two(bank, **settings):
    torch.manual_seed(0)
    return Two(as_joint(team(bank)).team, parse_config(SETTINGS | settings)).eval()


def test_what_was_believed_before_each_step_is_kept(mixed):
    policy = two(mixed)
    results = evaluate(Trial(policy, rounds=1), partial(team, mixed), range(6))
    for result in results:
        env = as_joint(team(mixed))
        obs_ND, _ = env.reset(seed=result.seed, options={"problem": result.problem})
        for decision in result.decisions:
            (told,) = decision.expected
            obs_1ND = torch.as_tensor(obs_ND)[None]
            for kept, now_1N in zip((told.right, told.gain), policy.hear(obs_1ND), strict=True):
                assert kept == pytest.approx(now_1N[0].tolist())
            believed = policy.believed(obs_1ND)[0].tolist()
            obs_ND, *_ = env.step(np.ravel(decision.profiles[-1]))
        assert np.isnan(believed).tolist() == [False, False, True]
        assert result.believed[:2] == pytest.approx(believed[:2])
        assert all(0.0 <= chance <= 1.0 for chance in result.believed)
    agreed, split = (results[place].believed[0] for place in (0, 1))
    assert agreed > split  # the two agree on even problems alone
    assert json.loads(json.dumps([asdict(result) for result in results], allow_nan=False))


def test_telling_changes_nothing_else_and_may_be_nothing(mixed):
    policy = two(mixed)

    def played(policy):
        return evaluate(Trial(policy, rounds=1, gaps=False), partial(team, mixed), range(4), concurrency=1)

    def without(results):
        return [
            replace(result, decisions=[replace(decision, expected=None) for decision in result.decisions])
            for result in results
        ]

    untold = played(Mute(policy))
    assert {result.believed for result in untold} == {None}
    assert played(Told(policy, [np.nan] * 3, [np.nan] * 3)) == untold
    half = played(Told(policy, [0.25, np.nan, 0.5], [np.nan] * 3))
    assert [result.believed for result in half] == [[0.25, None, 0.5]] * 4
    assert half[0].decisions[0].expected[0].gain == [None] * 3
    assert without(half) == untold
    assert without(played(policy)) == untold


def test_where_everybody_is_asked_nothing_is_told(mixed):
    make = partial(parallel_env, llm=mixed, config={"sampling": {"controls": ["weight"]}, "commitment": "weighted"})
    policy = EconPolicy(as_joint(make()).team, parse_config(SETTINGS)).eval()
    results = evaluate(Trial(Unasked(policy), rounds=1), make, range(2))
    assert [decision.expected for result in results for decision in result.decisions] == [None] * 2
    assert {result.believed for result in results} == {None}


def played(bank, episodes, settings=SETTINGS):
    make = partial(team, bank)
    policy = train(make, parse_config(settings), episodes=episodes, seed=0).policy
    results = evaluate(Trial(policy, rounds=1, gaps=False), make, range(len(bank.problems)))
    last = [result.decisions[-1].numbers for result in results]
    return np.mean([numbers["team_correct"] for numbers in last]), np.mean([numbers["calls"] for numbers in last])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [SETTINGS, AT_ONCE])
def test_one_that_is_always_right_is_asked_and_nobody_else(tmp_path, settings):
    bank = bank_of(tmp_path, {"bad": lambda n: str(100 + n), "sure": lambda n: "1", "worse": lambda n: str(500 + n)})
    assert played(bank, 200, settings) == (1.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "episodes"), [(SETTINGS, 400), (AT_ONCE, 400)])
def test_a_call_is_made_only_where_it_changes_the_answer(tmp_path, settings, episodes):
    """`late` is worth its price where `first` and `twin` are wrong, which the length of their replies tells; it has no
    answer elsewhere, and then they are worth theirs."""
    made = []
    for number in range(24):
        even = number % 2 == 0
        for model in ("first", "twin"):
            made.append(BankRow(f"p{number}", model, "1", "1" if even else "7", 0.0, reply_chars=60 if even else 900))
        made.append(BankRow(f"p{number}", "late", "1", None if even else "1", 0.0, reply_chars=300))
    right, calls = played(load_bank(write_bank(tmp_path / "made.parquet", made, Manifest())), episodes, settings)
    assert right == 1.0
    assert calls == pytest.approx(1.5, abs=0.1)


@pytest.mark.slow
def test_one_policy_for_all_prices_asks_more_where_calls_are_cheap(tmp_path):
    """The price can be set at any time, and is seen. Three are right on two thirds of the problems each."""
    answers = {
        model: lambda n, wrong=wrong: str(100 + wrong) if n % 3 == wrong else "1" for wrong, model in enumerate("abc")
    }
    bank = bank_of(tmp_path, answers)
    make = partial(team, bank, price=0.005, price_max=0.2)
    policy = train(make, parse_config(AT_ONCE), episodes=300, seed=0).policy

    def calls(price):
        results = evaluate(Trial(policy, rounds=1, gaps=False), partial(team, bank, price=price), range(24))
        return np.mean([result.decisions[-1].numbers["calls"] for result in results])

    assert calls(0.005) > 2.0 > calls(0.9) == 1.0
