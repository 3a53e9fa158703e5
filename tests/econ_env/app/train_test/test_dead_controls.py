"""Training asks a server once which controls have an effect, and says loudly which have none."""

import json
import re
from pathlib import Path

import pytest
from word_server import sampler

from econ_env.app.cli import econ
from econ_env.errors import LLMRequestError
from econ_env.testing import FaultyServer
from econ_env.testing.faulty_server import answer_four

PROBED = re.compile(r"apple twenty times|eight random English words|17 \+ 25")


@pytest.fixture
def train(run, small, tmp_path):
    """Trains two episodes on a server with this reply, and returns what was printed and the summary."""

    def start(server, *more):
        cache = ["--set", f"llm.cache_dir={tmp_path / 'cache'}", "--set", "llm.max_retries=0"]
        done = run(econ, "train", *small, "--llm", server.url, "--train-eps", 2, *cache, *more)
        summary = Path("logs_exp1/summary.json")
        return done, json.loads(summary.read_text()) if summary.exists() else {}

    return start


def asked(server):
    return [body for body in server.seen.bodies if PROBED.search(body["messages"][-1]["content"])]


def shown(done):
    return " ".join(done.out.split())


def test_a_dead_control_is_said_loudly_and_kept(train):
    with FaultyServer(sampler(ignores=["temperature"])) as server:
        done, summary = train(server)
        assert done.code == 0
        assert f"TEMPERATURE HAS NO EFFECT on test-model at {server.url}" in shown(done)
        assert "PENALTY" not in done.out
        (found,) = summary["probe"]
        assert [line["verdict"] for line in found["lines"]] == ["dead", "alive"]
        count = len(asked(server))
        assert count > 12
        done, _ = train(server)
        assert "TEMPERATURE HAS NO EFFECT" in shown(done)
        assert len(asked(server)) == count  # remembered


@pytest.mark.slow
def test_a_comparison_that_trains_keeps_what_was_found(run, small):
    pytest.importorskip("statsmodels")
    with FaultyServer(sampler(ignores=["temperature"])) as server:
        given = ["--methods", "bne", "--problems", 2, "--train-eps", 2, "--match", "none", "--set", "llm.max_retries=0"]
        done = run(econ, "compare", *small, "--llm", server.url, *given)
    assert done.code == 0, done.err
    (found,) = json.loads(Path("logs_compare/summary.json").read_text())["probe"]
    assert [line["verdict"] for line in found["lines"]] == ["dead", "alive"]


@pytest.mark.slow
def test_where_all_controls_work_nothing_is_said(train):
    with FaultyServer(sampler()) as server:
        done, summary = train(server)
        assert "NO EFFECT" not in done.out + done.err
        assert [line["verdict"] for line in summary["probe"][0]["lines"]] == ["alive", "alive"]
        assert summary["refused"] == []
        samplers = summary["models"]["samplers"][server.url]
        assert samplers["heeded"] == "unknown"
        assert summary["models"]["names"] == ["test-model"]
        assert set(samplers["asked"]) <= server.seen.bodies[-1].keys()
        assert summary["versions"]["controls"] == "econ-controls-v2"


@pytest.mark.slow
def test_a_refused_control_is_said_at_once_and_at_the_end(train):
    with FaultyServer(sampler(refuses=["temperature"])) as server:
        done, summary = train(server)
        assert "TEMPERATURE IS REFUSED for test-model" in shown(done)
        assert f"temperature had no effect on test-model: {server.url} refuses it" in shown(done)
        assert summary["refused"] == [
            {
                "server": server.url,
                "model": "test-model",
                "fields": ["temperature"],
                "dead_controls": ["temperature"],
            }
        ]


@pytest.mark.slow
@pytest.mark.parametrize("value", ["off", "'off'"])
def test_it_can_be_switched_off(train, value):
    with FaultyServer(sampler(ignores=["temperature"])) as server:
        done, summary = train(server, "--set", f"llm.probe={value}")
        assert done.code == 0
        assert asked(server) == []
        assert "probe" not in summary


@pytest.mark.slow
def test_a_server_that_takes_no_such_questions_is_trained_on_all_the_same(train):
    def reply(body):
        if PROBED.search(body["messages"][-1]["content"]):
            raise LLMRequestError("no such question")
        return answer_four(body)

    with FaultyServer(reply) as server:
        done, summary = train(server)
        assert done.code == 0
        assert "no verdict" in done.out
        assert "probe" not in summary


@pytest.mark.slow
def test_thought_of_training_is_counted(train):
    with FaultyServer(sampler(thinks=True)) as server:
        done, summary = train(server)
        assert done.code == 0
        rows = [json.loads(line) for line in Path("logs_exp1/training.jsonl").read_text().splitlines()]
    assert all(0 < row["thought_tokens"] < row["tokens"] for row in rows)
    assert summary["train"]["thought_tokens"] == sum(row["thought_tokens"] for row in rows)
