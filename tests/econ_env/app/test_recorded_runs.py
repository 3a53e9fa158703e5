"""Commands that play a bank: what they count and show, and what they refuse in one line."""

import json
from pathlib import Path

import pytest

from econ_env import load_bank, parallel_env
from econ_env.app.cli import econ
from econ_env.app.run_config import load_run_config
from econ_env.errors import ConfigError
from econ_env.methods import BestOfN
from econ_env.recorded import Manifest, write_bank
from econ_env.traces import read_lines
from tests.econ_env.app.conftest import SMALL
from tests.econ_env.recorded.made_banks import counted, file_of, row, two_cells

PLAIN = ("--embedder", "hash", "--match", "none", "--problems", 4)


@pytest.fixture
def bank(tmp_path):
    """Two models, two temperatures, three samples."""
    write_bank(tmp_path / "made.parquet", two_cells(12, 3, ("a", "b")), Manifest())
    return "recorded:made.parquet"


@pytest.fixture
def compare(run, bank):
    """Compares methods on the bank."""

    def compared(*arguments, methods="sc", llm=bank):
        return run(econ, "compare", "--llm", llm, "--methods", methods, *PLAIN, *arguments)

    return compared


def test_a_comparison_counts_what_it_plays(run, compare):
    done = compare("--temperature", 0.5, methods="single,sc@9,fixed")
    assert done.code == 0, done.err
    # single is colder than what is on record; sc@9 asks model a five times, of three samples in each of two cells
    rows = list(read_lines("logs_compare/results.jsonl"))
    assert [row["recorded"]["clipped"] for row in rows if row["method"] == "single"] == [1] * 4
    assert {row["recorded"]["replies"] for row in rows if row["method"] == "sc@9"} == {9}
    assert {row["recorded"]["clipped"] for row in rows if row["method"] != "single"} == {0}
    summary = json.loads(Path("logs_compare/summary.json").read_text())
    assert summary["recorded"]["replies"] == 4 * (1 + 9 + 2)
    assert summary["recorded"]["clipped"] == 4
    assert summary["methods"]["fixed"]["recorded"] == {"replies": 8, "clipped": 0, "reused": 0}
    again = summary["recorded"]["reused"]
    assert again == sum(row["recorded"]["reused"] for row in rows)
    told = f"recorded 48 replies; 4 with controls outside the recorded ones, {again} played again in an episode\n"
    assert told in done.out
    assert told in run(econ, "report", "--summary-only", "logs_compare").out


def test_models_that_answer_have_no_such_counts(run, small):
    done = run(econ, "compare", *small, "--methods", "sc@2", "--match", "none", "--problems", 2)
    assert done.code == 0, done.err
    assert "recorded" not in done.out
    assert json.loads(Path("logs_compare/summary.json").read_text())["recorded"] is None
    assert {row["recorded"] for row in read_lines("logs_compare/results.jsonl")} == {None}


def test_training_counts_its_rounds(run, bank, tmp_path):
    Path("small.yaml").write_text(SMALL.replace('env_args: {hf_dataset_path: "bundled:1"}\n', ""))
    done = run(
        econ,
        "train",
        "--config",
        "small.yaml",
        "--llm",
        bank,
        "--train-eps",
        4,
        "--log-dir",
        "logs",
        "--model-dir",
        "m",
    )
    assert done.code == 0, done.err
    summary = json.loads(Path("logs/summary.json").read_text())
    assert summary["recorded"]["replies"] == 8
    assert "recorded 8 replies; " in done.out


def test_settings_follow_the_bank_where_nothing_else_is_set(bank, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = load_run_config(None, (), {"llm.backend": bank})
    assert (config.n_agents, config.env_args.hf_dataset_path) == (2, bank)
    assert (config.env_args.strategy, config.env_args.commitment, config.env_args.show_commitment) == (
        "off",
        "vote",
        False,
    )
    assert config.reward.initial_weights == (0.0, 1.0, 0.0)
    set_ = load_run_config(None, ["n_agents=4"], {"llm.backend": bank, "executor_model": "a"})
    assert set_.n_agents == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"llm": "recorded:nowhere.parquet"}, "there is no bank nowhere.parquet."),
        ({"llm": "recorded:"}, "recorded: names no bank: give recorded:FILE.parquet, or recorded:gsm8k-small7"),
        ({"llm": "recorded"}, "recorded names no bank: give recorded:FILE.parquet"),
        ({"llm": "recorded:text.parquet"}, "text.parquet is no Parquet file that can be read: "),
        ({"llm": "recorded:lacks.parquet"}, "lacks.parquet has no column gold; it has problem, answer."),
        ({"llm": "recorded:golds.parquet"}, "row 1 of golds.parquet gives the problem p the gold '2', an earlier"),
        ({"llm": "recorded:twice.parquet"}, "row 1 of twice.parquet repeats sample 0 of the problem p and the model m"),
        (["--executor-model", "c"], "made.parquet has no model 'c'. It has a, b"),
        (["--n-agents", 5], "made.parquet has 2 models for 5 executors; say which ones play: a, b"),
        (["--coordinator-model", "a"], "made.parquet has no coordinator: leave it out, the commitment is a vote"),
        (["--set", "env_args.strategy=reset"], "made.parquet can't show what a plan changes: set strategy to off"),
        (["--set", "env_args.commitment=always"], "made.parquet has no words of a coordinator: set commitment to vote"),
        (["--set", "env_args.show_commitment=true"], "made.parquet can't show what a last commitment changes"),
        (["--set", "reward.initial_weights=[0.5,0.5,0]"], "made.parquet has no texts of replies, so AL and CC have no"),
        (["--set", "recorded.reuse=refuse"], "made.parquet has only 3 replies of a to the problem p"),
        ({"methods": "debate"}, "recorded:made.parquet has replies to the plain question alone"),
        ({"methods": "sc,best_of_n@2,debate@3"}, "can't show what best_of_n@2 and debate@3 would change"),
        (["--dataset", "bundled:1"], "of bundled is not in made.parquet; leave the problems out"),
    ],
)  # fmt: skip
def test_what_a_bank_can_not_play_is_one_line(compare, tmp_path, arguments, message):
    Path("text.parquet").write_text("problem,gold")
    file_of(tmp_path, {"problem": ["p"], "answer": ["1"]}, "lacks.parquet")
    write_bank(tmp_path / "golds.parquet", [row("p", "1"), row("p", "1", gold="2")], Manifest())
    write_bank(tmp_path / "twice.parquet", [row("p", "1"), row("p", "2")], Manifest())
    named, given = (arguments, ()) if isinstance(arguments, dict) else ({}, arguments)
    done = compare("--temperature", 0.2, *given, **{"methods": "sc@9", **named})
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


def test_training_refuses_what_a_bank_can_not_play(run, bank):
    done = run(econ, "train", "--llm", bank, "--embedder", "hash", "--set", "env_args.strategy=lazy")
    assert done.code == 2
    assert "made.parquet can't show what a plan changes: set strategy to off" in done.err


def test_the_coordinator_decides_nothing_where_commitments_are_votes(run, small):
    done = run(
        econ, "compare", *small, "--methods", "best_of_n@2", "--match", "none", "--set", "env_args.commitment=vote"
    )
    assert done.code == 2
    assert "best_of_n@2 let the coordinator decide, but with env_args.commitment vote it says nothing" in done.err


def test_best_of_n_needs_a_coordinator(tmp_path):
    made = load_bank(write_bank(tmp_path / "made.parquet", counted(2, 2), Manifest()))
    team = parallel_env(llm=made, embedder="hash").team
    with pytest.raises(ConfigError, match="best_of_n lets the coordinator decide: set commitment to always, not vote"):
        BestOfN(team, 2)
