"""Teams of different models, over real HTTP: who is asked where, by which name, and what a failure costs."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from econ_env import parallel_env
from econ_env.app.run_config import load_run_config, make_env
from econ_env.config import LLMConfig
from econ_env.errors import ConfigError, LLMRequestError
from econ_env.llm.make import make_llm
from econ_env.problems.load import load_problems
from econ_env.records import PromptEmbedding
from econ_env.team.prompts import DEFAULT_PROMPTS
from econ_env.testing import FaultyServer, ScriptedLLM, SimulatedLLM

PROBLEMS = load_problems("bundled:1", limit=4)
NAMES = ("coordinator", "ada", "bea", "cleo")
CALLS = {"cache": False, "max_retries": 0, "retry_wait": 0.001}


def serve(*models, **changes):
    return FaultyServer(SimulatedLLM(PROBLEMS).serve_reply, models=models or NAMES, **changes)


def made(**changes):
    return parallel_env(PROBLEMS, embedder="hash", config={"llm": CALLS}, **changes)


def at(env):
    """Executors are told apart by their temperatures: 0.5, 0.6, ..."""
    places = enumerate(env.possible_agents)
    return {agent: np.array([0.5 + 0.1 * number, 1.1], np.float32) for number, agent in places}


def play(env):
    env.reset(seed=0)
    return env.step(at(env))


def names_by_temperature(server):
    return {round(body["temperature"], 2): body["model"] for body in server.seen.bodies}


@pytest.mark.parametrize("n_agents", [3, 9])
def test_each_executor_is_asked_by_its_own_models_name(n_agents):
    executors = [f"model-{number}" for number in range(n_agents)]
    with serve("coordinator", *executors) as server:
        env = made(llm=server.url, coordinator="coordinator", executors=executors, n_agents=n_agents)
        play(env)
    found = names_by_temperature(server)
    assert [found[round(0.5 + 0.1 * number, 2)] for number in range(n_agents)] == executors
    by_coordinator = [body for body in server.seen.bodies if body["model"] == "coordinator"]
    assert len(by_coordinator) == (2 if n_agents == 3 else 1 + 3 + 1)  # strategy and every commitment
    assert {body["temperature"] for body in by_coordinator} == {env.config.coordinator_temperature}
    assert server.seen.calls == n_agents + len(by_coordinator)
    assert all(reply.valid for reply in env.episode.last_round.replies)


def test_the_same_question_is_remembered_for_each_model_apart(tmp_path):
    config = LLMConfig(cache_dir=str(tmp_path), max_retries=0)
    messages = DEFAULT_PROMPTS.executor(PROBLEMS[0].question, None, None, "text")

    async def ask(env):
        team = env.team
        # Two executors with equal prompts, controls and seeds: only the model's name tells their requests apart.
        for number in (0, 1):
            alone = replace(team, executors=(team.executors[number],))
            await alone.replies(PROBLEMS[0], [messages], [PromptEmbedding(0.5, 1.0)], index=0, seed=1)

    with serve() as server:
        for _ in range(2):
            env = parallel_env(
                PROBLEMS, llm=server.url, executors=["ada", "bea", "cleo"], embedder="hash", config={"llm": config}
            )
            asyncio.run(ask(env))
    assert [body["model"] for body in server.seen.bodies] == ["ada", "bea"]


def test_executors_can_be_on_different_servers():
    with serve("one") as first, serve("two") as second, serve("boss") as third:
        on = {server: make_llm(server.url, LLMConfig(**CALLS)) for server in (first, second, third)}
        env = made(llm=first.url, coordinator=on[third], executors=[on[first], on[second], "one"])
        play(env)
    assert [body["model"] for body in first.seen.bodies] == ["one", "one"]
    assert names_by_temperature(second) == {0.6: "two"}
    assert [body["model"] for body in third.seen.bodies] == ["boss", "boss"]


def test_one_llm_serves_all_executors_while_another_coordinates():
    executors, boss = (ScriptedLLM(lambda request: "The answer is 4.") for _ in range(2))
    env = made(llm=boss, executors=executors)
    play(env)
    assert [len(executors.requests), len(boss.requests)] == [3, 2]


def test_a_server_that_is_down_costs_only_its_executors_reply():
    with serve("one") as first, serve("two", faults={"error_503": 1.0}) as second:
        broken = make_llm(second.url, LLMConfig(**CALLS))
        env = made(llm=first.url, executors=["one", broken, "one"])
        play(env)
    assert [reply.valid for reply in env.episode.last_round.replies] == [True, False, True]
    assert env.episode.last_round.commitment.source == "coordinator"
    assert second.seen.calls == 1


def test_a_name_that_the_server_does_not_know_ends_the_run():
    with serve() as server:
        env = made(llm=server.url, coordinator="coordinator", executors=["ada", "bea", "dora"])
        env.reset(seed=0)
        with pytest.raises(LLMRequestError, match="dora"):
            env.step(at(env))


def test_a_small_executor_is_asked_for_text_beside_a_large_one_that_is_asked_for_json():
    small = ScriptedLLM(lambda request: "The answer is 4.", small=True)
    large = ScriptedLLM(lambda request: json.dumps({"reasoning": "2+2", "answer": "4"}), small=False)
    env = made(llm=large, executors=[small, large, large])
    play(env)
    replies = env.episode.last_round.replies
    assert [reply.parsed_json for reply in replies] == [False, True, True]
    assert [reply.answer for reply in replies] == ["4"] * 3
    assert [request.json_schema is None for request in small.requests] == [True]
    assert "line of the form" in small.requests[0].messages[0].content


@pytest.mark.parametrize("executors", [["ada", "bea"], [], ["ada"] * 4])
def test_the_number_of_models_must_be_one_or_that_of_the_executors(executors):
    with pytest.raises(ConfigError, match=f"{len(executors)} executor models for 3 executors"):
        made(llm="http://127.0.0.1:9/v1", executors=executors)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_asks_the_same_servers(clone):
    with serve("one") as first, serve("two") as second:
        env = made(llm=first.url, executors=["one", make_llm(second.url, LLMConfig(**CALLS)), "one"])
        play(clone(env))
    assert [first.seen.calls, second.seen.calls] == [4, 1]


def test_a_run_names_its_models_in_its_settings():
    with serve() as server:
        settings = ["coordinator_model=coordinator", "executor_model=[cleo, ada, bea]", "embedder=hash"]
        config = load_run_config(None, [*settings, f"llm.backend={server.url}", "llm.cache=false"])
        env = make_env(config, PROBLEMS)
        play(env)
    assert env.team.models == ("coordinator", "cleo", "ada", "bea")
    found = names_by_temperature(server)
    assert [found[temperature] for temperature in (0.5, 0.6, 0.7)] == ["cleo", "ada", "bea"]
