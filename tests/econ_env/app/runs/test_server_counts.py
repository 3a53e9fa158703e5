"""Runs on several servers: one may die, and the summary tells what each has done."""

import json

import pytest

from econ_env.app.runs.display import count_servers, print_servers
from econ_env.app.runs.folder import RunFolder
from econ_env.llm.meter import ServerCount
from econ_env.problems.load import load_problems
from econ_env.simulation.model import SimulatedLLM
from econ_env.testing.faulty_server import FaultyServer

TESTED = 12


@pytest.fixture
def servers():
    known = SimulatedLLM([*load_problems("bundled:1", split="train"), *load_problems("bundled:1", split="test")])
    with FaultyServer(known.serve_reply, latency=0.005) as one, FaultyServer(known.serve_reply, latency=0.005) as two:
        yield one, two


def rows_of(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def plain(folder):
    rows = [{name: row[name] for name in row if name not in ("seconds", "retries")} for row in rows_of(folder)]
    return sorted(rows, key=lambda row: (row["method"], row["problem"]))


@pytest.mark.faults
def test_a_run_on_two_servers_of_which_one_dies_is_like_one_on_one(run, small, servers, tmp_path, monkeypatch, caplog):
    one, two = servers
    arguments = [*small, "--no-cache", "--train-eps", 4, "--test-eps", TESTED, "--set", "llm.retry_wait=0.001"]
    arguments += ["--set", "llm.probe=off"]
    ran = run("run_p0_test.py", *arguments, "--llm", one.url, "--log-dir", "alone")
    assert ran.code == 0, ran.err
    alone = json.loads((tmp_path / "alone" / "summary.json").read_text())
    assert alone["servers"].keys() == {one.url}
    assert one.seen.calls == alone["servers"][one.url]["answers"]
    assert f"{one.url}: " not in ran.out

    add = RunFolder.add

    def add_and_kill(folder, row, trace):
        add(folder, row, trace)
        if len(rows_of(tmp_path / "both")) == 4:
            two.stop()

    monkeypatch.setattr(RunFolder, "add", add_and_kill)
    before = one.seen.calls
    login = two.url.replace("://", "://robert:geheim@")
    ran = run("run_p0_test.py", *arguments, "--llm", one.url, "--llm", f"{login}*2", "--log-dir", "both")
    assert ran.code == 0, ran.err
    assert f"{two.url} is left out until it answers again" in caplog.text
    assert plain(tmp_path / "both") == plain(tmp_path / "alone")
    assert len({(row["method"], row["problem"]) for row in rows_of(tmp_path / "both")}) == 2 * TESTED
    both = json.loads((tmp_path / "both" / "summary.json").read_text())
    counts = both["servers"]
    assert counts.keys() == {one.url, two.url}
    assert counts[one.url] == {**counts[one.url], "answers": one.seen.calls - before, "faults": 0}
    assert counts[two.url]["faults"] >= 3
    assert sum(count["answers"] for count in counts.values()) == alone["servers"][one.url]["answers"]
    assert sum(count["tokens"] for count in counts.values()) == alone["servers"][one.url]["tokens"] > 0
    shown = [ran.out, ran.err, caplog.text, *(file.read_text() for file in (tmp_path / "both").glob("*.json*"))]
    assert "geheim" not in " ".join(shown)
    assert f"{two.url}: {counts[two.url]['answers']:,} answers" in " ".join(ran.out.split())


def test_parts_of_a_run_add_up():
    earlier = {"http://a/v1": {"answers": 3, "tokens": 40, "faults": 1}}
    now = {"http://b/v1": ServerCount(1, 10, 0), "http://a/v1": ServerCount(2, 20, 5)}
    assert count_servers(now, earlier) == {
        "http://a/v1": {"answers": 5, "tokens": 60, "faults": 6},
        "http://b/v1": {"answers": 1, "tokens": 10, "faults": 0},
    }


def test_a_single_server_is_not_worth_a_line(capsys):
    print_servers({"http://a/v1": {"answers": 1, "tokens": 2, "faults": 0}})
    assert capsys.readouterr().out == ""
