import json

import pytest

from econ_env import traces
from econ_env.app.runs.folder import RunFolder
from econ_env.errors import ConfigError, TraceError

ABOUT = {"config": {"n_agents": 3, "seed": 0, "llm": {"timeout": 5}}}


def row(problem, method="bne"):
    return {"problem": problem, "method": method, "verdict": "correct"}


def test_a_run_goes_on_where_it_was(tmp_path):
    folder = RunFolder(tmp_path, ABOUT, resume=False)
    folder.add(row("a"), {"n": 1})
    folder.close()
    again = RunFolder(tmp_path, ABOUT, resume=True)
    assert again.done("bne") == {"a"}
    assert again.done("baseline") == set()
    again.add(row("b"), {"n": 2})
    again.close()
    assert [line["problem_id"] for line in json.loads(again.write_traces("bne", "t.json").read_text())] == ["a", "b"]


def test_an_episode_without_its_row_is_not_done_and_its_old_trace_gives_way(tmp_path):
    folder = RunFolder(tmp_path, ABOUT, resume=False)
    folder._episodes.append({"method": "bne", "problem_id": "a", "n": "torn"})  # killed between trace and row
    folder.close()
    again = RunFolder(tmp_path, ABOUT, resume=True)
    assert again.done("bne") == set()
    again.add(row("a"), {"n": "whole"})
    assert [line["n"] for line in json.loads(again.write_traces("bne", "t.json").read_text())] == ["whole"]


def test_of_episodes_that_were_played_again_the_last_row_and_trace_count(tmp_path):
    folder = RunFolder(tmp_path, ABOUT, resume=False)
    for episode, reward in ((0, 1), (1, 2), (1, 3), (0, 4)):
        folder.add_training({"episode": episode, "reward": reward})
    assert sorted(row["reward"] for row in folder.training_rows()) == [3, 4]
    folder.add(row("a", "baseline"), {"n": 0})
    for n in (1, 2):
        folder.add(row("a"), {"n": n})
    assert [line["n"] for line in json.loads(folder.write_traces("bne", "t.json").read_text())] == [2]
    assert [r["method"] for r in folder.read_rows()] == ["baseline", "bne", "bne"]
    assert len(list(folder.read_rows("baseline"))) == 1


def test_a_new_run_moves_the_old_one_aside(tmp_path):
    for number in (1, 2):
        folder = RunFolder(tmp_path, ABOUT, resume=False)
        folder.add(row(f"of run {number}"), {})
        folder.write_summary({"number": number})
        folder.close()
    folder = RunFolder(tmp_path, ABOUT, resume=False)
    assert list(folder.read_rows()) == []
    assert folder.moved_to == tmp_path / "previous-2"
    assert json.loads((tmp_path / "previous-1" / "summary.json").read_text()) == {"number": 1}
    assert "of run 2" in (tmp_path / "previous-2" / "results.jsonl").read_text()


def test_other_settings_can_not_go_on_with_a_run_but_calling_models_otherwise_can(tmp_path):
    RunFolder(tmp_path, ABOUT, resume=False).close()
    RunFolder(tmp_path, {"config": {**ABOUT["config"], "llm": {"timeout": 9}}}, resume=True).close()
    with pytest.raises(ConfigError, match="n_agents was 3, is 4"):
        RunFolder(tmp_path, {"config": {**ABOUT["config"], "n_agents": 4}}, resume=True)


def test_a_folder_that_can_not_be_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="log folder"):
        RunFolder(tmp_path / "file" / "logs", ABOUT, resume=False)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TraceError, match=r"run\.json can't be read"):
        RunFolder(tmp_path, ABOUT, resume=True)


def test_failed_problems_are_asked_again_and_what_they_cost_is_not_lost(tmp_path):
    folder = RunFolder(tmp_path, ABOUT, resume=False)
    folder.add(row("a"), {})
    folder.add({**row("b"), "verdict": "failed", "tokens": 7}, {})
    folder.close()
    again = RunFolder(tmp_path, ABOUT, resume=True)
    assert again.done("bne") == {"a"}
    again.add(row("b"), {})
    again.close()
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [(line["problem"], line["verdict"]) for line in lines] == [("a", "correct"), ("b", "correct")]
    assert [json.loads(line)["tokens"] for line in (tmp_path / "failed.jsonl").read_text().splitlines()] == [7]


def test_results_of_another_policy_can_not_be_mixed_with_new_ones(tmp_path):
    def opened(weights):
        return RunFolder(tmp_path, {**ABOUT, "tested": {"weights": weights}}, resume=True)

    opened("one").close()
    folder = opened("other")  # nothing was tested yet
    folder.add(row("a"), {})
    folder.close()
    opened("other").close()
    with pytest.raises(ConfigError, match="weights was 'other', is 'one'"):
        opened("one")
    opened("other").close()  # a refused one changed nothing


def test_the_latest_error_is_told(tmp_path):
    folder = RunFolder(tmp_path, ABOUT, resume=False)
    assert folder.last_error() is None
    part = {"error": None}
    rounds = [
        {"replies": [{"error": "early"}], "commitment": part},
        {"replies": [{"error": "no such host"}], "commitment": {"error": "no valid reply"}},
        {"replies": [part], "commitment": part},
    ]
    folder.rounds_file.write_text("".join(json.dumps({"round": round_}) + "\n" for round_ in rounds))
    assert folder.last_error() == "no such host"
    with folder.rounds_file.open("a") as file:
        file.write(
            json.dumps({"round": {"replies": [part], "commitment": {"error": "late"}}}) + "\n" + '{"round": {"re'
        )
    assert folder.last_error() == "late"
    with folder.rounds_file.open("a") as file:
        file.write('plies": [{"error": "torn, then whole"}], "commitment": {"error": null}}}\n')
    assert folder.last_error() == "torn, then whole"


def test_only_new_rounds_are_read_for_the_latest_error(tmp_path, monkeypatch):
    folder, read = RunFolder(tmp_path, ABOUT, resume=False), []
    parse = traces._parse
    monkeypatch.setattr(traces, "_parse", lambda line, *where: read.append(line) or parse(line, *where))
    for number in range(5):
        with folder.rounds_file.open("a") as file:
            file.write(json.dumps({"round": {"replies": [], "commitment": {"error": str(number)}}}) + "\n")
        assert folder.last_error() == str(number)
    assert len(read) == 5
