"""Confidence of replies from a server's log-probabilities to records, infos, observations, results and the reward."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest

from econ_env import parallel_env
from econ_env.app.run_config import load_run_config
from econ_env.app.runs.provenance import provenance
from econ_env.app.runs.results import result_row
from econ_env.config import EnvConfig, RewardConfig, parse_settings
from econ_env.errors import ConfigError, LLMReplyError, LLMRequestError
from econ_env.llm.protocol import Completion, LLMInfo
from econ_env.observations.confidence import ReplyConfidence
from econ_env.problems.load import load_problems
from econ_env.records import Confidence, Usage
from econ_env.rewards.terms import REWARD_VERSION, reward_version
from econ_env.testing import (
    FaultyServer,
    ScriptedLLM,
    SimulatedLLM,
    check_env,
    check_llm,
    check_observation_part,
)
from econ_env.testing.env_checks import CheckError
from econ_env.testing.faulty_server import RawAnswer
from econ_env.traces import read_lines
from econ_env.wrappers import ParallelVectorTeam

PROBLEMS = load_problems("bundled:1", limit=3)
ACTION = np.array([0.7, 1.1], np.float32)
MEAN, LOWEST = -0.5, -1.0
SURE = Confidence(MEAN, LOWEST, 32)
GROUP = 16


def logprobs(text):
    """A half of the tokens sure, the other half with log-probability -1: mean -0.5, lowest group -1."""
    numbers = [0.0] * GROUP + [-1.0] * GROUP
    step = max(1, len(text) // len(numbers))
    cuts = [text[at * step : (at + 1) * step] for at in range(len(numbers) - 1)]
    parts = [*cuts, text[(len(numbers) - 1) * step :]]
    return {"content": [{"token": part, "logprob": value} for part, value in zip(parts, numbers, strict=True)]}


def server(gives=True, **changes):
    """A simulated team over HTTP, with or without log-probabilities for those who ask."""
    model = SimulatedLLM(PROBLEMS)

    def reply(body):
        text = model.serve_reply(body)
        text = text if len(text) >= 2 * GROUP else text.ljust(2 * GROUP, ".")
        return RawAnswer({"content": text}, logprobs=logprobs(text) if gives and body.get("logprobs") else None)

    return FaultyServer(reply, **changes)


def _four(request):
    return f"{request.agent}: The answer is 4."


class Confident(ScriptedLLM):
    """A model in this process that gives log-probabilities to those who ask, as a package may register one."""

    def __init__(self, confidence=SURE):
        super().__init__(_four)
        self.confidence = confidence
        self.info = LLMInfo("confident", "confident", "", json_mode=False, small=True, logprobs=True)

    async def complete(self, request):
        done = await super().complete(request)
        given = self.confidence if request.logprobs else None
        return Completion(done.text, done.finish_reason, done.model, done.usage, confidence=given)


@pytest.fixture
def team(tmp_path):
    """Makes environments on a server or a model; further arguments are settings."""

    def make(model, *, cache=False, trace=None, parts=None, **config):
        calls = {"cache": cache, "cache_dir": str(tmp_path / "cache"), "max_retries": 1, "retry_wait": 0.001}
        config["llm"] = calls | config.get("llm", {})
        llm = model.url if isinstance(model, FaultyServer) else model
        return parallel_env(PROBLEMS, llm=llm, embedder="hash", config=config, trace=trace, observation_parts=parts)

    return make


def play(env, seed=1):
    """One decision; gives observations, rewards and infos."""
    env.reset(seed=seed)
    observations, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, ACTION))
    return observations, rewards, infos


# Asking ----------------------------------------------------------------------------------------------------------


def asked(seen):
    """Whether executors were asked with log-probabilities, and the coordinator."""
    wanted = [body.get("logprobs", False) for body in seen.bodies]
    return wanted.count(True), wanted.count(False)


@pytest.mark.parametrize(
    ("config", "asks"),
    [
        ({}, False),
        ({"llm": {"logprobs": True}}, True),
        ({"reward": {"al": "likelihood"}}, True),
        ({"observation": {"parts": ["reply_confidence"]}}, True),
    ],
)
def test_executors_are_asked_for_log_probabilities_only_if_a_setting_wants_them(team, config, asks):
    with server() as one:
        play(team(one, **config))
        assert asked(one.seen) == ((3, 2) if asks else (0, 5))  # never for the strategy and the commitment


def test_a_part_that_is_given_as_an_object_asks_too(team):
    with server() as one:
        play(team(one, parts=[ReplyConfidence()]))
        assert asked(one.seen) == (3, 2)


# Records ---------------------------------------------------------------------------------------------------------


def test_replies_infos_traces_and_results_carry_it(team, tmp_path):
    trace = tmp_path / "trace.jsonl"
    with server() as one:
        env = team(one, llm={"logprobs": True}, trace=trace)
        _, _, infos = play(env)
    replies = env.episode.last_round.replies
    assert [reply.confidence for reply in replies] == [SURE] * 3
    for info in infos.values():
        assert info["reply_confidence"] == pytest.approx(math.exp(MEAN))
        assert info["reply_confidence_lowest"] == pytest.approx(math.exp(LOWEST))
    plain = {"mean": MEAN, "lowest": LOWEST, "tokens": 32}
    (line,) = read_lines(trace)
    assert [reply["confidence"] for reply in line["round"]["replies"]] == [plain] * 3
    rule = env.answer_rule
    row = result_row("m", env.episode, stop_reasons=[], residuals=[], gap=None, seconds=0.0, rule=rule)
    assert [reply["confidence"] for reply in json.loads(json.dumps(row))["replies"]] == [plain] * 3
    assert pickle.loads(pickle.dumps(env.episode)).last_round.replies[0].confidence == SURE


@pytest.mark.parametrize("llm", [{}, {"logprobs": True}])
def test_where_a_server_gives_none_it_is_unknown_everywhere(team, llm):
    with server(gives=False) as one:
        env = team(one, llm=llm, observation={"parts": ["reply_confidence"]})
        observations, rewards, infos = play(env)
    assert {reply.confidence for reply in env.episode.last_round.replies} == {None}
    for agent, info in infos.items():
        assert (info["reply_confidence"], info["reply_confidence_lowest"]) == (0.0, 0.0)
        assert observations[agent][env.observation_layout["reply_confidence"]].tolist() == [0.0, 0.0, 0.0]
        assert rewards[agent] > 0.0
    assert {reply.valid for reply in env.episode.last_round.replies} == {True}


def test_an_invalid_reply_has_none(team):
    def fails(body):
        raise LLMReplyError("no")

    with FaultyServer(fails) as one:
        env = team(one, reward={"al": "likelihood"}, strategy="off")
        _, rewards, infos = play(env)
    assert set(rewards.values()) == {0.0}
    assert {info["reply_confidence"] for info in infos.values()} == {0.0}


def test_the_cache_repeats_it(team):
    with server() as one:
        first = play(team(one, cache=True, reward={"al": "likelihood"}))
        calls = one.seen.calls
        again = play(team(one, cache=True, reward={"al": "likelihood"}))
        assert one.seen.calls == calls
    assert first[1:] == again[1:]


# Observations ----------------------------------------------------------------------------------------------------


def test_the_part_shows_each_executor_its_own_last_reply(team):
    env = team(Confident(), observation={"parts": ["reply_confidence"]})
    place = env.observation_layout["reply_confidence"]
    observations, _ = env.reset(seed=1)
    assert {tuple(row[place].tolist()) for row in observations.values()} == {(0.0, 0.0, 0.0)}
    observations, _ = env.deliberate(dict.fromkeys(env.agents, ACTION))
    for row in observations.values():
        assert row[place] == pytest.approx([math.exp(MEAN), math.exp(LOWEST), 1.0])
    assert env.state_space.contains(env.state())
    with pytest.raises(ConfigError, match="'reply_confidence' of an observation part is taken"):
        team(Confident(), observation={"parts": ["reply_confidence", "reply_confidence"]})


def test_the_part_passes_the_checks_and_a_mistyped_name_finds_it():
    check_observation_part(ReplyConfidence())
    with pytest.raises(ConfigError, match="did you mean 'reply_confidence'"):
        parse_settings(EnvConfig, {"observation": {"parts": ["reply_confidense"]}})


@pytest.mark.parametrize("config", [{"al": "likelihood"}, {}])
def test_the_environment_with_it_passes_all_checks_and_stacks(team, config):
    def make():
        return team(Confident(), reward=config, observation={"parts": ["reply_confidence"]})

    check_env(make)
    many = ParallelVectorTeam([make, make])
    many.reset(seed=1)
    _, _, _, _, infos = many.step({agent: np.stack([ACTION, ACTION]) for agent in many.agents})
    for info in infos.values():
        assert info["reply_confidence"] == pytest.approx([math.exp(MEAN)] * 2)


# The reward ------------------------------------------------------------------------------------------------------


def test_al_is_the_probability_and_the_other_terms_stay(team):
    with server() as one:
        _, _, embedded = play(team(one, llm={"logprobs": True}))
        _, rewards, likely = play(team(one, reward={"al": "likelihood", "initial_weights": (0.5, 0.25, 0.25)}))
    for agent, info in likely.items():
        assert info["reward_al"] == pytest.approx(math.exp(MEAN))
        assert embedded[agent]["reward_al"] != pytest.approx(math.exp(MEAN), abs=1e-3)
        for kept in ("reward_cc", "reward_ts", "team_ts", "team_cc"):
            assert info[kept] == embedded[agent][kept]
        total = 0.5 * info["reward_al"] + 0.25 * info["reward_ts"] + 0.25 * info["reward_cc"]
        assert rewards[agent] == pytest.approx(total)
    assert likely["executor_0"]["team_al"] == pytest.approx(math.exp(MEAN))


def test_results_name_another_version_of_the_reward():
    assert reward_version(RewardConfig()) == REWARD_VERSION
    versions = [
        provenance(load_run_config(None, given))["versions"]["rewards"] for given in ([], ["reward.al=likelihood"])
    ]
    assert versions == [REWARD_VERSION, f"{REWARD_VERSION}-likelihood"]


NEEDS = r"^reward.al: likelihood needs log-probabilities, and .* none.*; use reward.al: embedding$"


@pytest.mark.parametrize("changes", [{"gives": False}, {"refuses": ["logprobs"]}, {"gives": False, "latency": 0.01}])
def test_a_server_without_them_ends_the_run_at_the_first_reply(team, changes):
    with server(**changes) as one:
        env = team(one, reward={"al": "likelihood"})
        env.reset(seed=1)
        with pytest.raises(LLMRequestError, match=NEEDS) as failed:
            env.step(dict.fromkeys(env.agents, ACTION))
        assert one.url in str(failed.value)
        assert env.episode.decisions[-1].rewards == ()


def test_an_answer_from_the_cache_without_them_names_the_cache(team):
    with server(gives=False) as one:
        for times in (1, 2):
            env = team(one, cache=True, reward={"al": "likelihood"})
            env.reset(seed=1)
            with pytest.raises(LLMRequestError, match=NEEDS) as failed:
                env.step(dict.fromkeys(env.agents, ACTION))
            assert ("cache" in str(failed.value)) == (times == 2)


@pytest.mark.parametrize("llm", ["simulated", ScriptedLLM(["4"]), SimulatedLLM(PROBLEMS)])
def test_a_model_that_offers_none_is_refused_before_any_call(team, llm):
    with pytest.raises(ConfigError, match=NEEDS):
        team(llm, reward={"al": "likelihood"}).reset(seed=1)


def test_the_simulated_model_is_refused_when_the_environment_is_made(team):
    with pytest.raises(ConfigError, match=NEEDS):
        team("simulated", reward={"al": "likelihood"})
    parallel_env(
        PROBLEMS, llm="simulated", executors=Confident(), embedder="hash", config={"reward": {"al": "likelihood"}}
    ).reset(seed=1)  # the coordinator's replies are not rewarded


def test_an_unknown_kind_of_al_is_refused():
    with pytest.raises(ConfigError, match=r"reward\.al"):
        parse_settings(EnvConfig, {"reward": {"al": "logprobs"}})


# Other people's models -------------------------------------------------------------------------------------------


def test_the_check_of_a_model_reads_its_confidence():
    check_llm(Always)
    for wrong in (Confidence(-1.0, -0.5, 3), Confidence(0.5, -0.5, 3), Confidence(-1.0, -1.0, 0), (-1.0, -1.0, 3)):
        with pytest.raises(CheckError, match="lowest <= mean <= 0"):
            check_llm(lambda wrong=wrong: Always(wrong))


class Always:
    """Gives a confidence unasked."""

    def __init__(self, confidence=SURE):
        self.confidence = confidence
        self.info = LLMInfo("always", "always", "", json_mode=False, logprobs=True)

    async def complete(self, request):
        return Completion("4", "stop", "always", Usage(calls=1), confidence=self.confidence)

    async def aclose(self):
        pass
