import json
import os
from pathlib import Path

import pytest

from econ_env.answers import judge
from econ_env.problems.load import load_problems
from econ_env.testing.dataset_checks import check_problems


def forms(gold: str) -> list[str]:
    return [gold, f"\\boxed{{{gold}}}", json.dumps({"reasoning": "Step by step.", "answer": gold})]


def refused(golds: list[str]) -> list[tuple[str, str]]:
    return [(reply, gold) for gold in golds for reply in forms(gold) if not judge(reply, gold).correct]


def test_every_gold_of_the_bundled_problems_is_accepted():
    problems = load_problems("bundled")
    assert check_problems(problems) == len(problems) > 0


@pytest.fixture
def data_dir() -> Path:
    path = os.environ.get("ECON_DATA_DIR")
    if not path:
        pytest.skip("set ECON_DATA_DIR to a directory with gsm8k_train.jsonl, gsm8k_test_300.jsonl and svamp_700.jsonl")
    return Path(path)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("name", ["gsm8k_train.jsonl", "gsm8k_test_300.jsonl"])
def test_every_gold_of_gsm8k_is_accepted_and_its_solution_read(data_dir, name):
    solutions = [str(row["answer"]) for row in rows(data_dir / name)]
    golds = [solution.rpartition("####")[2].strip() for solution in solutions]
    assert refused(golds) == []
    assert [gold for solution, gold in zip(solutions, golds, strict=True) if not judge(solution, gold).correct] == []


def test_no_gold_of_gsm8k_passes_for_another_one(data_dir):
    golds = [str(row["answer"]).rpartition("####")[2].strip() for row in rows(data_dir / "gsm8k_test_300.jsonl")]
    values = [int(gold.replace(",", "")) for gold in golds]
    for said, value in zip(golds, values, strict=True):
        for gold, other in zip(golds, values, strict=True):
            assert judge(said, gold).correct is (value == other)


def test_every_gold_of_svamp_is_accepted(data_dir):
    assert refused([str(row["Answer"]) for row in rows(data_dir / "svamp_700.jsonl")]) == []
