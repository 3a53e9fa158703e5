"""Runs on workers of a Ray of two processors write what runs of one process write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from econ_agents.workers.ray_setup import start_ray
from econ_env.app.train_test import job
from econ_env.problems.load import load_problems
from econ_env.simulation.model import SimulatedLLM, count_tokens
from econ_env.testing.faulty_server import FaultyServer

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
TRAINED, TESTED = 6, 8
TIMES = ("seconds", "wall_seconds", "retries")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ray():
    """A small Ray on the loopback address, which runs join."""
    import ray

    start_ray(2)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def known():
    return [*load_problems("bundled:1", split="train"), *load_problems("bundled:1", split="test")]


@pytest.fixture
def arguments(small):
    return [*small, "--train-eps", TRAINED, "--test-eps", TESTED, "--bne-rounds", 2, "--train-envs", 3]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key not in TIMES}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def outcome(logs, models):
    """All that a run writes, apart from times; what is written as it comes is put into order."""
    summary = without_times(json.loads((logs / "summary.json").read_text()))
    summary["config"].pop("ray")
    summary.pop("git_hash")  # somebody may commit meanwhile
    rows = {
        name: without_times(lines(logs / f"{name}.jsonl")) for name in ("results", "episodes", "rounds", "training")
    }
    traces = without_times(json.loads((logs / "llm_traces_test_bne_2rounds.json").read_text()))
    weights = {path.relative_to(models): path.read_bytes() for path in sorted(models.rglob("*.safetensors"))}
    return {
        "summary": summary,
        "traces": sorted(traces, key=json.dumps),
        "weights": weights,
        **{name: sorted(found, key=json.dumps) for name, found in rows.items()},
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name] == other[name], name


def test_a_run_on_workers_writes_the_same(ray, run, arguments, tmp_path):
    for name, more in (("alone", []), ("spread", ["--ray-workers", 2])):
        ran = run("run_p0_test.py", *arguments, *more, "--log-dir", f"logs_{name}", "--model-dir", f"models_{name}")
        assert ran.code == 0, ran.err
    assert "workers  2 processes on Ray" in ran.out
    alone, spread = (outcome(tmp_path / f"logs_{n}", tmp_path / f"models_{n}") for n in ("alone", "spread"))
    assert len(spread["results"]) == 2 * TESTED
    assert len(spread["training"]) == TRAINED
    assert len(spread["weights"]) >= 2
    assert_same(spread, alone)


@contextmanager
def killed_at(monkeypatch, path, moments):
    """Kill one worker after another when a file has so many lines; gives the list of those that were killed."""
    killed = []
    started = threading.Event()
    workers = []
    start = job.start_workers

    def start_and_tell(*arguments):
        workers.append(start(*arguments))
        started.set()
        return workers[0]

    monkeypatch.setattr(job, "start_workers", start_and_tell)

    def kill():
        started.wait(60)
        for victim, moment in zip(workers[0].processes(), moments, strict=True):
            while not path.exists() or path.read_bytes().count(b"\n") < moment:
                time.sleep(0.005)
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    yield killed
    killer.join(20)


@pytest.mark.faults
@pytest.mark.parametrize(("name", "moments"), [("training.jsonl", (1, 4)), ("results.jsonl", (2, TESTED + 2))])
def test_workers_that_are_killed_lose_nothing(ray, run, arguments, tmp_path, known, monkeypatch, name, moments):
    with FaultyServer(SimulatedLLM(known).serve_reply, latency=0.03) as server:
        more = [
            "--llm",
            server.url,
            "--no-cache",
            "--executor-model",
            "test-model",
            "--coordinator-model",
            "test-model",
        ]
        ran = run("run_p0_test.py", *arguments, *more, "--log-dir", "logs_alone", "--model-dir", "models_alone")
        assert ran.code == 0, ran.err
        more += ["--ray", "--ray-workers", 2, "--log-dir", "logs", "--model-dir", "models"]
        with killed_at(monkeypatch, tmp_path / "logs" / name, moments) as killed:
            ran = run("run_p0_test.py", *arguments, *more)
        assert ran.code == 0, ran.err
        assert len(killed) == 2
    alone, spread = (outcome(tmp_path / f"logs{n}", tmp_path / f"models{n}") for n in ("_alone", ""))
    for part in (alone, spread):
        part["summary"].pop("servers")  # what a worker had asked for when it was killed is not known
    keys = [(row["method"], row["problem"]) for row in spread["results"]]
    assert len(keys) == len(set(keys)) == 2 * TESTED
    assert_same(spread, alone)


def test_what_servers_have_answered_is_counted_in_all_workers(ray, run, arguments, tmp_path, known):
    with FaultyServer(SimulatedLLM(known).serve_reply, faults={"error_500": 0.05}) as server:
        ran = run("run_p0_test.py", *arguments, "--llm", server.url, "--no-cache", "--ray-workers", 2,
                  "--set", "llm.retry_wait=0.001", "--set", "llm.probe=off")  # fmt: skip
        assert ran.code == 0, ran.err
        count = json.loads((tmp_path / "logs_exp1" / "summary.json").read_text())["servers"][server.url]
        assert count["answers"] + count["faults"] == server.seen.calls
        assert count["faults"] == server.seen.faults["error_500"] > 0


def test_a_run_goes_on_with_workers_or_without(ray, run, arguments, tmp_path):
    def part(*more):
        ran = run("run_p0_test.py", *arguments, *more, "--log-dir", "logs", "--model-dir", "models", "--resume")
        assert ran.code == 0, ran.err

    ran = run("run_p0_test.py", *arguments, "--log-dir", "logs_alone", "--model-dir", "models_alone")
    assert ran.code == 0, ran.err
    part("--ray-workers", 2)
    before = outcome(tmp_path / "logs", tmp_path / "models")
    results = tmp_path / "logs" / "results.jsonl"
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:5]))
    part()
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:9]))
    part("--ray-workers", 2)
    after = outcome(tmp_path / "logs", tmp_path / "models")
    assert (
        after["results"] == before["results"] == outcome(tmp_path / "logs_alone", tmp_path / "models_alone")["results"]
    )


def test_the_budget_is_that_of_all_workers(ray, run, arguments, tmp_path, known):
    taken, team = [], SimulatedLLM(known)

    def reply(body):
        text = team.serve_reply(body)
        taken.append(sum(count_tokens(said) for said in [text, *(part["content"] for part in body["messages"])]))
        return text

    with FaultyServer(reply) as server:
        more = ["--llm", server.url, "--no-cache", "--train-eps", 0, "--ray-workers", 2]
        ran = run("run_p0_test.py", *arguments, *more, "--budget-tokens", 6000)
        assert ran.code == 2
        (line,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
        assert "the budget of 6000 tokens is used up" in line
        assert "Traceback" not in ran.err + ran.out
        assert 4000 < sum(taken) <= 6000
        assert 0 < len(lines(tmp_path / "logs_exp1" / "results.jsonl")) < 2 * TESTED
        calls = server.seen.calls
        ran = run("run_p0_test.py", *arguments, *more, "--budget-tokens", 10**6, "--resume")
        assert ran.code == 0, ran.err
        assert server.seen.calls > calls
    assert len(lines(tmp_path / "logs_exp1" / "results.jsonl")) == 2 * TESTED


def test_a_checkpoint_is_tested_on_workers(ray, run, small, checkpoint, tmp_path):
    rows = []
    for name, more in (("alone", []), ("spread", ["--ray-workers", 2])):
        ran = run("test_p0.py", *small, "--model-dir", checkpoint, "--test-eps", 5, "--log-dir", name, *more)
        assert ran.code == 0, ran.err
        rows.append(sorted(without_times(lines(tmp_path / name / "results.jsonl")), key=json.dumps))
    assert rows[0] == rows[1]


def test_what_can_not_be_is_one_clear_line(ray, run, arguments):
    ran = run("run_p0_test.py", *arguments, "--ray-workers", 5)
    assert ran.code == 2
    assert "error: the cluster has 2 processors, too few for 5 workers" in ran.err
    ran = run("run_p0_test.py", *arguments, "--ray-workers", 2, "--llm", "http://robert:geheim@127.0.0.1:9/v1")
    assert ran.code == 2
    assert "a user name and password in a server's URL do not reach workers" in ran.err
    assert "geheim" not in ran.err + ran.out


def children_of(process):
    """Process ids of all that a process has started, as Linux tells them."""
    found, todo = [], [process]
    while todo:
        task = Path(f"/proc/{todo.pop()}/task")
        if task.exists():
            children = [int(pid) for file in task.glob("*/children") for pid in file.read_text().split()]
            found += children
            todo += children
    return found


@pytest.mark.faults
def test_a_command_starts_a_ray_of_its_own_ends_it_and_goes_on_after_ctrl_c(run, arguments, tmp_path, known):
    logs, models = tmp_path / "logs", tmp_path / "models"
    with FaultyServer(SimulatedLLM(known).serve_reply, latency=0.03) as server:
        more = [*arguments, "--llm", server.url, "--no-cache", "--set", "checkpoint_interval=3"]
        own = [*more, "--ray", "--ray-workers", 2, "--log-dir", logs, "--model-dir", models]
        command = [sys.executable, BENCHMARKS / "run_p0_test.py", *own]
        process = subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        training = logs / "training.jsonl"
        while process.poll() is None and (not training.exists() or training.read_bytes().count(b"\n") < 4):
            time.sleep(0.005)
        started = children_of(process.pid)
        assert len(started) > 3
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert err.splitlines()[-1] == "error: stopped; finished work is kept, continue it with --resume"
        assert "Traceback" not in out + err
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
        ran = run("run_p0_test.py", *more, "--log-dir", logs, "--model-dir", models, "--resume")
        assert ran.code == 0, ran.err
        ran = run("run_p0_test.py", *more, "--log-dir", "alone", "--model-dir", "models_alone")
        assert ran.code == 0, ran.err
    one, other = outcome(logs, models), outcome(tmp_path / "alone", tmp_path / "models_alone")
    assert one["results"] == other["results"]
    final = Path("final/model.safetensors")
    assert one["weights"][final] == other["weights"][final]
