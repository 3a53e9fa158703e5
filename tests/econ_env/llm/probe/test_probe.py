"""Probes of servers whose controls are known to have an effect, or none."""

from __future__ import annotations

import asyncio
import json

import pytest
from word_server import sampler

from econ_env.config import LLMConfig, SamplingConfig
from econ_env.errors import LLMRequestError, LLMUnavailableError
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.make import make_llm
from econ_env.llm.probe import PROBE_VERSION, Probed, expected_cost, probe, remembered_probe
from econ_env.testing import FaultyServer
from econ_env.testing.faulty_server import RawAnswer

CONTROLS = ("temperature", "top_p", "min_p", "repetition_penalty")
ABILITIES = ("seed", "json_schema", "logprobs", "n", "thinking", "limits")
SAMPLING = SamplingConfig()


@pytest.fixture
def ask(tmp_path):
    """Probes a server with this reply; further arguments are settings."""

    def run(reply, form="full", sampling=SAMPLING, **changes) -> tuple[Probed, FaultyServer]:
        with FaultyServer(reply) as server:
            return asyncio.run(probe(client(server, tmp_path, **changes), sampling, form)), server

    return run


def client(server: FaultyServer, folder, **changes) -> OpenAIClient:
    base = {"cache_dir": str(folder / "cache"), "retry_wait": 0.001, "max_retries": 1}
    llm = make_llm(server.url, LLMConfig(**{**base, **changes}))
    assert isinstance(llm, OpenAIClient)
    return llm


def verdicts(found: Probed) -> dict[str, str]:
    return {line.name: line.verdict for line in found.lines}


def test_a_server_that_heeds_everything(ask):
    found, server = ask(sampler())
    expected = {**dict.fromkeys((*CONTROLS, *ABILITIES), "alive"), "thinking": "no", "n": "dead"}
    assert verdicts(found) == expected
    assert all(found.line(name).chance <= 0.01 for name in CONTROLS)
    assert "repetition_penalty alive" in found.line("repetition_penalty").value
    assert "repeat_penalty dead" in found.line("repetition_penalty").value
    assert found.calls == server.seen.calls - 1  # the one with n = 2 is not a reply
    assert sum(line.calls for line in found.lines) == server.seen.calls - 1  # the first one is for several lines
    most_calls, most_tokens = expected_cost("full", SAMPLING)
    assert server.seen.calls <= most_calls
    assert found.tokens <= most_tokens


@pytest.mark.parametrize("name", [*CONTROLS, "seed", "json_schema", "logprobs"])
def test_what_a_server_ignores_is_dead_and_nothing_else(ask, name):
    field = "response_format" if name == "json_schema" else name
    found, _ = ask(sampler(ignores=[field]))
    others = {**dict.fromkeys((*CONTROLS, *ABILITIES), "alive"), "thinking": "no", "n": "dead"}
    assert verdicts(found) == others | {name: "dead"}


@pytest.mark.parametrize("name", [*CONTROLS, "seed", "json_schema", "logprobs"])
def test_what_a_server_refuses(ask, name):
    fields = {"json_schema": ["response_format"], "repetition_penalty": ["repetition_penalty", "repeat_penalty"]}
    found, _ = ask(sampler(refuses=fields.get(name, [name])))
    assert found.line(name).verdict == "refused"
    assert {line.name for line in found.lines if line.verdict == "refused"} == {name}


def test_the_other_name_of_the_penalty_is_found(ask):
    found, _ = ask(sampler(penalty="repeat_penalty"))
    line = found.line("repetition_penalty")
    assert line.verdict == "alive"
    assert "repeat_penalty alive" in line.value


def test_a_server_that_says_the_same_to_everybody(ask):
    found, _ = ask(lambda body: "The answer is 4.")
    assert {found.line(name).verdict for name in CONTROLS} == {"dead"}
    assert found.line("seed").verdict == "unclear"  # equal replies show nothing where all are equal
    assert found.line("limits").verdict == "dead"


def test_a_model_that_thinks(ask):
    found, _ = ask(sampler(thinks=True), thinking_tokens=64)
    assert found.line("thinking").verdict == "alive"
    assert "3 tokens each" in found.line("thinking").value
    assert found.line("limits").verdict == "unclear"
    assert found.line("temperature").verdict == "alive"


def test_choices_are_counted(ask):
    def reply(body):
        raw = sampler()(body)
        return RawAnswer(raw.message, raw.finish_reason, usage=raw.usage, choices=body.get("n", 1))

    found, _ = ask(reply)
    assert found.line("n").verdict == "alive"


@pytest.mark.parametrize(
    ("second", "names"),
    [("repetition_penalty", ["temperature", "repetition_penalty"]), ("top_p", ["temperature", "top_p"])],
)
def test_the_short_form_asks_for_what_is_learned(ask, second, names):
    sampling = SamplingConfig(second_action=second)
    found, server = ask(sampler(), "short", sampling)
    assert [line.name for line in found.lines] == names
    assert {line.verdict for line in found.lines} == {"alive"}
    assert server.seen.calls <= expected_cost("short", sampling)[0]
    temperatures = {body["temperature"] for body in server.seen.bodies}
    assert {sampling.temperature_min, sampling.temperature_max} <= temperatures


def test_the_short_form_asks_a_model_that_thinks_only_once(ask):
    found, server = ask(sampler(thinks=True), "short", thinking_tokens=64)
    assert server.seen.calls == 1
    assert {line.verdict for line in found.lines} == {"unclear"}
    assert "since the model thinks (3 tokens)" in found.line("temperature").value
    found, _ = ask(sampler(thinks=True, refuses=["temperature"]), "short", thinking_tokens=64)
    assert [line.verdict for line in found.lines] == ["refused", "unclear"]


def test_a_bound_out_of_a_servers_range_is_refused_with_what_to_change(ask):
    def reply(body):
        if body["temperature"] > 1:
            raise LLMRequestError("temperature must be at most 1")
        return sampler()(body)

    found, _ = ask(reply, "short")
    assert found.line("temperature").verdict == "refused"
    assert "sampling.temperature_max" in found.line("temperature").value
    assert found.line("repetition_penalty").verdict == "alive"


def test_what_was_found_is_remembered_per_server_model_and_bounds(tmp_path):
    with FaultyServer(sampler()) as server:
        first = asyncio.run(remembered_probe(client(server, tmp_path), SAMPLING))
        calls = server.seen.calls
        assert asyncio.run(remembered_probe(client(server, tmp_path), SAMPLING)) == first
        assert server.seen.calls == calls
        asyncio.run(remembered_probe(client(server, tmp_path), SamplingConfig(temperature_max=1.1)))
        assert server.seen.calls == 2 * calls
        asyncio.run(remembered_probe(client(server, tmp_path, cache=False), SAMPLING))
        assert server.seen.calls == 3 * calls


def test_findings_can_be_written_and_read(ask):
    found, _ = ask(sampler(), "short")
    text = json.dumps(found.plain())
    assert json.loads(text)["version"] == PROBE_VERSION
    assert Probed.read(text) == found
    for damaged in ("", "[]", "{}", text.replace(PROBE_VERSION, "econ-probe-v0"), text.replace('"alive"', '"fine"')):
        assert Probed.read(damaged) is None


def test_a_server_that_answers_nothing_is_an_error(tmp_path):
    with FaultyServer(faults={"error_500": 1.0}) as server, pytest.raises(LLMUnavailableError):
        asyncio.run(probe(client(server, tmp_path), SAMPLING))
