"""Environments that play a bank: PettingZoo's tests and ours, copies in the middle of an episode, shared decks."""

import asyncio
import copy
import pickle

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from econ_env import load_bank, parallel_env
from econ_env.embedding import HashEmbedder
from econ_env.errors import ConfigError
from econ_env.methods import Debate, SelfConsistency, SingleCall
from econ_env.testing.env_checks import check_env
from econ_env.testing.scripted import ScriptedLLM
from tests.econ_env.recorded.made_banks import COLD, HOT, bank_of, counted, refused, row, two_cells


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Two models, two temperatures, five samples, with questions and texts."""
    rows = two_cells(6, 5, ("a", "b"))
    texts = [row(r.problem, r.answer, model=r.model, temperature=r.temperature, sample=r.sample,
                 question=f"What is {r.problem}?", reply=f"{r.model} says {r.answer}.") for r in rows]  # fmt: skip
    return bank_of(tmp_path_factory.mktemp("bank"), texts)


def made(bank, **changes):
    return parallel_env(llm=bank, embedder=HashEmbedder(), **changes)


def at(env, *temperatures):
    given = temperatures * len(env.possible_agents) if len(temperatures) == 1 else temperatures
    return {agent: np.array([T, 1.0], np.float32) for agent, T in zip(env.possible_agents, given, strict=True)}


def rows(env):
    """Rows of the file that the episode played, by round."""
    return [
        [reply.recorded.row for reply in round_.replies]
        for decision in env.episode.decisions
        for round_ in decision.rounds
    ]


@pytest.mark.parametrize("changes", [{}, {"max_rounds": 3}, {"executors": "a", "n_agents": 4}])
def test_it_passes_every_check(bank, changes):
    check_env(lambda: made(bank, **changes))
    parallel_api_test(made(bank, **changes), num_cycles=20)
    parallel_seed_test(lambda: made(bank, **changes), num_cycles=5)


def test_what_suits_a_bank_is_set_where_nothing_else_is(bank, tmp_path):
    env = made(bank)
    assert (env.config.strategy, env.config.commitment, env.config.show_commitment) == ("off", "vote", False)
    assert env.config.n_agents == 2
    assert env.config.reward.initial_weights == (0.1, 0.8, 0.1)
    bare = made(bank_of(tmp_path, counted(3, 1)))
    assert (bare.config.n_agents, bare.config.reward.initial_weights) == (3, (0.0, 1.0, 0.0))
    env.reset(seed=0)
    assert env.episode.problem in bank.problems


def test_the_name_of_a_bank_and_the_bank_play_alike(bank, tmp_path):
    path = bank.read_replies.args[0]
    played = []
    for llm in (bank, f"recorded:{path}", load_bank(path)):
        env = made(llm)
        env.reset(seed=3)
        env.step(at(env, 0.6))
        played.append((env.episode.problem, rows(env)))
    assert played[0] == played[1] == played[2]


def test_a_seed_gives_the_same_episodes_again(bank):
    env, other = made(bank), made(bank)
    seen = []
    for playing in (env, env, other):
        playing.reset(seed=11)
        for _ in range(3):
            playing.step(at(playing, 0.5, 0.7))
            seen.append((playing.episode.problem.id, rows(playing)))
            playing.reset()
    assert seen[:3] == seen[3:6] == seen[6:]
    assert len({str(played) for played in seen[:3]}) == 3


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("named", [False, True])
def test_a_copy_in_the_middle_of_an_episode_goes_on_alike(bank, copied, named):
    env = made(f"recorded:{bank.read_replies.args[0]}" if named else bank, max_rounds=2)
    env.reset(seed=2)
    env.deliberate(at(env, 0.4, HOT))
    env.step(at(env, 0.6, COLD))
    other = copied(env)
    for playing in (env, other):
        playing.deliberate(at(playing, 0.5))
        playing.step(at(playing, 0.3, 0.8))
    assert rows(other) == rows(env)
    assert len(rows(env)) == 4
    assert other.episode.to_dict() == {**env.episode.to_dict(), "decisions": other.episode.to_dict()["decisions"]}
    for playing in (env, other):
        playing.reset()
        playing.step(at(playing, 0.5))
    assert rows(other) == rows(env)


def test_rounds_of_an_episode_share_its_deck(tmp_path):
    bank = bank_of(tmp_path, counted(1, 6, ("a", "b")))
    env = made(bank, max_rounds=2)
    env.reset(seed=0)
    env.deliberate(at(env, 0.7))
    env.step(at(env, 0.8))
    env.step(at(env, 0.9))
    played = rows(env)
    assert len(played) == 3
    for model in (0, 1):
        own = [round_[model] for round_ in played]
        assert len(set(own)) == 3
        assert {place // 6 for place in own} == {model}
    env.reset(seed=0)
    env.step(at(env, 0.7))
    assert rows(env) == played[:1]


def test_votes_and_episodes_with_equal_controls_play_the_same_replies(bank):
    """`sc` asks the team outside an episode, `fixed` through one: a comparison of the two must be paired."""
    env = made(bank)
    for problem, seed in ((0, 4), (3, 5), (5, 6)):
        env.reset(seed=seed, options={"problem": problem})
        env.step(at(env, 0.7))
        voted = asyncio.run(SelfConsistency(env.team, 2, 0.7).answer(bank.problems[problem], seed))
        assert [reply.recorded.row for reply in voted.replies] == rows(env)[0]
        assert voted.rounds[-1].commitment.answer == env.episode.last_round.commitment.answer
        longer = asyncio.run(SelfConsistency(env.team, 7, 0.7).answer(bank.problems[problem], seed))
        assert [reply.recorded.row for reply in longer.replies][:2] == rows(env)[0]


def test_a_single_call_takes_the_coldest(bank):
    answer = asyncio.run(SingleCall(made(bank).team).answer(bank.problems[0], 1))
    assert answer.replies[0].answer == "1"
    assert answer.replies[0].recorded.clipped


def test_the_commitment_is_the_majority_in_words_of_its_own(bank):
    env = made(bank, executors=["a", "a", "b"])
    env.reset(seed=1)
    env.step(at(env, COLD, HOT, COLD))
    commitment = env.episode.last_round.commitment
    assert (commitment.answer, commitment.source, commitment.text) == ("1", "majority", "The answer is 1.")
    assert env.episode.decisions[0].judgement.correct


def test_what_other_prompts_would_change_can_not_be_played(bank):
    with refused("made.parquet can't show what a plan, other replies or a last commitment would change"):
        asyncio.run(Debate(made(bank).team, 2).answer(bank.problems[0], 0))


def test_reuse_can_be_refused_in_an_episode(tmp_path):
    env = made(bank_of(tmp_path, counted(1, 1)), n_agents=2, config={"recorded": {"reuse": "refuse"}})
    env.reset(seed=0)
    with refused("made.parquet has only 1 replies of m to the problem p0"):
        env.step(at(env, 0.7))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "reset"}, "can't show what a plan changes: set strategy to off"),
        ({"config": {"commitment": "divided"}}, "has no words of a coordinator: set commitment to vote"),
        ({"config": {"show_commitment": True}}, "can't show what a last commitment changes"),
        ({"n_agents": 3}, "has 2 models for 3 executors; say which ones play: a, b"),
        ({"executors": ["a", "c"]}, "has no model 'c'. It has a, b"),
        ({"executors": [ScriptedLLM([]), "a"]}, "are named by its models: a, b"),
        ({"coordinator": "a"}, "has no coordinator: leave it out"),
    ],
)
def test_what_a_bank_can_not_play_is_refused_when_the_environment_is_made(bank, changes, message):
    with refused(f"made.parquet {message}" if "named" not in message else "executors of made.parquet are named"):
        made(bank, **changes)


def test_more_names_than_executors(bank):
    with pytest.raises(ConfigError, match="2 executor models for 4 executors"):
        made(bank, executors=["a", "b"], n_agents=4)
