"""Runs with AL from probabilities: what results say of it, and how a run ends that has none."""

from __future__ import annotations

import json
import math

import pytest

from econ_env.app.cli import econ
from econ_env.testing import FaultyServer, RawAnswer

LIKELY = ["--set", "reward.al=likelihood", "--no-cache"]
TEXT = '{"reasoning": "2 + 2", "answer": "4"}'


def sure(body):
    numbers = {"content": [{"token": TEXT, "logprob": -0.25}]} if body.get("logprobs") else None
    return RawAnswer({"content": TEXT}, logprobs=numbers)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_training_takes_it_and_results_name_it(run, small, checkpoint, tmp_path):
    with FaultyServer(sure) as server:
        given = [*small, *LIKELY, "--llm", server.url]
        trained = run(econ, "train", *given, "--train-eps", 2)
        ran = run(econ, "test", *given, "--model-dir", checkpoint, "--test-eps", 2, "--log-dir", "l")
    assert trained.code == 0, trained.err
    assert ran.code == 0, ran.err
    rows = lines(tmp_path / "l" / "results.jsonl")
    said = [reply["confidence"] for row in rows for reply in row["replies"]]
    assert said
    assert {tuple(one.items()) for one in said} == {(("mean", -0.25), ("lowest", -0.25), ("tokens", 1))}
    paid = [part["al"] for line in lines(tmp_path / "l" / "episodes.jsonl")
            for decision in line["episode"]["decisions"] for part in decision["rewards"]]  # fmt: skip
    assert paid == [pytest.approx(math.exp(-0.25))] * len(paid)
    summary = json.loads((tmp_path / "l" / "summary.json").read_text())
    assert summary["versions"]["rewards"] == "econ-reward-v1-likelihood"
    assert summary["config"]["reward"]["al"] == "likelihood"


def test_a_model_without_any_is_bad_input_in_one_line(run, small):
    ran = run(econ, "train", *small, *LIKELY)
    assert ran.code == 2
    assert ran.err.strip().splitlines()[-1] == (
        "error: reward.al: likelihood needs log-probabilities, and the simulated model gives none; "
        "use reward.al: embedding"
    )


@pytest.mark.parametrize("refuses", [[], ["logprobs"]])
def test_a_server_without_any_ends_the_run_with_what_to_change(run, small, checkpoint, refuses):
    with FaultyServer(refuses=refuses) as server:
        ran = run(econ, "test", *small, *LIKELY, "--llm", server.url, "--model-dir", checkpoint, "--test-eps", 2)
    assert ran.code == 2
    last = ran.err.strip().splitlines()[-1]
    where = f"{server.url} gives none"
    assert last == f"error: reward.al: likelihood needs log-probabilities, and {where}; use reward.al: embedding"
