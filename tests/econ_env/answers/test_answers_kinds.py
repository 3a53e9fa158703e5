"""Whole kinds of replies and golds, each with right and wrong answers; one line of the data file is one case."""

import json
from collections import Counter
from pathlib import Path

import pytest

from econ_env.answers import judge

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "kind_cases.jsonl").read_text(encoding="utf-8").split("\n")
    if line
]
VERDICTS = Counter((case["kind"], case["verdict"]) for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=[f"{row}-{case['kind']}" for row, case in enumerate(CASES, start=1)])
def test_kind(case):
    assert judge(case["reply"], case["gold"]).verdict == case["verdict"]


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in VERDICTS}))
def test_every_kind_has_right_and_wrong_answers(kind):
    assert VERDICTS[kind, "correct"] >= 5
    assert VERDICTS[kind, "wrong"] + VERDICTS[kind, "no_answer"] >= 2


def test_no_case_is_there_twice():
    assert len({(case["reply"], str(case["gold"])) for case in CASES}) == len(CASES)
