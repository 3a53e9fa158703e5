"""Large teams: how they are split, who condenses what and when, what a failure costs, and where it all shows up."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env import parallel_env
from econ_env.answers import DEFAULT_RULE
from econ_env.app.run_config import load_run_config
from econ_env.app.runs.results import result_row
from econ_env.config import EnvConfig
from econ_env.embedding import HashEmbedder
from econ_env.errors import BudgetError, ConfigError, LLMReplyError, LLMRequestError, LLMUnavailableError
from econ_env.llm.protocol import Completion, LLMInfo
from econ_env.observations.infos import TEXT_KEYS
from econ_env.records import Problem, PromptEmbedding, Strategy, Usage
from econ_env.simulation.optimum import known_optimum
from econ_env.simulation.votes import independent_counts, win_chance
from econ_env.team.prompts import DEFAULT_PROMPTS
from econ_env.team.rounds import Team, split_team
from econ_env.testing import FaultyServer, ScriptedLLM
from econ_env.traces import read_lines

PROBLEM = Problem("What is 2 + 2?", "4", "p1")
CLUSTERS = ("cluster_0", "cluster_1", "cluster_2")


def play(llm, n_agents=9, **changes):
    team = Team(llm, (llm,) * n_agents, EnvConfig(n_agents=n_agents, **changes), rule=DEFAULT_RULE)
    profile = [PromptEmbedding(0.1 * (number + 1), 1.0) for number in range(n_agents)]
    return asyncio.run(team.round(PROBLEM, Strategy(None), profile, index=0, last_answer=None, seed=7))


def scripted(answers=None, others="4"):
    """Answers by the request's agent (the team's coordinator is `team`); errors are raised."""
    answers = answers or {}

    def script(request):
        said = answers.get(request.agent or "team", others)
        if isinstance(said, Exception):
            raise said
        return f"{request.agent or 'team'} thinks. The answer is {said}." if said else "I do not know."

    return ScriptedLLM(script)


def executors(*answers):
    return {f"executor_{number}": answer for number, answer in enumerate(answers)}


# How a team is split


@given(st.integers(1, 512), st.integers(2, 64))
def test_clusters_are_as_few_and_as_even_as_can_be(n_agents, cluster_size):
    parts = split_team(n_agents, cluster_size)
    sizes = [len(part) for part in parts]
    assert [number for part in parts for number in part] == list(range(n_agents))
    assert max(sizes) <= cluster_size
    assert max(sizes) - min(sizes) <= 1
    assert (len(parts) - 1) * cluster_size < n_agents
    assert split_team(n_agents, 0) == (range(n_agents),)


@pytest.mark.parametrize(
    ("n_agents", "sizes"), [(1, [1]), (4, [4]), (5, [3, 2]), (9, [3, 3, 3]), (10, [4, 3, 3]), (48, [4] * 12)]
)
def test_the_default_is_at_most_four_to_a_cluster(n_agents, sizes):
    assert [len(part) for part in split_team(n_agents, EnvConfig().cluster_size)] == sizes


@pytest.mark.parametrize("value", [1, -1])
def test_other_sizes_are_refused(value):
    with pytest.raises(ConfigError, match="cluster_size"):
        parallel_env([PROBLEM], llm=scripted(), embedder="hash", cluster_size=value)


def test_a_run_sets_it_under_env_args():
    assert load_run_config(None).env_config().cluster_size == 4
    assert load_run_config(None, ["env_args.cluster_size=0"]).env_config().cluster_size == 0


# Who is asked what


def test_local_coordinators_condense_their_own_executors_and_the_global_one_the_local_commitments():
    llm = scripted()
    round_ = play(llm)
    by_agent = {request.agent: request for request in llm.requests}
    assert len(llm.requests) == len(by_agent) == 9 + 3 + 1
    for number, name in enumerate(CLUSTERS):
        own = [reply.text for reply in round_.replies[3 * number : 3 * number + 3]]
        assert by_agent[name].messages == DEFAULT_PROMPTS.commitment(PROBLEM.question, own, "text")
        assert by_agent[name].role == "commitment"
        assert round_.clusters[number].agents == tuple(f"executor_{3 * number + place}" for place in range(3))
        assert round_.clusters[number].commitment.text == f"{name} thinks. The answer is 4."
    local = [cluster.commitment.text for cluster in round_.clusters]
    assert by_agent[""].messages == DEFAULT_PROMPTS.commitment(PROBLEM.question, local, "text")
    assert round_.commitment.text == "team thinks. The answer is 4."
    assert len({request.seed for request in llm.requests}) == 13


def test_executors_are_asked_the_same_in_clusters_and_in_a_flat_team():
    clustered, flat = scripted(), scripted()
    play(clustered)
    round_ = play(flat, cluster_size=0)
    assert round_.clusters == ()
    assert len(flat.requests) == 10

    def asked(llm):
        return sorted((r for r in llm.requests if r.role == "executor"), key=lambda request: request.agent)

    assert asked(clustered) == asked(flat)


class Waiting:
    """The last executor answers only once every other cluster's coordinator was asked."""

    info = LLMInfo("waiting", "waiting", "", json_mode=False, small=True)

    def __init__(self):
        self.asked = []
        self.condensed = asyncio.Event()

    async def complete(self, request):
        self.asked.append(request.agent)
        if {"cluster_0", "cluster_1"} <= set(self.asked):
            self.condensed.set()
        if request.agent == "executor_8":
            await asyncio.wait_for(self.condensed.wait(), 5.0)
        return Completion("The answer is 4.", "stop", "waiting")

    async def aclose(self): ...


def test_no_cluster_waits_for_another_ones_executors():
    llm = Waiting()
    round_ = play(llm)
    assert all(reply.valid for reply in round_.replies)
    assert llm.asked[-2:] == ["cluster_2", ""]


# What fails


def test_a_failed_local_coordinator_falls_back_to_its_clusters_majority_and_says_so():
    failed = LLMReplyError("empty")
    llm = scripted(executors("4", "4", "4", "5", "6", "6") | {"cluster_1": failed})
    round_ = play(llm)
    said = round_.clusters[1].commitment
    assert (said.answer, said.source, said.error) == ("6", "majority", "empty")
    assert "Solution 2: The answer is 6." in llm.requests[-1].messages[-1].content
    assert round_.commitment.source == "coordinator"


def test_a_cluster_with_nothing_valid_is_left_out():
    down = LLMUnavailableError("down")
    llm = scripted(dict.fromkeys(("executor_3", "executor_4", "executor_5"), down))
    round_ = play(llm)
    assert round_.clusters[1].commitment.source == "none"
    assert "cluster_1" not in {request.agent for request in llm.requests}
    local = [round_.clusters[number].commitment.text for number in (0, 2)]
    assert llm.requests[-1].messages == DEFAULT_PROMPTS.commitment(PROBLEM.question, local, "text")
    assert not round_.failed


def test_a_failed_global_coordinator_falls_back_to_the_majority_of_all_executors():
    answers = executors("5", "5", "4", "5", "5", "4", "4", "4", "4") | {"cluster_0": "5", "cluster_1": "5"}
    failed = LLMReplyError("empty")
    failed.usage = Usage(prompt_tokens=30)
    round_ = play(scripted(answers | {"team": failed}))
    assert [cluster.commitment.answer for cluster in round_.clusters] == ["5", "5", "4"]
    said = round_.commitment
    assert (said.answer, said.source, said.error, said.usage) == ("4", "majority", "empty", failed.usage)


def test_without_readable_replies_it_falls_back_to_the_local_commitments():
    unread = dict.fromkeys((f"executor_{number}" for number in range(9)), "")
    said = play(
        scripted(unread | {"cluster_0": "7", "cluster_1": "8", "cluster_2": "8", "team": LLMReplyError("empty")})
    )
    assert (said.commitment.answer, said.commitment.source) == ("8", "majority")


def test_nothing_valid_is_a_failed_round_and_no_coordinator_is_asked():
    llm = scripted(dict.fromkeys((f"executor_{number}" for number in range(9)), LLMUnavailableError("down")))
    round_ = play(llm)
    assert round_.failed
    assert {request.role for request in llm.requests} == {"executor"}
    assert [cluster.commitment.source for cluster in round_.clusters] == ["none"] * 3


@pytest.mark.parametrize("who", ["executor_4", "cluster_1", "team"])
@pytest.mark.parametrize("error", [LLMRequestError("bad key"), BudgetError("spent")])
def test_errors_that_doom_the_run_are_raised_from_every_level(who, error):
    with pytest.raises(type(error)):
        play(scripted({who: error}))


class Hanging:
    """Everybody hangs but one executor, whose call dooms the run."""

    info = LLMInfo("hanging", "hanging", "", json_mode=False, small=True)

    def __init__(self):
        self.left = []

    async def complete(self, request):
        if request.agent == "executor_4":
            await asyncio.sleep(0)
            raise BudgetError("spent")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.left.append(request.agent)
            raise

    async def aclose(self): ...


def test_then_all_calls_of_all_clusters_are_cancelled():
    llm = Hanging()
    with pytest.raises(BudgetError):
        play(llm)
    assert sorted(llm.left) == [f"executor_{number}" for number in range(9) if number != 4]


# Where it shows up


def made(llm=None, **changes):
    return parallel_env([PROBLEM], llm=llm or scripted(), embedder="hash", n_agents=9, **changes)


def at(env):
    return {agent: np.array([0.5, 1.1], np.float32) for agent in env.possible_agents}


def test_every_call_is_accounted_for_by_role(tmp_path):
    env = made(trace=tmp_path / "rounds.jsonl")
    env.reset(seed=0)
    infos = env.step(at(env))[-1]
    row = result_row(
        "bne", env.episode, stop_reasons=["max_rounds"], residuals=[], gap=None, seconds=1.0, rule=DEFAULT_RULE
    )
    round_ = env.episode.last_round
    local = sum((cluster.commitment.usage for cluster in round_.clusters), Usage())
    assert row["calls"] == infos["executor_0"]["calls"] == 1 + 9 + 3 + 1
    assert row["tokens"]["commitment"] == local.tokens + round_.commitment.usage.tokens
    assert local.tokens > round_.commitment.usage.tokens > 0
    assert sum(row["tokens"].values()) == row["prompt_tokens"] + row["completion_tokens"]
    assert row["texts"] == 9 + 3 + 1
    (line,) = read_lines(tmp_path / "rounds.jsonl")
    assert [tuple(cluster["agents"]) for cluster in line["round"]["clusters"]] == [c.agents for c in round_.clusters]
    assert line["round"]["clusters"][2]["commitment"]["text"] == "cluster_2 thinks. The answer is 4."
    assert json.loads(json.dumps(env.episode.to_dict()))["decisions"][0]["rounds"][0]["clusters"][1]["agents"][0]


def test_render_shows_local_commitments_below_their_executors():
    env = made(scripted({"cluster_1": LLMReplyError("empty")}), render_mode="ansi")
    env.reset(seed=0)
    env.step(at(env))
    lines = env.render().splitlines()
    names = [line.split("[")[0].split("(")[0].strip() for line in lines if line.startswith("  ")]
    assert names[:8] == [
        "executor_0",
        "executor_1",
        "executor_2",
        "local commitment 0",
        *names[4:7],
        "local commitment 1",
    ]
    assert names[11:13] == ["local commitment 2", "commitment"]
    assert "  local commitment 1 (majority): The answer is 4. -> 4" in lines


def test_text_infos_show_an_executor_its_own_clusters_commitment():
    env = made(text_infos=True)
    env.reset(seed=0)
    infos = env.step(at(env))[-1]
    assert set(TEXT_KEYS) <= set(infos["executor_0"])
    assert infos["executor_4"]["local_commitment"] == "cluster_1 thinks. The answer is 4."
    assert infos["executor_4"]["commitment"] == "team thinks. The answer is 4."


def test_al_is_measured_against_the_teams_commitment():
    env = made()
    env.reset(seed=0)
    infos = env.step(at(env))[-1]
    round_ = env.episode.last_round
    rows = HashEmbedder().encode([reply.text for reply in round_.replies] + [round_.commitment.text])
    for number, agent in enumerate(env.possible_agents):
        assert infos[agent]["reward_al"] == pytest.approx((1.0 + float(rows[number] @ rows[-1])) / 2.0, abs=1e-5)


def test_the_next_round_knows_the_teams_answer_only():
    llm = scripted({"team": "77", "cluster_1": "55"})
    env = made(llm)
    env.reset(seed=0)
    env.deliberate(at(env))
    llm.requests.clear()
    env.deliberate(at(env))
    prompts = {request.messages[-1].content for request in llm.requests if request.role == "executor"}
    assert len(prompts) == 1
    assert "77" in next(iter(prompts))
    assert "55" not in next(iter(prompts))


# The simulated team


def local_to_global(chance, sizes, wrong_answers):
    """Chance that a majority of majorities is right: by symmetry a wrong cluster picks any wrong answer alike."""
    local = [float(independent_counts(np.full(size, chance)) @ win_chance(size, wrong_answers)) for size in sizes]
    return float(independent_counts(np.array(local)) @ win_chance(len(sizes), wrong_answers))


@pytest.mark.slow
def test_the_simulated_team_is_right_as_often_as_a_majority_of_majorities():
    task = known_optimum(n_problems=400, n_agents=9, kinds=1)
    (kind,) = task.kind_shares
    low, high = task.landscape.bounds
    place = tuple(low + (high - low) * np.array([0.42, 0.2]))
    controls = PromptEmbedding(*map(float, place))

    async def share_right(cluster_size):
        team = Team(task.llm, (task.llm,) * 9, EnvConfig(n_agents=9, cluster_size=cluster_size), rule=DEFAULT_RULE)
        coroutines = [
            team.round(problem, Strategy(None), [controls] * 9, index=0, last_answer=None, seed=number)
            for number, problem in enumerate(task.problems)
        ]
        rounds = await asyncio.gather(*coroutines)
        right = [r.commitment.answer == problem.answer for r, problem in zip(rounds, task.problems, strict=True)]
        return float(np.mean(right))

    split = local_to_global(float(task.chance(kind, place)), (3, 3, 3), task.landscape.wrong_answers)
    flat = float(task.team_accuracy(kind, [place] * 9))
    assert flat - split > 0.1
    for cluster_size, expected in ((4, split), (0, flat)):
        error = 3.0 * np.sqrt(expected * (1.0 - expected) / len(task.problems))
        assert asyncio.run(share_right(cluster_size)) == pytest.approx(expected, abs=error)


def test_over_http_one_seed_is_one_episode():
    task = known_optimum(n_problems=6, n_agents=9)
    played = []
    with FaultyServer(task.llm.serve_reply, latency=0.1) as server:
        for _ in range(2):
            env = parallel_env(
                task.problems, llm=server.url, embedder="hash", n_agents=9, config={"llm": {"cache": False}}
            )
            env.reset(seed=3)
            env.deliberate(at(env))
            env.step(at(env))
            episode = env.episode.to_dict()
            episode["decisions"][0]["rounds"][0]["seconds"] = 0.0
            played.append(episode)
        assert server.seen.calls == 2 * (1 + 13)
        assert server.seen.most_in_flight >= 9
    assert played[0] == played[1]
