"""Whose reward an executor is paid: that of its own reply, or the team's."""

import json

import numpy as np
import pytest

from econ_agents.batches import to_team_batch
from econ_agents.config import parse_config
from econ_agents.joint_env import JointEnv
from econ_agents.train import train
from econ_env import parallel_env
from econ_env.episode import Decision
from econ_env.errors import ConfigError
from econ_env.records import Problem, RewardParts
from econ_env.testing.env_checks import check_env
from econ_env.testing.scripted import ScriptedLLM
from econ_env.wrappers import NormalizedActions

PROBLEMS = [Problem("What is 2 + 2?", "4", "four"), Problem("What is 3 + 3?", "6", "six")]
OWN = (RewardParts(1.0, 1.0, 1.0, 1.0), RewardParts(0.5, 0.0, 0.75, 0.125))
TEAM = RewardParts(0.75, 1.0, 0.875, 0.9625)


def make(credit="own", price=0.0):
    """The first executor and the team are right on the first problem, the second executor never is."""
    llm = ScriptedLLM(lambda request: "It must be 5." if request.agent == "executor_1" else "The answer is 4.")
    return parallel_env(
        PROBLEMS, n_agents=2, llm=llm, embedder="hash", config={"reward": {"credit": credit, "price": price}}
    )


def stepped(env, problem=0):
    env.reset(seed=0, options={"problem": problem})
    return env.step({agent: np.array([0.5, 1.1], np.float32) for agent in env.possible_agents})


def test_what_was_paid_by_hand():
    assert Decision(rewards=OWN, team_reward=TEAM, weights=(0.1, 0.8, 0.1)).paid == (1.0, 0.125)
    assert Decision(rewards=OWN, team_reward=TEAM, weights=(0.1, 0.8, 0.1), credit="team").paid == (0.9625, 0.9625)
    assert Decision(credit="team").paid == ()


def test_own_credit_is_the_default_and_pays_the_terms_of_the_own_reply():
    assert parallel_env(PROBLEMS, llm="simulated", embedder="hash").reward_credit == "own"
    _, rewards, _, _, infos = stepped(make())
    for agent, info in infos.items():
        own = 0.1 * info["reward_al"] + 0.8 * info["reward_ts"] + 0.1 * info["reward_cc"]
        assert rewards[agent] == pytest.approx(own)


@pytest.mark.parametrize("credit", ["own", "team"])
def test_with_team_credit_all_are_paid_alike_and_the_terms_stay_their_own(credit):
    _, rewards, _, _, infos = stepped(make(credit))
    assert sorted(info["reward_ts"] for info in infos.values()) == [0.0, 1.0]
    team = {info["team_reward"] for info in infos.values()}
    if credit == "team":
        assert {*rewards.values()} == team
    else:
        assert len({*rewards.values()}) == 2
    assert all(type(reward) is float for reward in rewards.values())


def test_with_team_credit_each_pays_for_the_calls_of_all():
    _, free, _, _, _ = stepped(make("team"))
    _, rewards, _, _, infos = stepped(make("team", price=0.125))
    assert rewards == {agent: pytest.approx(reward - 2 * 0.125) for agent, reward in free.items()}
    assert {info["team_price"] for info in infos.values()} == {0.25}


def test_the_record_says_who_was_paid_for_what():
    env = make("team")
    stepped(env)
    plain = json.loads(json.dumps(env.episode.to_dict()))["decisions"][0]
    assert plain["credit"] == "team"
    assert len(plain["rewards"]) == 2
    paid = f"{env.episode.decisions[0].team_reward.total:.3f}"
    assert env.episode.render().endswith(f"rewards {paid}, {paid}")


def test_an_environment_with_team_credit_passes_every_check():
    config = {"reward": {"credit": "team"}}
    check_env(lambda: parallel_env("bundled:1", llm="simulated", embedder="hash", config=config))


def test_another_credit_is_refused_in_a_line():
    with pytest.raises(ConfigError, match=r"reward\.credit: .*'own' or 'team'.*\(got 'all'\)"):
        make("all")


@pytest.mark.parametrize("credit", ["own", "team"])
def test_the_learner_sees_the_credit_also_through_a_wrapper(credit):
    assert JointEnv(make(credit)).team.credit == credit
    assert JointEnv(NormalizedActions(make(credit))).team.credit == credit


@pytest.mark.parametrize("price", [0.0, 0.125])
@pytest.mark.parametrize("credit", ["own", "team"])
@pytest.mark.parametrize("learned", [False, True])
def test_local_values_are_trained_on_what_was_paid(credit, learned, price, monkeypatch):
    seen = []

    def noted(batch, spec, alpha_R):
        rows = to_team_batch(batch, spec, alpha_R)
        seen.append((rows, batch.info))
        return rows

    monkeypatch.setattr("econ_agents.algorithm.to_team_batch", noted)
    small = {"hidden_dim": 8, "encoder_dim": 4, "mixer_dim": 4, "heads": 1, "ffn_dim": 8}
    config = {"belief_dim": 8, "num_envs": 2, "update_interval": 2, "network": small, "alpha": {"learn": learned}}
    train(lambda: make(credit, price), parse_config(config), episodes=6)
    rows, info = seen[0]  # the weights are still those that the environment paid with
    np.testing.assert_allclose(rows.reward_BN, np.asarray(info.agent_rewards), rtol=1e-5)
    np.testing.assert_allclose(rows.team_reward_B, np.asarray(info.team_reward), rtol=1e-5)
    assert bool((rows.reward_BN[:, 0] == rows.reward_BN[:, 1]).all()) == (credit == "team")
