"""The environment on the real client and a server that fails: nothing is lost, made up, paid twice or uncounted."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter

import numpy as np
import pytest

from econ_env import parallel_env
from econ_env.errors import BudgetError, LLMRequestError
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.http.secrets import login_header
from econ_env.problems.load import load_problems
from econ_env.records import Usage
from econ_env.testing import FaultyServer, SimulatedLLM
from econ_env.traces import read_lines

KINDS = ("too_many", "too_many_wait", "error_500", "error_503", "drop", "hang", "html", "empty", "null", "broken_json",
         "cut_text", "drip")  # fmt: skip
PROBLEMS = load_problems("bundled:1", limit=24)


@pytest.fixture
def play(tmp_path):
    """Plays all problems at once, each in an environment of its own; gives the episodes and the account."""

    def start(server, name="run", **changes):
        config = {
            "timeout": 0.3,
            "round_timeout": 20.0,
            "max_retries": 6,
            "retry_wait": 0.002,
            "retry_wait_max": 0.02,
            "retry_after_max": 0.02,
            "cache_dir": str(tmp_path / name),
            **changes,
        }
        trace = tmp_path / f"{name}.jsonl"

        async def one(index):
            env = parallel_env(PROBLEMS, llm=server.url, embedder="hash", trace=trace, config={"llm": config})
            await env.areset(seed=5, options={"problem": index})
            controls = np.array([0.6, 1.1], np.float32)
            await env.astep(dict.fromkeys(env.possible_agents, controls))
            return env

        async def everything():
            return await asyncio.gather(*(one(index) for index in range(len(PROBLEMS))))

        envs = asyncio.run(everything())
        coordinator = envs[0].team.coordinator
        assert isinstance(coordinator, OpenAIClient)
        return [env.episode for env in envs], coordinator.meter.snapshot(), list(read_lines(trace))

    return start


def simulated(**changes):
    return FaultyServer(SimulatedLLM(PROBLEMS).serve_reply, **changes)


def verdicts(episodes):
    return [None if e.decisions[-1].judgement is None else e.decisions[-1].judgement.verdict for e in episodes]


def texts(episode):
    round_ = episode.last_round
    return [reply.text for reply in round_.replies], round_.commitment.text


def test_with_every_kind_of_fault_each_problem_ends_once_judged_or_failed_with_its_reason(play):
    with simulated() as server:
        clean, _, _ = play(server, "clean")
    with simulated(faults=dict.fromkeys(KINDS, 0.3 / len(KINDS)), seed=2, drip_seconds=60.0) as server:
        faulty, account, rows = play(server, "faulty")
        seen = server.seen
    assert len(seen.faults) >= 10
    assert Counter(row["problem"] for row in rows) == Counter(problem.id for problem in PROBLEMS)
    same = 0
    for calm, rough in zip(clean, faulty, strict=True):
        round_ = rough.last_round
        assert rough.decisions[-1].judgement is not None or round_.commitment.error
        assert all(reply.valid or (reply.error and reply.text is None) for reply in round_.replies)
        same += texts(calm) == texts(rough)
    assert same > len(PROBLEMS) / 2  # the others were asked again with another seed, or lost a reply
    assert sum((episode.usage for episode in faulty), Usage()) == account.total
    assert {e.problem.id: e.usage for e in faulty} == account.by_problem
    attempts = account.total.calls + sum(account.failed.values()) + account.total.retries
    # On a busy machine an attempt's time may be over before the server has read it.
    assert attempts - account.faults["timeout"] <= seen.calls <= attempts


def test_faults_that_leave_the_seed_alone_leave_every_answer_alone(play):
    kinds = ("too_many", "error_500", "error_503", "drop", "hang", "drip")
    with simulated() as server:
        clean, _, _ = play(server, "clean")
    with simulated(faults=dict.fromkeys(kinds, 0.05), seed=2) as server:
        faulty, account, _ = play(server, "faulty", max_retries=30)
    assert account.total.retries > 10
    assert [texts(episode) for episode in faulty] == [texts(episode) for episode in clean]
    assert verdicts(faulty) == verdicts(clean)
    assert [e.decisions[-1].rewards for e in faulty] == [e.decisions[-1].rewards for e in clean]


def test_a_finished_run_replays_from_the_cache_without_a_server(play):
    with simulated() as server:
        first, account, _ = play(server)
        calls = server.seen.calls
        again, both, _ = play(server)
        assert server.seen.calls == calls
    assert [texts(episode) for episode in again] == [texts(episode) for episode in first]
    assert [e.decisions[-1].rewards for e in again] == [e.decisions[-1].rewards for e in first]
    assert [e.usage.tokens for e in again] == [e.usage.tokens for e in first]
    assert both.sent == account.sent


def test_a_server_that_is_down_fails_every_problem_with_its_reason_and_none_is_wrong(play):
    with simulated(faults={"error_500": 1.0}) as server:
        episodes, account, _ = play(server, max_retries=1)
    assert verdicts(episodes) == [None] * len(PROBLEMS)
    assert all("500" in reply.error for episode in episodes for reply in episode.last_round.replies)
    assert all(episode.decisions[-1].team_reward.total == 0.0 for episode in episodes)
    assert account.total.calls == 0


def test_a_key_that_is_refused_ends_the_run(play, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with simulated(key="secret") as server, pytest.raises(LLMRequestError, match="put a key into OPENAI_API_KEY"):
        play(server)


def test_a_login_in_the_url_is_used_but_neither_pickled_nor_shown(tmp_path):
    with simulated() as server:
        url = server.url.replace("://", "://robert:pw-geheim@")
        env = parallel_env(PROBLEMS, llm=url, embedder="hash", config={"llm": {"cache_dir": str(tmp_path)}})
        env.reset(seed=0)
    assert login_header(server.url) == "Basic cm9iZXJ0OnB3LWdlaGVpbQ=="
    assert b"geheim" not in pickle.dumps(env)
    assert "geheim" not in repr(vars(env))


def test_a_budget_that_is_spent_ends_the_run_and_keeps_what_was_done(play, caplog):
    with simulated() as server:
        with pytest.raises(BudgetError, match="budget of 6000 tokens"):
            play(server, budget_tokens=6_000, concurrency=4)
        assert server.seen.calls > 10
    assert "never retrieved" not in caplog.text


@pytest.mark.faults
def test_the_deadline_of_a_round_leaves_out_what_hangs_and_goes_on(play):
    with simulated(faults={"hang": 0.2}, seed=4) as server:
        episodes, account, _ = play(server, timeout=30.0, round_timeout=1.0)
    invalid = [reply for episode in episodes for reply in episode.last_round.replies if not reply.valid]
    assert invalid
    assert all("within 1 s" in reply.error for reply in invalid)
    assert account.failed.keys() == {"timeout"}
    assert sum(verdict is not None for verdict in verdicts(episodes)) > len(PROBLEMS) / 2
