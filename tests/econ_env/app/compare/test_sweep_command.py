"""Many comparisons in one command: folders, failures, what a resumed sweep repeats, and the one report."""

import json

import pytest

from econ_env.app.cli import econ
from econ_env.testing import FaultyServer


@pytest.fixture
def sweep(run, small, tmp_path):
    """Runs a small sweep with these arguments on top."""
    pytest.importorskip("statsmodels")
    fixed = ["--methods", "single,sc@3", "--problems", 3, "--seeds", 2, "--set", f"llm.cache_dir={tmp_path / 'cache'}"]
    return lambda *more: run(econ, "sweep", *small, *fixed, *more)


def rows(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_every_model_meets_every_data_set(sweep, tmp_path):
    with FaultyServer(models=["m"]) as server:
        done = sweep("--model", "simulated", "--model", f"m@{server.url}", "--on", "bundled:1", "--on", "bundled:2")
        assert done.code == 0, done.err
        assert {body["model"] for body in server.seen.bodies} == {"m"}
    folders = sorted(path for path in (tmp_path / "logs_sweep").iterdir() if (path / "summary.json").exists())
    assert len(folders) == 4
    for folder in folders:
        assert len(rows(folder)) == 2 * 3 * 2  # methods, problems, seeds
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["complete"]
        assert summary["dataset"] in ("bundled:1", "bundled:2")
    page = (tmp_path / "logs_sweep" / "report.html").read_text()
    assert all(folder.name in page for folder in folders)
    lines = [line for line in done.out.splitlines() if line.startswith(("simulated  ", "m@http"))]
    assert len(lines) == 4


def test_a_login_is_used_and_nowhere_shown(sweep, tmp_path):
    with FaultyServer(models=["m"]) as server:
        url = server.url.replace("://", "://anna:geheim@")
        done = sweep("--model", f"m@{url}", "--on", "bundled:1")
        assert done.code == 0, done.err
    assert "geheim" not in done.out + done.err
    written = list((tmp_path / "logs_sweep").rglob("*"))
    assert not [path for path in written if "geheim" in str(path)]
    texts = [path.read_text() for path in written if path.suffix in (".json", ".jsonl", ".html")]
    assert len(texts) > 3
    assert not [text for text in texts if "geheim" in text]


@pytest.mark.slow
def test_one_that_fails_does_not_stop_the_others_and_is_repeated_alone(sweep, tmp_path):
    with FaultyServer(models=["m"], script=["error_500"] * 200) as server:
        arguments = ["--model", f"m@{server.url}", "--model", "simulated", "--set", "llm.max_retries=0"]
        done = sweep(*arguments, "--on", "bundled:1")
        assert done.code == 2
        assert "1 of 2 comparisons failed" in done.err
        kept = rows(tmp_path / "logs_sweep" / "simulated--bundled-1")
        server._script.clear()
        done = sweep(*arguments, "--on", "bundled:1", "--resume")
        assert done.code == 0, done.err
    assert rows(tmp_path / "logs_sweep" / "simulated--bundled-1") == kept
    assert not list((tmp_path / "logs_sweep").glob("*/previous-*"))


def test_a_data_set_that_is_not_there_is_found_before_the_first_call(sweep):
    with FaultyServer(models=["m"]) as server:
        done = sweep("--model", f"m@{server.url}", "--on", "bundled:1", "--on", "bundled:9")
        assert done.code == 2
        assert "no level9" in done.err
        assert server.seen.calls == 0


@pytest.mark.slow
def test_files_of_one_name_get_folders_of_their_own(sweep, tmp_path):
    paths = []
    for name in ("a", "b"):
        path = tmp_path / name / "set.jsonl"
        path.parent.mkdir()
        lines = [json.dumps({"question": f"What is {n} + 1?", "answer": str(n + 1)}) for n in range(4)]
        path.write_text("\n".join(lines))
        paths += ["--on", path]
    assert sweep("--model", "simulated", *paths).code == 0
    assert {path.name for path in (tmp_path / "logs_sweep").iterdir() if path.is_dir()} >= {
        "simulated--set",
        "simulated--set-2",
    }


def test_without_a_model_it_says_so(sweep):
    done = sweep("--on", "bundled:1")
    assert done.code == 2
    assert "--model" in done.err
