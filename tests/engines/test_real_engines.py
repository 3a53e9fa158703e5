"""The client and a short training on engines and a gateway that people run, each in a Python environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.engines.run import ENGINES, Engine
from econ_env.config import LLMConfig
from econ_env.llm import ChatRequest, Completion, Message, make_llm
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.meter import LeftOut

RUN = Path(__file__).parents[2] / "benchmarks" / "engines" / "run.py"
NON_STANDARD = ("min_p", "repeat_last_n", "repeat_penalty", "repetition_penalty", "samplers", "top_k")
REFUSED: dict[str, tuple[str, ...]] = {
    "llamacpp": (),
    "transformers": NON_STANDARD,  # it answers 422 and names them
    "litellm": (),
    "litellm_transformers": NON_STANDARD,  # 422 as well, but the proxy keeps to itself what the engine said
}
"""Fields of a request that the client must learn to leave out."""
LLAMACPP = {
    "temperature": "alive",
    "top_p": "alive",
    "repetition_penalty": "alive",
    "min_p": "alive",
    "seed": "alive",
    "json_schema": "alive",
    "logprobs": "alive",
    "n": "refused",  # xllamacpp's server works on one request at a time by default, and refuses more choices than that
    "thinking": "no",
    "limits": "alive",
}
TRANSFORMERS = {
    "temperature": "alive",  # since the model's generation_config has do_sample
    "top_p": "alive",
    "repetition_penalty": "refused",
    "min_p": "refused",
    "seed": "alive",
    "json_schema": "dead",
    "logprobs": "dead",
    "n": "dead",
    "thinking": "no",
    "limits": "alive",
}
EXPECTED: dict[str, dict[str, str]] = {
    "llamacpp": LLAMACPP,
    "transformers": TRANSFORMERS,
    "litellm": LLAMACPP,
    "litellm_transformers": TRANSFORMERS,
}
"""The verdicts of `econ probe`; requests by hand showed the same."""
ECON = [sys.executable, "-c", "from econ_env.app.cli import run; run()"]
SETTINGS = """
n_agents: 2
belief_dim: 8
num_envs: 2
update_interval: 2
gradient_steps: 0.5
batch_size: 4
network: {hidden_dim: 8, encoder_dim: 4, mixer_dim: 4, heads: 1, ffn_dim: 8}
losses: {candidates: 2, candidate_rows: 2}
env_args: {hf_dataset_path: "bundled:1", reply_format: text, reply_max_tokens: 48, commitment_max_tokens: 48}
embedder: hash
llm: {cache: false}
"""
EPISODES = 4
STOPS_WITHIN = 20.0


@contextmanager
def started(name: str) -> Iterator[tuple[Engine, subprocess.Popen[str]]]:
    """A running engine, and the process that keeps it."""
    process = subprocess.Popen([sys.executable, RUN, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"{name} did not start; its reason is above"
        yield Engine(**json.loads(line)), process
    finally:
        process.stdin.close()
        process.wait(STOPS_WITHIN)
        process.stdout.close()


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with started(request.param) as (engine, _):
        yield engine


@pytest.fixture
def key(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's key is where the client looks for it."""
    monkeypatch.setenv("OPENAI_API_KEY", engine.key)


def listens(url: str) -> bool:
    place = urlsplit(url)
    try:
        socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=1.0).close()
    except OSError:
        return False
    return True


def stops(url: str) -> bool:
    """Whether nothing listens there any more after some time."""
    late = time.monotonic() + STOPS_WITHIN
    while listens(url) and time.monotonic() < late:
        time.sleep(0.1)
    return not listens(url)


def complete(url: str) -> tuple[Completion, list[LeftOut]]:
    """An answer through our client, and what the client learned to leave out on the way."""
    request = ChatRequest(
        messages=(Message("user", "What is 2 + 3?"),), model="", temperature=0.7, repetition_penalty=1.1, top_p=0.9,
        max_tokens=24, seed=1,
    )  # fmt: skip

    async def ask() -> tuple[Completion, list[LeftOut]]:
        llm = make_llm(url, LLMConfig(cache=False, max_retries=0))
        assert isinstance(llm, OpenAIClient)
        try:
            done = await llm.complete(request)
        finally:
            await llm.aclose()
        learned = llm.meter.snapshot().left_out
        return done, [what for (server, _), what in learned.items() if server == url]

    return asyncio.run(ask())


def econ(engine: Engine, folder: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that asks the engine."""
    return subprocess.run(
        [*ECON, command, "--llm", engine.url, *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "OPENAI_API_KEY": engine.key, "PYTHONPATH": str(RUN.parents[2])},
    )  # fmt: skip


@pytest.mark.engines
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("key")
def test_it_answers_the_client(engine):
    done, learned = complete(engine.url)
    assert done.text.strip()
    assert done.usage.retries == 0
    assert done.usage.prompt_tokens > 5
    assert 0 < done.usage.completion_tokens <= 24
    assert done.model == Path(engine.model).name.removesuffix(".gguf")
    assert tuple(sorted(field for what in learned for field in what.fields)) == REFUSED[engine.engine]


@pytest.mark.engines
@pytest.mark.timeout(900)
def test_a_short_training_runs(engine, tmp_path):
    (tmp_path / "small.yaml").write_text(SETTINGS)
    folders = ["--log-dir", "logs", "--model-dir", "models"]
    done = econ(engine, tmp_path, "train", "--config", "small.yaml", "--train-eps", str(EPISODES), *folders)
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads((tmp_path / "logs" / "summary.json").read_text())
    assert {url: counts["faults"] for url, counts in summary["servers"].items()} == {engine.url: 0}
    refused = REFUSED[engine.engine]
    assert [tuple(told["fields"]) for told in summary["refused"]] == ([refused] if refused else [])
    rows = [json.loads(line) for line in (tmp_path / "logs" / "training.jsonl").read_text().splitlines()]
    assert [row["episode"] for row in rows] == list(range(EPISODES))
    if "transformers" not in engine.engine:  # its model's noise need not hold an answer
        assert {row["verdict"] for row in rows} <= {"correct", "wrong"}
    assert (tmp_path / "models" / "final" / "model.safetensors").exists()


@pytest.mark.engines
@pytest.mark.timeout(900)
def test_the_probe_finds_what_has_an_effect(engine, tmp_path):
    done = econ(engine, tmp_path, "probe", "--no-cache", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    lines = json.loads(done.stdout)["lines"]
    assert {line["name"]: line["verdict"] for line in lines} == EXPECTED[engine.engine], lines


@pytest.mark.engines
@pytest.mark.timeout(900)
def test_nothing_is_left_when_stdin_closes():
    with started("litellm") as (engine, process):
        assert listens(engine.url)
    assert process.returncode == 0
    assert stops(engine.url)


@pytest.mark.engines
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_is_left_after_a_signal(sent, code):
    with started("llamacpp") as (engine, process):
        process.send_signal(sent)
        assert process.wait(STOPS_WITHIN) == code
        assert stops(engine.url)


def test_an_engine_that_does_not_exist_is_one_clear_line():
    done = subprocess.run([sys.executable, RUN, "llamacp"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'llamacpp'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_expected_is_said_of_every_engine():
    assert REFUSED.keys() == EXPECTED.keys() == ENGINES.keys()
