"""Runs in which executors may stay silent, weigh and cost: rows, summaries, tables, pages, and judging again."""

from __future__ import annotations

import json
import re

import pytest

from econ_env.answers import DEFAULT_RULE, EconAnswerRule
from econ_env.app.cli import econ
from econ_env.app.compare import statistics
from econ_env.app.rejudge.episodes import judged_again, row_of
from econ_env.app.rejudge.rejudge import rejudge
from econ_env.app.report import write_report
from econ_env.app.report.episodes import _compact
from econ_env.app.report.maths import Converter
from econ_env.app.report.runs import load_runs
from econ_env.app.report.tables import all_tables
from econ_env.app.run_config import load_run_config
from econ_env.app.runs.provenance import provenance
from econ_env.app.runs.results import result_row, summarise
from econ_env.app.train_test.dead_controls import warn_of_dead_controls
from econ_env.config import RewardConfig, SamplingConfig
from econ_env.episode import Decision, Episode
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.make import make_llm
from econ_env.llm.probe import expected_cost
from econ_env.records import (
    Commitment,
    Judgement,
    Problem,
    PromptEmbedding,
    Reply,
    RewardParts,
    Round,
    Strategy,
    Usage,
    as_plain,
)
from econ_env.testing import FaultyServer

SPEAKING = [
    "--set", "sampling.controls=[temperature, speak, weight]", "--set", "env_args.commitment=weighted",
    "--set", "reward.price=0.125",
]  # fmt: skip
CONTROLS = ("temperature", "repetition_penalty", "speak", "weight")


def said(number, answer, speak=1.0, weight=1.0, status="valid"):
    controls = PromptEmbedding(0.5, 1.25, speak=speak, weight=weight)
    text = f"It is {answer}." if status == "valid" else None
    usage = Usage(calls=1, prompt_tokens=100, completion_tokens=20) if status == "valid" else Usage()
    error = "gone" if status == "invalid" else None
    return Reply(f"executor_{number}", controls, text, answer, status, usage=usage, error=error)


def silent(number):
    return said(number, None, 0.0, 1.0, "silent")


def episode():
    """One of three answers; then another is asked, and fails; then weights alone are counted anew."""
    made = Commitment("The answer is 4.", "4", "majority")
    first = Round(0, Strategy(None), (said(0, "4"), silent(1), silent(2)), made, asked=("executor_0",))
    failed = said(1, None, 1.0, 1.0, "invalid")
    second = Round(1, Strategy(None), (said(0, "4", 0.0), failed, silent(2)), made, asked=("executor_1",))
    third = Round(2, Strategy(None), (said(0, "4", 0.0, 0.5), failed, silent(2)), made, asked=())
    right = Judgement("correct", "4", "rule")
    paid = (RewardParts(0, 1, 0, 0.75, {}, 0.25), RewardParts(0, 0, 0, 0), RewardParts(0, 0, 0, 0))
    decision = Decision([first, second, third], right, (right, None, None), paid, paid[0], (0.0, 1.0, 0.0))
    return Episode(Problem("2 + 2?", "4", "p"), 7, Strategy(None), [decision], CONTROLS)


def row(**changes):
    given = {"stop_reasons": [], "residuals": [], "gap": None, "seconds": 1.0, "rule": DEFAULT_RULE} | changes
    return result_row("bne", episode(), **given)


# Rows and statistics


def test_a_row_counts_what_was_asked_and_says_who_was_silent():
    found = row()
    assert [reply["verdict"] for reply in found["replies"]] == ["correct", "invalid", "silent"]
    shown = {"temperature": 0.5, "p": 1.25, "speak": 0.0, "weight": 0.5}
    assert {name: found["replies"][0][name] for name in shown} == shown
    assert (found["round_asked"], found["rounds"], found["invalid"], found["calls"]) == ([1, 1, 0], [3], 1, 1)
    assert (found["round_tokens"], found["tokens"]["executor"], found["texts"]) == ([120, 0, 0], 120, 1)
    assert (found["price"], found["reward"], found["verdict"]) == (0.25, 0.75, "correct")
    total = summarise([found, {**found, "price": 0.75}])
    assert (total["price_per_problem"], total["accuracy"], total["invalid_replies"]) == (0.5, 1.0, 2)
    del found["price"]  # rows of earlier versions have none
    assert summarise([found])["price_per_problem"] == 0.0


def test_a_row_says_what_was_believed_of_replies_with_an_answer():
    assert [reply["believed"] for reply in row()["replies"]] == [None] * 3
    told = row(believed=[0.8125, 0.5, 0.25])
    assert [reply["believed"] for reply in told["replies"]] == [0.8125, None, None]
    assert row(believed=[None, 0.5, 0.25]) == row()
    again = judged_again(json.loads(json.dumps(episode().to_dict())), EconAnswerRule(), "commitment", "weighted")
    assert row_of(told, again, EconAnswerRule())["replies"] == told["replies"]


def test_a_method_without_rewards_has_the_price_of_its_calls():
    unpaid = episode()
    unpaid.decisions[0].rewards, unpaid.decisions[0].team_reward = (), None
    given = {"stop_reasons": [], "residuals": [], "gap": None, "seconds": 1.0, "rule": DEFAULT_RULE}
    assert result_row("sc", unpaid, **given)["price"] == 0.0
    assert result_row("sc", unpaid, **given, reward=RewardConfig(price=0.5))["price"] == 0.5
    per_token = RewardConfig(price=0.5, price_per="kilotoken")
    assert result_row("sc", unpaid, **given, reward=per_token)["price"] == pytest.approx(0.06)


def test_silence_is_left_out_of_the_statistics():
    kept = [row()]
    only = {**kept[0], "replies": [reply for reply in kept[0]["replies"] if reply["verdict"] != "silent"]}
    for count in (statistics.unparsed, lambda rows: statistics.agreement(rows, DEFAULT_RULE),
                  lambda rows: statistics.executors(rows, DEFAULT_RULE)):  # fmt: skip
        assert count(kept) == count([only])
    assert statistics.executors(kept, DEFAULT_RULE)["each"] == 0.5  # the failed one counts as before
    assert statistics.unparsed(kept)["replies"] == 0.0
    assert statistics.cost(kept)["price"] == 0.25


# Judging again


def test_judging_again_keeps_prices_and_silence_and_counts_weights():
    plain = json.loads(json.dumps(episode().to_dict()))
    again = judged_again(plain, EconAnswerRule(), "commitment", "weighted")
    assert again["decisions"][0]["rewards"] == plain["decisions"][0]["rewards"]
    was = row()
    assert row_of(was, again, EconAnswerRule()) == {**was, "rule": EconAnswerRule().name}
    changed = json.loads(json.dumps(plain))
    changed["problem"]["answer"] = "5"
    paid = judged_again(changed, EconAnswerRule(), "commitment", "weighted")["decisions"][0]
    assert (paid["team_reward"]["ts"], paid["team_reward"]["price"], paid["team_reward"]["total"]) == (0, 0.25, -0.25)


def test_a_weighted_vote_is_counted_again_with_its_weights():
    replies = [said(0, "4", 1, 0.25), said(1, "4", 1, 0.25), said(2, "5", 1, 1.0)]
    plain = json.loads(json.dumps(episode().to_dict()))
    made = Commitment("The answer is 5.", "5", "majority")
    plain["decisions"][0]["rounds"] = [as_plain(Round(0, Strategy(None), tuple(replies), made))]
    plain["decisions"][0]["rounds"][0]["replies"][2]["text"] = "It is 6."
    again = judged_again(plain, EconAnswerRule(), "commitment", "weighted")
    assert again["decisions"][0]["rounds"][0]["commitment"]["answer"] == "6"


# The page


def test_the_page_shows_the_controls_silence_and_what_stands():
    line = {"episode": json.loads(json.dumps(episode().to_dict()))}
    shown = _compact(line, Converter())
    assert shown["controls"] == ["T", "p", "speak", "weight"]
    rounds = shown["decisions"][0]["rounds"]
    assert rounds[2]["replies"][0]["controls"] == [0.5, 1.25, 0.0, 0.5]
    assert [reply["status"] for reply in rounds[1]["replies"]] == ["valid", "invalid", "silent"]
    assert [reply["stands"] for reply in rounds[1]["replies"]] == [True, False, True]
    del line["episode"]["controls"]
    for round_ in line["episode"]["decisions"][0]["rounds"]:
        del round_["asked"]  # traces of earlier versions
    shown = _compact(line, Converter())
    assert shown["controls"] == ["T", "p"]
    assert not any(reply["stands"] for reply in shown["decisions"][0]["rounds"][1]["replies"])


# Whole runs


@pytest.fixture
def compared(run, small, tmp_path):
    """A comparison of a team with random controls, one with fixed ones, and two samples."""
    given = [*small, *SPEAKING, "--methods", "fixed,random,sc@2", "--problems", 6, "--match", "none"]
    ran = run(econ, "compare", *given, "--log-dir", tmp_path / "logs")
    assert ran.code == 0, ran.err
    return ran, tmp_path / "logs"


def test_a_comparison_with_prices(compared):
    ran, logs = compared
    rows = [json.loads(line) for line in (logs / "results.jsonl").read_text().splitlines()]
    by_method = {name: [row for row in rows if row["method"] == name] for name in ("fixed", "random", "sc@2")}
    assert {row["price"] for row in by_method["fixed"]} == {3 * 0.125}
    assert {row["price"] for row in by_method["sc@2"]} == {2 * 0.125}
    for found in by_method["random"]:
        spoke = [reply for reply in found["replies"] if reply["verdict"] != "silent"]
        assert found["price"] == 0.125 * len(spoke) == 0.125 * sum(found["round_asked"])
    assert any(len(row["replies"]) > sum(row["round_asked"]) for row in by_method["random"])
    assert {reply["believed"] for row in rows for reply in row["replies"]} == {None}  # nothing is learned in any
    for name in ("speak", "weight"):
        assert {reply[name] for row in by_method["fixed"] for reply in row["replies"]} == {1.0}
    summary = json.loads((logs / "summary.json").read_text())
    assert summary["controls"] == ["temperature", "speak", "weight"]
    assert summary["methods"]["fixed"]["price_per_problem"] == pytest.approx(0.375)
    assert summary["versions"]["controls"] == "econ-controls-v2"
    assert "price" in ran.out
    assert "0.375" in ran.out


@pytest.mark.slow
def test_its_report_and_judging_it_again(compared, run):
    _, logs = compared
    tables = all_tables(load_runs([logs]))
    assert [column.name for column in tables["controls"].columns][2:5] == ["Temperature T", "speak", "weight"]
    assert "Price" in [column.name for column in tables["cost"].columns]
    write_report([logs])
    page = (logs / "report.html").read_text()
    assert '"CONTROLS"' in page
    assert rejudge(logs).changed == []
    shown = run(econ, "report", logs)
    assert shown.code == 0
    assert all(word in shown.out for word in ("speak", "weight"))


def test_training_and_testing_with_them(run, small, tmp_path):
    given = [
        *small,
        *SPEAKING,
        "--train-eps",
        4,
        "--test-eps",
        3,
        "--log-dir",
        tmp_path / "l",
        "--model-dir",
        tmp_path / "m",
    ]
    ran = run("run_math_test.py", *given, "--dataset", "bundled:1")
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in (tmp_path / "l" / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    assert all("speak" in reply for row in rows for reply in row["replies"])
    check_beliefs(rows)
    kept = [json.loads(line) for line in (tmp_path / "l" / "episodes.jsonl").read_text().splitlines()]
    told = [[one["right"] for one in trace["decisions"][-1]["expected"]] for trace in kept]
    assert [len(right) for right in told] == [1] * 6
    shown = [[reply["believed"] for reply in row["replies"] if reply["answer"] is not None] for row in rows]
    stood = [
        [chance for chance, reply in zip(right, row["replies"], strict=True) if reply["answer"] is not None]
        for (right,), row in zip(told, rows, strict=True)
    ]
    assert shown == stood
    assert "price/problem" in ran.out
    saved = json.loads(next((tmp_path / "m").rglob("config.json")).read_text())
    assert saved["team"]["controls"] == ["temperature", "speak", "weight"]


def check_beliefs(rows):
    """Standing replies with an answer have a belief, others none; there are both."""
    known = [(reply["answer"], reply["believed"]) for row in rows for reply in row["replies"]]
    assert all((answer is None) == (believed is None) for answer, believed in known)
    assert all(0.0 <= believed <= 1.0 for _, believed in known if believed is not None)
    assert {believed is None for _, believed in known} == {True, False}


def test_a_comparison_keeps_what_the_team_believed(run, small, tmp_path):
    given = [*small, *SPEAKING, "--methods", "no_bne,majority", "--problems", 3, "--match", "none", "--train-eps", 4]
    folders = ["--log-dir", tmp_path / "logs", "--model-dir", tmp_path / "models"]
    ran = run(econ, "compare", *given, *folders)
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in (tmp_path / "logs" / "results.jsonl").read_text().splitlines()]
    check_beliefs([row for row in rows if row["method"] == "no_bne"])
    assert {reply["believed"] for row in rows if row["method"] == "majority" for reply in row["replies"]} == {None}
    assert list(all_tables(load_runs([tmp_path / "logs"]))).count("beliefs") == 1


def test_a_checkpoint_of_other_controls_is_refused_in_words(run, small, checkpoint):
    ran = run(econ, "test", *small, *SPEAKING, "--model-dir", checkpoint, "--test-eps", 1)
    assert ran.code == 2
    assert (
        "the policy was trained with the controls temperature, repetition_penalty, the environment has temperature"
        in (" ".join(ran.err.split()))
    )


def test_a_weight_without_a_weighted_commitment_is_bad_input_in_one_line(run, small):
    ran = run(econ, "train", *small, "--set", "sampling.controls=[weight]", "--train-eps", 1)
    assert ran.code == 2
    (line,) = ran.err.strip().splitlines()
    assert line.startswith("error: the control weight has no effect with commitment always")


def test_a_question_is_answered_with_neutral_controls_of_the_list(run, small):
    ran = run(econ, "solve", "What is 2 + 2?", "--gold", "4", *small, *SPEAKING)
    assert ran.code == 0, ran.err
    assert "neutral, T=0.7 speak=1 weight=1" in ran.out
    assert "executor_0, executor_1, executor_2 asked" in ran.out
    assert "executor_0 T=0.70 ->" in ran.out
    assert re.search(r"executor_0 +\S+ +1\.00\n", ran.out)  # its answer and weight
    assert "stopped  everyone has spoken" in ran.out


def test_results_name_the_controls():
    assert provenance(load_run_config(None))["controls"] == ["temperature", "repetition_penalty"]


# Servers


def test_a_server_is_asked_only_about_controls_that_it_gets(tmp_path):
    with FaultyServer("4") as server:
        llm = make_llm(server.url)
        assert isinstance(llm, OpenAIClient)
        assert warn_of_dead_controls([llm], SamplingConfig(controls=("speak", "weight"))) == []
        assert server.seen.calls == 0
    calls = [expected_cost("short", SamplingConfig(controls=names))[0] for names in (("speak",), ("min_p", "speak"))]
    assert calls == [1, 19]
