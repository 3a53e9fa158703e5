import json
from pathlib import Path

import pytest

from econ_env.app.run_config import EnvArgs
from econ_env.app.runs.datasets import choose_problems
from econ_env.errors import ProblemError, ProblemSourceError


def ids(problems):
    return {problem.id for problem in problems}


def a_file(tmp_path, rows=10):
    path = tmp_path / "p.jsonl"
    path.write_text(
        "".join(json.dumps({"question": f"What is {i} + 1?", "answer": str(i + 1)}) + "\n" for i in range(rows))
    )
    return str(path)


def test_splits_are_used_where_there_are_any():
    chosen = choose_problems(EnvArgs(hf_dataset_path="bundled:1"), 7, seed=0)
    assert (chosen.train.split, chosen.test.split) == ("train", "test")
    assert len(chosen.test) == 7
    assert not ids(chosen.train) & ids(chosen.test)


def test_a_single_table_is_divided_by_the_seed(tmp_path):
    args = EnvArgs(hf_dataset_path=a_file(tmp_path))
    one, again, other = (choose_problems(args, 3, seed=seed) for seed in (0, 0, 1))
    assert len(one.test) == 3
    assert len(one.train) == 7
    assert not ids(one.train) & ids(one.test)
    assert ids(one.test) == ids(again.test) != ids(other.test)


def test_a_set_with_only_a_test_split_is_divided_too(tmp_path):
    (tmp_path / "set").mkdir()
    Path(a_file(tmp_path)).rename(tmp_path / "set" / "test.jsonl")
    chosen = choose_problems(EnvArgs(hf_dataset_path=str(tmp_path / "set")), 3, seed=0)
    assert (len(chosen.train), len(chosen.test)) == (7, 3)
    assert not ids(chosen.train) & ids(chosen.test)
    with pytest.raises(ProblemError, match="same split"):
        choose_problems(EnvArgs(hf_dataset_path=str(tmp_path / "set"), dataset_split="test"), 3, seed=0)


def test_context_and_choices_are_chosen_by_settings(tmp_path):
    path = tmp_path / "p.jsonl"
    row = {"facts": "Tom has 5.", "context": "-", "question": "How many?", "mine": ["4", "5"], "answer": "B"}
    path.write_text("".join(json.dumps({**row, "question": f"How many {n}?"}) + "\n" for n in range(3)))
    args = EnvArgs(hf_dataset_path=str(path), context_field_name="facts", choices_field_name="mine")
    problems = [*choose_problems(args, 1, seed=0).train, *choose_problems(args, 1, seed=0).test]
    assert {problem.answer for problem in problems} == {"(B) 5"}
    assert all(problem.question.startswith("Tom has 5.\n\nHow many") for problem in problems)
    bare = EnvArgs(hf_dataset_path=str(path), context_field_name="", choices_field_name="")
    assert {problem.answer for problem in choose_problems(bare, 1, seed=0).train} == {"B"}


def test_too_few_problems_are_refused(tmp_path):
    with pytest.raises(ProblemError, match="too few"):
        choose_problems(EnvArgs(hf_dataset_path=a_file(tmp_path)), 10, seed=0)
    with pytest.raises(ProblemError, match="not 100000"):
        choose_problems(EnvArgs(hf_dataset_path="bundled"), 100_000, seed=0)


def test_without_training_a_set_is_tested_whole(tmp_path):
    args = EnvArgs(hf_dataset_path=a_file(tmp_path))
    whole = choose_problems(args, 10, seed=0, trains=False)
    assert (len(whole.test), len(whole.train)) == (10, 0)
    some = choose_problems(args, 4, seed=0, trains=False)
    assert [p.id for p in some.test] == [p.id for p in choose_problems(args, 4, seed=0).test]
    with pytest.raises(ProblemError, match="10 problems to test on, not 11"):
        choose_problems(args, 11, seed=0, trains=False)


def test_training_on_the_test_split_is_refused():
    with pytest.raises(ProblemError, match="same split"):
        choose_problems(EnvArgs(hf_dataset_path="bundled", dataset_split="test"), 5, seed=0)


def test_an_unreachable_hub_is_replaced_only_where_the_config_says_so(caplog):
    with pytest.raises(ProblemSourceError, match="can't be reached"):
        choose_problems(EnvArgs(hf_dataset_path="math"), 5, seed=0)
    chosen = choose_problems(EnvArgs(hf_dataset_path="math", offline_dataset="bundled:3"), 5, seed=0)
    assert chosen.source == "bundled:3"
    assert "using bundled:3 instead" in caplog.text


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
