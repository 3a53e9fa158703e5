"""`econ record`: what is asked, what is kept, how it goes on, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from econ_env import EnvConfig, PromptEmbedding, load_bank, load_problems
from econ_env.answers import DEFAULT_RULE, judge
from econ_env.app.cli import econ
from econ_env.errors import LLMReplyError
from econ_env.llm.http import engine
from econ_env.llm.make import make_llm
from econ_env.recorded.columns import working_facts
from econ_env.team.prompts import DEFAULT_PROMPTS
from econ_env.team.rounds import Team
from econ_env.testing import FaultyServer
from econ_env.testing.faulty_server import RawAnswer
from econ_env.traces import read_lines

ROOT = Path(__file__).parents[4]
SET = "bundled:1"
TEXT = ("--set", "env_args.reply_format=text")


def draw(body):
    """What a server's random generator makes of a seed."""
    return body["seed"] >> 16


def says(body):
    """An answer that tells model, temperature and seed."""
    answer = 7 if draw(body) % 2 == 0 and body["model"] == "m" else draw(body)
    text = f"{body['model']} at {body['temperature']:g}. The answer is {answer}."
    logprobs = {"content": [{"token": text, "logprob": -0.25}]} if body.get("logprobs") else None
    finish = "length" if draw(body) % 3 == 0 else "stop"
    return RawAnswer({"content": text}, finish, usage={"completion_tokens": 11}, logprobs=logprobs)


@pytest.fixture
def server():
    with FaultyServer(says, models=["m", "o"]) as running:
        yield running


@pytest.fixture
def record(run, tmp_path):
    """Runs the command on three problems, without the cache of the user."""

    def recorded(server, *arguments, models=("m",), cache=False):
        named = [word for name in models for word in ("--executor-model", name)]
        where = ["--set", f"llm.cache_dir={tmp_path / 'cache'}"] if cache else ["--no-cache"]
        common = ("--llm", server.url, "--dataset", SET, "--problems", 3, "--out", "made.parquet")
        quick = ("--set", "llm.retry_wait=0.001", *TEXT)
        return run(econ, "record", *common, *named, *where, *quick, *arguments)

    return recorded


def asked(server):
    return [body for body in server.seen.bodies if len(body["messages"]) > 1]


def table(path="made.parquet"):
    return pq.read_table(path).to_pylist()


def test_every_combination_is_asked_and_recorded(record, server):
    done = record(
        server, "--temperature", "0.2,1", "--penalty", 1, "--penalty", 1.1, "--top-p", 0.8, "--min-p", 0.1,
        "--samples", 2, models=("m", "o"),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "plan     3 problems x 2 models x 4 cells x 2 samples = 48 calls\n" in done.out
    assert "cells    temperature 0.2, 1; repetition_penalty 1, 1.1; top_p 0.8; min_p 0.1\n" in done.out
    bodies = asked(server)
    assert len(bodies) == 48
    assert Counter((b["model"], b["temperature"], b["repetition_penalty"], b["top_p"], b["min_p"]) for b in bodies) == {
        (model, T, p, 0.8, 0.1): 6 for model in ("m", "o") for T in (0.2, 1.0) for p in (1.0, 1.1)
    }
    assert {body["max_tokens"] for body in bodies} == {256}
    seeds = {
        (b["model"], b["temperature"], b["repetition_penalty"], b["messages"][-1]["content"], b["seed"]) for b in bodies
    }
    assert len(seeds) == 48
    rows = table()
    assert len(rows) == 48
    assert not list(Path().glob(".made*")) + list(Path().glob("*.part*"))
    problems = {problem.id: problem for problem in load_problems(SET)}
    for row in rows:
        problem = problems[row["problem"]]
        assert (row["question"], row["gold"]) == (problem.question, problem.answer)
        assert row["reply"].startswith(f"{row['model']} at {row['temperature']:g}. The answer is ")
        judged = judge(row["reply"], row["gold"])
        assert (row["answer"], row["correct"]) == (judged.answer, judged.correct)
        assert (row["tokens"], row["reply_chars"]) == (11, len(row["reply"]))
        facts = working_facts(row["reply"], row["answer"])
        assert {name: row[name] for name in facts} == facts
        assert row["finish_reason"] in ("stop", "length")
    assert "mean_logprob" not in rows[0]
    assert [row["model"] for row in rows] == ["m"] * 8 + ["o"] * 8 + ["m"] * 8 + ["o"] * 8 + ["m"] * 8 + ["o"] * 8
    assert 'play it: econ_env.parallel_env(llm="recorded:made.parquet")' in done.out


def test_log_probabilities_are_recorded_where_they_are_asked_for(record, server):
    record(server, "--set", "llm.logprobs=true")
    assert {row["mean_logprob"] for row in table()} == {-0.25}


def test_a_request_is_that_of_a_live_team_with_these_controls(record, server):
    record(server, "--temperature", 0.4, "--penalty", 1.1)
    recorded = asked(server)
    problems = {problem.question: problem for problem in load_problems(SET)}
    llm = make_llm(server.url, EnvConfig(llm={"cache": False}).llm, model="m")
    team = Team(llm, (llm,), EnvConfig(reply_format="text"), rule=DEFAULT_RULE)
    for body in recorded:
        problem = problems[body["messages"][-1]["content"].removeprefix("Question: ")]
        prompt = DEFAULT_PROMPTS.executor(problem.question, None, None, "text")
        server.seen.bodies.clear()
        controls = [PromptEmbedding(0.4, 1.1)]
        asyncio.run(team.replies(problem, [prompt], controls, index=0, seed=5))
        (live,) = server.seen.bodies
        assert {**live, "seed": 0} == {**body, "seed": 0}


def test_the_manifest_says_what_was_asked_and_no_login(record, server):
    class WithLogin:
        url = server.url.replace("://", "://me:geheim@")

    done = record(WithLogin, models=("m", "o"))
    assert done.code == 0, done.err
    about = load_bank("made.parquet").manifest
    assert about.models == {"m": f"openai {server.url}", "o": f"openai {server.url}"}
    assert about.engine == f"openai {server.url}"
    assert about.prompts == f"{DEFAULT_PROMPTS.name}, text replies of at most 256 tokens"
    assert (about.answer_rule, about.controls_version) == (DEFAULT_RULE.name, "econ-controls-v2")
    assert about.dataset == "3 problems of bundled, train, seed 0"
    assert about.made
    assert b"geheim" not in Path("made.parquet").read_bytes()
    assert "geheim" not in done.out + done.err


def test_the_name_of_a_server_s_only_model_is_recorded(run):
    with FaultyServer(says, models=["alone"]) as server:
        quick = ("--no-cache", "--dataset", SET, "--problems", 1, "--out", "made.parquet", *TEXT)
        assert run(econ, "record", "--llm", server.url, *quick).code == 0
        assert {row["model"] for row in table()} == {"alone"}


def test_what_is_there_is_not_asked_again(record, server):
    first = record(server, "--samples", 2)
    calls = server.seen.calls
    again = record(server, "--samples", 2)
    assert (first.code, again.code) == (0, 0)
    assert "= 6 calls, 6 done\n" in again.out
    assert server.seen.calls == calls == 6
    assert again.out[again.out.index("bank ") :] == first.out[first.out.index("bank ") :]


def test_a_recording_that_was_cut_off_goes_on(record, server):
    record(server, "--temperature", "0.2,1", "--samples", 4)
    whole = table()
    lines = "\n".join(json.dumps(line) for line in _lines_of_setup(whole, 9))
    Path("made.parquet.part.jsonl").write_text(lines + '\n{"problem": "torn')
    Path("made.parquet").unlink()
    server.seen.bodies.clear()
    done = record(server, "--temperature", "0.2,1", "--samples", 4)
    assert "24 calls, 9 done" in done.out
    assert len(asked(server)) == 24 - 9
    assert table() == whole
    assert not Path("made.parquet.part.jsonl").exists()


def _lines_of_setup(rows, count):
    setup = json.loads(load_bank("made.parquet").manifest.recording)
    return [
        {"setup": setup},
        *({k: v for k, v in row.items() if k not in ("question", "gold")} for row in rows[:count]),
    ]


def test_further_samples_take_the_first_ones_from_the_cache(record, server):
    record(server, cache=True)
    assert len(asked(server)) == 3
    done = record(server, "--samples", 3, "--temperature", "0.7,1", "--force", models=("m", "o"), cache=True)
    assert done.code == 0
    assert len(asked(server)) == 2 * 2 * 3 * 3
    assert len(table()) == 36


def test_a_call_that_fails_is_no_row_and_is_made_the_next_time(record):
    broken = {"now": True}

    def sometimes(body):
        if broken["now"] and body["temperature"] == 1.0 and draw(body) % 2:
            raise LLMReplyError("broken")
        return says(body)

    with FaultyServer(sometimes, models=["m"]) as server:
        asked_for = (
            "--temperature",
            "0.2,1",
            "--samples",
            4,
            "--set",
            "llm.max_retries=0",
            "--set",
            "llm.concurrency=1",
        )
        done = record(server, *asked_for)
        assert done.code == 0, done.err
        rows = table()
        failed = 24 - len(rows)
        assert 0 < failed < 12
        assert f"{failed} calls failed and are not in the bank; the same command makes them again" in done.out
        assert Path("made.parquet.part.jsonl").exists()
        assert load_bank("made.parquet").start[-1] == len(rows)
        broken["now"] = False
        again = record(server, *asked_for)
        assert again.code == 0
        assert "failed" not in again.out
        assert f"{len(rows)} done" in again.out
    assert len(table()) == 24
    assert not Path("made.parquet.part.jsonl").exists()


def test_a_server_that_answers_nothing_stops_it(record):
    def never(body):
        raise LLMReplyError("out of order")

    with FaultyServer(never, models=["m"]) as server:
        done = record(server, "--samples", 20, "--set", "llm.max_retries=0")
    assert done.code == 2
    assert "5 calls failed one after another, the last with: " in done.err
    assert done.err.rstrip().endswith("fix the cause and give the same command again")
    assert not Path("made.parquet").exists()


def test_a_budget_stops_it_and_what_is_there_is_kept(record, server):
    done = record(server, "--samples", 20, "--budget-tokens", 3000)
    assert done.code == 2
    assert "error: the budget of 3000 tokens is used up" in done.err
    there = len(table())
    assert 5 < there < 60
    assert done.err.rstrip().endswith(f"; {there} of 60 replies are in made.parquet, and the same command goes on")
    assert load_bank("made.parquet").problems
    again = record(server, "--samples", 20)
    assert again.code == 0
    assert len(asked(server)) == 60
    assert len(table()) == 60


def test_a_dry_run_shows_the_plan_and_writes_nothing(record, server):
    prices = ("--set", "llm.price_prompt=1", "--set", "llm.price_completion=2")
    done = record(server, "--samples", 100, "--dry-run", "--set", "llm.concurrency=4", *prices)
    assert done.code == 0, done.err
    assert "3 problems x 1 model x 1 cell x 100 samples = 300 calls\n" in done.out
    assert "measured on 8 first calls: " in done.out
    assert "estimate 292 further calls: " in done.out
    assert " USD, " in done.out
    assert "a dry run: nothing was written" in done.out
    assert len(asked(server)) == 8
    assert not [path for path in Path().iterdir() if path.name != "cache"]


def test_the_estimate_is_worked_out_from_what_was_measured(record, server):
    prices = ("--set", "llm.price_prompt=1000", "--set", "llm.price_completion=2000", "--set", "llm.concurrency=1")
    done = record(server, "--samples", 10, "--dry-run", *prices)
    (prompt,) = {int(done.out.split("first calls: ")[1].split(" + ")[0])}
    (line,) = [line for line in done.out.splitlines() if line.startswith("estimate")]
    tokens, paid = line.split(": ")[1].split(" tokens, ")
    assert abs(int(tokens.replace(",", "")) - 22 * (prompt + 11)) <= 11
    assert float(paid.split(" USD")[0]) == pytest.approx(22 * (prompt * 1e-3 + 11 * 2e-3), abs=0.02)


def test_first_calls_from_the_cache_give_no_time(record, server):
    record(server, "--samples", 10, "--dry-run", cache=True)
    done = record(server, "--samples", 10, "--dry-run", cache=True)
    assert "measured on 16 first calls, kept in the cache: " in done.out
    assert "time unknown: these came from the cache" in done.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--temperature", "0.3"], "temperature was [0.7], is [0.3]"),
        (["--samples", 3], "samples was 2, is 3"),
        (["--seed", 1], "problems was '3 of bundled, train ("),
        (["--set", "env_args.reply_max_tokens=99"], "reply_max_tokens was 256, is 99"),
    ],
)
def test_another_recording_is_not_gone_on_with(record, server, arguments, told):
    record(server, "--samples", 2)
    before = Path("made.parquet").read_bytes()
    done = record(server, "--samples", 2, *arguments)
    assert done.code == 2
    assert done.err.startswith("error: made.parquet holds another recording (")
    assert told in done.err
    assert done.err.count("\n") == 1
    assert Path("made.parquet").read_bytes() == before
    Path("made.parquet.part.jsonl").write_text(json.dumps({"setup": {"models": ["x"]}}) + "\n")
    assert "made.parquet.part.jsonl holds another recording (models was ['x'], is ['m']" in record(server).err
    forced = record(server, "--samples", 2, *arguments, "--force")
    assert forced.code == 0
    assert " done" not in forced.out.split("cells ")[0]
    assert not Path("made.parquet.part.jsonl").exists()
    again = record(server, "--samples", 2, *arguments, "--force")
    assert ", 6 done\n" in again.out or ", 9 done\n" in again.out


def test_other_files_are_not_overwritten(record, server, tmp_path):
    Path("made.parquet").write_text("my notes")
    done = record(server)
    assert done.code == 2
    assert done.err.startswith("error: made.parquet exists, and is no bank that can be read (")
    assert record(server, "--force").code == 2
    assert Path("made.parquet").read_text() == "my notes"
    bank = load_bank("gsm8k-small7").read_replies
    assert bank is None
    Path("made.parquet").write_bytes((ROOT / "econ_env/recorded/gsm8k-small7.parquet").read_bytes())
    done = record(server)
    assert done.code == 2
    assert "made.parquet exists, and is no recording; give another --out, or --force to replace it" in done.err
    assert server.seen.calls == 0
    assert record(server, "--force").code == 0
    assert len(table()) == 3


def test_two_processes_do_not_record_into_one_file(record, server):
    with FileLock(".made.parquet.lock"):
        done = record(server)
    assert done.code == 2
    assert "another process records into made.parquet; wait for it, or give another --out" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", "0.2,hot"], "Invalid value for '--temperature': 'hot' is no number from 0 to 2"),
        (["--temperature", "nan"], "'nan' is no number from 0 to 2"),
        (["--penalty", "0.9"], "Invalid value for '--penalty': '0.9' is no number from 1 to 2"),
        (["--problems", 1000], "bundled has 100 problems, not 1,000; ask for fewer"),
        (["--llm", "recorded:gsm8k-small7"], "econ record asks models, and recorded:gsm8k-small7 is a bank already"),
        (["--llm", "recorded:"], "recorded: names no bank"),
        (["--llm", "http://127.0.0.1:9/v1", "--set", "llm.max_retries=0"], "connection refused"),
        (["--llm", "nothing"], "unknown llm 'nothing'"),
        (["--n-agents", 3, "--llm", "simulated", "--executor-model", "x", "--executor-model", "y"], "model 'x' was"),
    ],
)  # fmt: skip
def test_what_can_not_be_recorded_is_one_line(run, arguments, message):
    given = ["--dataset", SET, "--problems", 1, *([] if "--llm" in arguments else ["--llm", "simulated"])]
    done = run(econ, "record", "--out", "x.parquet", *given, *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("x.parquet").exists()


def test_models_of_equal_names_are_refused(run):
    files = []
    for folder in ("one", "two"):
        Path(folder).mkdir()
        files.append(Path(folder, "x.gguf"))
        files[-1].write_bytes(b"GGUF")
    named = [word for file in files for word in ("--executor-model", f"local:{file}")]
    done = run(econ, "record", "--out", "x.parquet", "--llm", "local", "--dataset", SET, "--device", "cpu", *named)
    assert done.code == 2
    assert done.err == "error: two of the models are called x; record each into a bank of its own\n"


def test_a_recording_is_played(run, record, server):
    record(server, "--temperature", "0.2,1", "--samples", 5, models=("m", "o"))
    played = run(
        econ, "compare", "--llm", "recorded:made.parquet", "--embedder", "hash", "--methods", "sc,fixed", "--match",
        "none", "--problems", 3,
    )  # fmt: skip
    assert played.code == 0, played.err
    assert "recorded 12 replies; 0 with controls outside the recorded ones, 0 played again in an episode" in played.out
    rows = list(read_lines("logs_compare/results.jsonl"))
    assert {row["method"]: row["answer"] for row in rows if row["method"] == "sc"}
    by_problem = {(row["method"], row["problem"]): [reply["answer"] for reply in row["replies"]] for row in rows}
    for (method, problem), answers in by_problem.items():
        assert answers == by_problem["sc", problem], method


@pytest.mark.faults
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_recording_that_is_stopped_goes_on(tmp_path, how):
    with FaultyServer(says, models=["m"], latency=0.05) as server:
        command = [
            sys.executable, "-c", "from econ_env.app.cli import run; run()", "record", "--llm", server.url, "--dataset",
            SET, "--problems", "10", "--samples", "10", "--no-cache", "--executor-model", "m", "--out", "made.parquet",
            "--set", "llm.concurrency=2", *TEXT,
        ]  # fmt: skip
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": paths}
        stopped = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=-3, stderr=subprocess.PIPE, text=True)
        part = tmp_path / "made.parquet.part.jsonl"
        deadline = time.monotonic() + 60
        while not part.exists() or len(part.read_bytes().splitlines()) < 20:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        stopped.send_signal(how)
        _, said = stopped.communicate()
        kept = len(list(read_lines(part))) - 1
        if how is signal.SIGINT:
            assert stopped.returncode == 130
            told = "are kept in made.parquet.part.jsonl, and the same command goes on"
            assert said == f"error: stopped; {kept} replies {told}\n"
        server.seen.bodies.clear()
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert f"{kept} done" in done.stdout
        assert len(asked(server)) == 100 - kept
    assert len(table(tmp_path / "made.parquet")) == 100
    assert not part.exists()


@pytest.mark.llm
def test_a_real_model_is_recorded(run):
    open_before = set(engine._engines)  # by other tests
    done = run(
        econ, "record", "--llm", "local", "--dataset", SET, "--problems", 2, "--temperature", "0.2,1", "--no-cache",
        "--set", "llm.local_threads=1", "--set", "env_args.reply_max_tokens=24", "--set", "llm.logprobs=true",
        "--out", "made.parquet",
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = table()
    assert len(rows) == 4
    assert all(row["mean_logprob"] <= 0 and 0 < row["tokens"] <= 24 for row in rows)
    assert "/" not in "".join(load_bank("made.parquet").manifest.models.values())
    assert set(engine._engines) <= open_before  # the model's memory is free again
