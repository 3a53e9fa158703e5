"""The command `econ probe`: what it prints, and what it refuses."""

import json

import pytest
from word_server import sampler

from econ_env.app.cli import econ
from econ_env.testing import FaultyServer


@pytest.fixture
def server():
    with FaultyServer(sampler(ignores=["temperature"], refuses=["seed"]), models=["m", "o"]) as server:
        yield server


def test_a_table_says_what_is_dead(run, server):
    done = run(econ, "probe", "--llm", server.url, "--executor-model", "m", "--set", "llm.cache=false")
    assert done.code == 0
    assert "at most" in done.err
    lines = {line.split()[0]: line.split()[1] for line in done.out.splitlines() if len(line.split()) > 2}
    assert lines["temperature"] == "dead"
    assert lines["top_p"] == "alive"
    assert lines["seed"] == "refused"
    assert f"m at {server.url}" in done.out
    assert "econ-probe-v1" in done.out


def test_json_alone_is_on_the_output(run, server):
    done = run(econ, "probe", "--llm", server.url, "--executor-model", "m", "--short", "--json")
    found = json.loads(done.out)
    assert (found["version"], found["form"], found["where"], found["model"]) == (
        "econ-probe-v1",
        "short",
        server.url,
        "m",
    )
    assert {line["name"]: line["verdict"] for line in found["lines"]} == {
        "temperature": "dead",
        "repetition_penalty": "alive",
    }


def test_each_model_of_the_executors_is_asked_once(run, server):
    models = [argument for name in ("m", "o", "m") for argument in ("--executor-model", name)]
    done = run(econ, "probe", "--llm", server.url, *models, "--short", "--json")
    assert [found["model"] for found in json.loads(done.out)] == ["m", "o"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--llm", "simulated"], "econ probe asks servers, and simulated is none"),
        (["--llm", "http://127.0.0.1:9/v1", "--set", "llm.max_retries=0"], "connection refused"),
        (["--llm", "nothing"], "unknown llm 'nothing'"),
    ],
)
def test_what_can_not_be_asked_is_one_line(run, arguments, message):
    done = run(econ, "probe", *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
