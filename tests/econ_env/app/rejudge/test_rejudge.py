"""A run judged again: by a rule that reads otherwise, and back."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from econ_env.answers import EconAnswerRule, Extracted, extract_answer
from econ_env.app.cli import econ
from econ_env.app.rejudge.episodes import judged_again
from econ_env.app.rejudge.rejudge import rejudge
from econ_env.app.report import write_report
from econ_env.app.runs.lock import FolderLocks
from econ_env.traces import read_json, read_lines
from tests.econ_env.app.conftest import SMALL

METHODS = "sc@3,debate@2,no_bne"
FILES = ("results.jsonl", "episodes.jsonl", "run.json", "summary.json")


@dataclass(frozen=True)
class Strict:
    """Takes every answer for one more than it is."""

    name: str = "strict-v1"

    def extract(self, reply: str) -> Extracted:
        read = extract_answer(reply)
        number = int(read.answer) + 1 if read.answer and read.answer.isdecimal() else None
        return Extracted(None if number is None else str(number), read.origin, read.parsed_json)

    def same(self, answer: str, gold: str) -> bool:
        return answer == gold


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of three methods on 8 problems."""
    from econ_env.app.compare.compare import CompareOptions, compare
    from econ_env.app.options import CommonOptions
    from econ_env.app.run_config import load_run_config

    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(SMALL)
    config = load_run_config(folder / "small.yaml")
    common = CommonOptions(config, folder / "logs", folder / "models", resume=False)
    options = CompareOptions(
        methods=METHODS, problems=8, seeds=2, match=None, baseline=None, temperature=0.7, policy=None, train_episodes=0
    )
    compare(common, options)
    return folder / "logs"


@pytest.fixture
def logs(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "logs"))


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Strict:
    rule = Strict()
    monkeypatch.setattr("econ_env.answers.rule.DEFAULT_RULE", rule)
    return rule


def rows(folder: Path) -> list[dict]:
    return list(read_lines(folder / "results.jsonl"))


def contents(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in FILES}


def test_the_rule_that_judged_changes_nothing_and_writes_nothing(logs):
    before = contents(logs)
    done = rejudge(logs)
    assert (done.changed, done.replies_changed, done.kept) == ([], 0, None)
    assert contents(logs) == before
    assert not list(logs.glob(".episodes*"))


def test_another_rule_judges_every_text_again_and_keeps_the_old_files(logs, strict):
    before, old = contents(logs), rows(logs)
    done = rejudge(logs)
    assert done.kept == logs / f"judged-by-{EconAnswerRule().name}"
    assert contents(done.kept) == before
    new = rows(logs)
    assert done.after == new
    assert {row["rule"] for row in new} == {"strict-v1"}
    assert any(row["verdict"] == "correct" for row in old)
    for was, now in zip(old, new, strict=True):
        assert [int(reply["answer"]) for reply in now["replies"]] == [
            int(reply["answer"]) + 1 for reply in was["replies"]
        ]
        assert now["answer"] in {reply["answer"] for reply in now["replies"]}
        assert now["verdict"] == ("correct" if now["answer"] == now["gold"] else "wrong")
        assert now["round_verdicts"][-1] == now["verdict"]
        assert now["tokens"] == was["tokens"]
    assert done.changed
    assert done.replies_changed > 0


def test_summary_and_traces_agree_with_the_rows(logs, strict):
    rejudge(logs)
    new, summary, about = rows(logs), read_json(logs / "summary.json", ""), read_json(logs / "run.json", "")
    for method, part in summary["methods"].items():
        own = [row for row in new if row["method"] == method]
        assert part["correct"] == sum(row["verdict"] == "correct" for row in own)
        assert part["n"] == len(own) == 16
        assert summary["overview"]["methods"][method]["accuracy"]["correct"] == part["correct"]
        assert part["wall_seconds"] > 0
    assert summary["versions"]["answer_rule"] == about["versions"]["answer_rule"] == "strict-v1"
    assert summary["rejudged"] == {"from": [EconAnswerRule().name], "to": "strict-v1"}
    for row, line in zip(new, read_lines(logs / "episodes.jsonl"), strict=True):
        assert line["episode"]["decisions"][-1]["judgement"]["verdict"] == row["verdict"]


def test_judging_back_gives_the_first_verdicts_again(logs, strict, monkeypatch):
    before = rows(logs)
    rejudge(logs)
    monkeypatch.setattr("econ_env.answers.rule.DEFAULT_RULE", EconAnswerRule())
    rejudge(logs)
    assert rows(logs) == before
    assert (logs / "judged-by-strict-v1").is_dir()
    rejudge(logs)
    assert len(list(logs.glob("judged-by-*"))) == 2


@pytest.mark.slow
def test_the_command_tells_what_changed_and_writes_the_report_anew(run, logs, strict):
    write_report([logs])
    page = (logs / "report.html").read_text()
    ran = run(econ, "rejudge", logs)
    assert ran.code == 0
    assert f"judged by {EconAnswerRule().name}, now by strict-v1" in ran.out
    changed = len(rejudge_changes(logs))
    assert f"{changed} of 48 verdicts changed: " in ran.out
    assert "correct -> wrong" in ran.out
    assert (logs / "report.html").read_text() != page
    again = run(econ, "rejudge", logs)
    assert "0 of 48 verdicts changed" in again.out
    assert "nothing was written" in again.out


def rejudge_changes(logs: Path) -> list[tuple[str, str]]:
    pairs = zip(rows(logs / f"judged-by-{EconAnswerRule().name}"), rows(logs), strict=True)
    return [(old["verdict"], new["verdict"]) for old, new in pairs if old["verdict"] != new["verdict"]]


def test_without_a_report_none_is_written(run, logs, strict):
    run(econ, "rejudge", logs)
    assert not (logs / "report.html").exists()


def break_text(logs: Path) -> None:
    lines = list(read_lines(logs / "episodes.jsonl"))
    lines[3]["episode"]["decisions"][0]["rounds"][0]["replies"][0]["text"] = None
    (logs / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def drop_episodes(logs: Path) -> None:
    lines = (logs / "episodes.jsonl").read_text().splitlines(keepends=True)
    (logs / "episodes.jsonl").write_text("".join(lines[5:]))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda logs: (logs / "episodes.jsonl").unlink(), "lacks the texts of 48 of 48 answers"),
        (drop_episodes, "lacks the texts of 5 of 48 answers"),
        (break_text, "line 4 can't be judged again: the text of a reply is missing; nothing was changed"),
        (lambda logs: (logs / "results.jsonl").unlink(), "has no results.jsonl and run.json"),
        (lambda logs: (logs / "run.json").unlink(), "has no results.jsonl and run.json"),
    ],
)
def test_what_can_not_be_judged_again_is_one_line_and_changes_nothing(run, logs, strict, damage, said):
    damage(logs)
    before = {path.name: path.read_bytes() for path in logs.iterdir()}
    ran = run(econ, "rejudge", logs)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert said in ran.err
    assert {path.name: path.read_bytes() for path in logs.iterdir()} == before


def test_a_run_that_still_writes_is_left_alone(run, logs, strict):
    locks = FolderLocks([("--log-dir", logs)])
    try:
        before = contents(logs)
        ran = run(econ, "rejudge", logs)
    finally:
        locks.release()
    assert (ran.code, contents(logs)) == (2, before)
    assert "is in use by process" in ran.err


def test_a_folder_that_is_no_run_is_refused(run, tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        ran = run(econ, "rejudge", folder)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "give the --log-dir of a run" in ran.err


def test_a_new_run_moves_the_old_judgements_aside(run, logs, strict, small):
    rejudge(logs)
    ran = run(econ, "compare", *small, "--methods", "single", "--problems", 2, "--log-dir", logs)
    assert ran.code == 0
    assert not list(logs.glob("judged-by-*"))
    assert list(logs.glob("previous-1/judged-by-*"))


# Episodes ---------------------------------------------------------------------------------------------------------


def reply(text, answer, **more):
    return {"text": text, "answer": answer, "status": "valid", "parsed_json": False, **more}


def made(text, answer, source):
    return {"text": text, "answer": answer, "source": source, "parsed_json": False}


def episode(replies, commitment, gold="5", **more):
    round_ = {"replies": replies, "commitment": commitment, **more}
    decision = {
        "rounds": [round_],
        "judgement": {"verdict": "wrong", "answer": "0", "rule": "old"},
        "replies_judged": [{"verdict": "wrong", "answer": "0", "rule": "old"}] * len(replies),
        "rewards": [{"al": 0.5, "ts": 0.0, "cc": 0.5, "total": 0.3, "further": {}} for _ in replies],
        "team_reward": {"al": 0.5, "ts": 0.0, "cc": 0.5, "total": 0.3, "further": {}},
        "weights": [0.4, 0.4, 0.2],
    }
    return {"problem": {"answer": gold}, "decisions": [decision]}


def decided(recorded, team_ts="commitment"):
    return judged_again(recorded, EconAnswerRule(), team_ts)["decisions"][0]


def test_a_vote_is_counted_again():
    replies = [reply("The answer is 3.", "3"), reply("The answer is 5.", "7"), reply("It is 5.", "8")]
    done = decided(episode(replies, made("The answer is 3.", "3", "majority")))
    assert done["rounds"][0]["commitment"] == made("The answer is 5.", "5", "majority")
    assert done["judgement"]["verdict"] == "correct"
    assert [said["verdict"] for said in done["replies_judged"]] == ["wrong", "correct", "correct"]


def test_a_vote_of_another_kind_keeps_the_reply_that_it_chose():
    replies = [reply("It is 3.", "3"), reply("It is 3.", "3"), reply("The answer is 5.", "4")]
    done = decided(episode(replies, made("The answer is 5.", "4", "majority")))
    assert done["rounds"][0]["commitment"]["answer"] == "5"


def test_a_statement_of_the_answer_states_the_new_one():
    replies = [reply("It is 5.", "4"), reply("It is 5.", "4")]
    done = decided(episode(replies, made("The answer is 4.", "4", "unanimous")))
    assert done["rounds"][0]["commitment"] == made("The answer is 5.", "5", "unanimous")


def test_a_coordinators_text_is_read_again():
    done = decided(episode([reply("It is 3.", "3")], made("So \\boxed{5}", "3", "coordinator")))
    assert done["judgement"] == {"verdict": "correct", "answer": "5", "rule": EconAnswerRule().name}


def test_local_commitments_are_read_again_from_their_own_replies():
    replies = [reply(f"It is {n}.", "0", agent=f"e{n}") for n in (5, 5, 2, 2)]
    clusters = [
        {"agents": ["e0", "e1"], "commitment": made("The answer is 0.", "0", "unanimous")},
        {"agents": ["e2", "e3"], "commitment": made("The answer is 0.", "0", "unanimous")},
    ]
    recorded = episode(replies, made("The answer is 0.", "0", "unanimous"), clusters=clusters)
    round_ = decided(recorded)["rounds"][0]
    assert [cluster["commitment"]["answer"] for cluster in round_["clusters"]] == ["5", "2"]
    assert round_["commitment"]["answer"] == "5"


def test_ts_and_the_sum_of_the_rewards_follow_the_verdicts():
    replies = [reply("It is 5.", "4"), reply("It is 3.", "3")]
    commitment = made("The answer is 5.", "4", "coordinator")
    done = decided(episode(replies, commitment))
    assert [parts["ts"] for parts in done["rewards"]] == [1.0, 0.0]
    assert [parts["total"] for parts in done["rewards"]] == [pytest.approx(0.7), 0.3]
    assert done["team_reward"]["total"] == pytest.approx(0.7)
    assert decided(episode(replies, commitment), "mean")["team_reward"]["ts"] == 0.5


def test_an_invalid_reply_and_a_failed_round_stay_so():
    invalid = {"text": None, "answer": None, "status": "invalid", "parsed_json": False}
    recorded = episode([invalid], made(None, None, "none"))
    recorded["decisions"][0] |= {"judgement": None, "replies_judged": [None]}
    done = decided(recorded)
    assert (done["judgement"], done["replies_judged"]) == (None, [None])


def added_rounds():
    """Two rounds, the second of which adds to the first: together they find 5, the last one alone would find 2."""
    recorded = episode([reply("It is 5.", "3"), reply("It is 5.", "5")], made("It is 5.", "3", "majority"))
    second = [reply("It is 2.", "2")]
    last = {"replies": second, "commitment": made("It is 5.", "3", "majority"), "adds": True}
    recorded["decisions"][0]["rounds"].append(last)
    recorded["decisions"][0]["replies_judged"].append({"verdict": "wrong", "answer": "2", "rule": "old"})
    recorded["decisions"][0] |= {"rewards": [], "team_reward": None, "weights": None}
    return recorded


def test_a_round_that_adds_is_counted_again_with_those_before_it():
    done = decided(added_rounds())
    assert [round_["commitment"]["answer"] for round_ in done["rounds"]] == ["5", "5"]
    assert [said["verdict"] for said in done["replies_judged"]] == ["correct", "correct", "wrong"]
    assert done["judgement"]["verdict"] == "correct"


def test_a_round_that_replaces_is_counted_alone():
    recorded = added_rounds()
    recorded["decisions"][0]["rounds"][1] |= {"adds": False, "commitment": made("It is 2.", "2", "majority")}
    recorded["decisions"][0]["replies_judged"] = recorded["decisions"][0]["replies_judged"][-1:]
    done = decided(recorded)
    assert [round_["commitment"]["answer"] for round_ in done["rounds"]] == ["5", "2"]
    assert [said["verdict"] for said in done["replies_judged"]] == ["wrong"]


def test_a_run_of_methods_that_stop_early_is_judged_again_like_any_other(tmp_path, monkeypatch, run):
    from econ_env.app.commands import compare_command

    logs = tmp_path / "logs"
    ran = run(
        compare_command(None, None), "--llm", "simulated", "--embedder", "hash", "--dataset", "bundled:1", "--problems",
        4, "--match", "none", "--methods", "adaptive_consistency,esc", "--log-dir", logs,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    before = rows(logs)
    assert rejudge(logs).kept is None
    monkeypatch.setattr("econ_env.answers.rule.DEFAULT_RULE", Strict())
    assert len(rejudge(logs).changed) > 0
    for old, new in zip(before, rows(logs), strict=True):
        assert new["round_answers"] == [str(int(answer) + 1) for answer in old["round_answers"]]
        assert len(new["replies"]) == len(old["replies"]) == new["calls"]
