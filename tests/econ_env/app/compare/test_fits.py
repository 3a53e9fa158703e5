"""Comparisons with baselines that learn first: on which problems, at what cost, and what a resumed run repeats."""

from __future__ import annotations

import importlib.util
import json
import math
from collections import Counter

import pytest
from click.testing import CliRunner

from econ_agents.config import AgentConfig
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_env import parallel_env
from econ_env.app.cli import econ
from econ_env.app.commands import compare_command
from econ_env.app.compare import fits
from econ_env.app.runs.recording import Failures
from econ_env.errors import BudgetError, ConfigError, LLMUnavailableError, ProblemError
from econ_env.methods import members
from econ_env.problems.load import load_problems
from econ_env.testing import FaultyServer, RawAnswer
from econ_env.traces import read_lines

LEARN = "best_single,best_first,weighted_vote"


def run(tmp_path, *arguments, methods=LEARN, problems=4, llm="simulated"):
    """The command's result; errors are raised as they are."""
    fixed = ["--llm", llm, "--embedder", "hash", "--log-dir", str(tmp_path), "--methods", methods, "--match", "none"]
    given = [*fixed, "--problems", str(problems), *arguments]
    return CliRunner().invoke(compare_command(None, None), given, catch_exceptions=False, standalone_mode=False)


def rows_of(folder):
    return list(read_lines(folder / "results.jsonl"))


def answers_of(folder):
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "cache_hits")} for row in rows_of(folder)]
    return sorted(rows, key=lambda row: (row["method"], row["problem"]))


def fitting_of(folder):
    return json.loads((folder / "summary.json").read_text())["fitting"]


def lines_of(folder, part):
    return [line for line in read_lines(folder / "fitting.jsonl") if line["part"] == part]


@pytest.fixture
def asked(monkeypatch):
    """Problems that the executors were asked for a fit, in order."""
    seen: list[str] = []
    real = members._ask

    async def ask(team, problem, *rest):
        seen.append(problem.id)
        return await real(team, problem, *rest)

    monkeypatch.setattr(members, "_ask", ask)
    return seen


def test_all_fitted_methods_share_one_fit_on_problems_that_are_not_tested(tmp_path, asked):
    run(tmp_path, "--fit", "20", methods=f"{LEARN},majority,adaptive_consistency@0.9")
    rows, told = rows_of(tmp_path), fitting_of(tmp_path)
    assert len(asked) == len(set(asked)) == 20
    assert not set(asked) & {row["problem"] for row in rows}
    assert Counter(row["method"] for row in rows) == dict.fromkeys(
        [*LEARN.split(","), "majority", "adaptive_consistency@0.9"], 4
    )
    kept = lines_of(tmp_path, "members")
    right = sum(sum(line["correct"]) for line in kept)
    assert told["accuracies"] == [pytest.approx((right + 1) / 62)] * 3  # executors of one model
    assert (told["problems"], told["calls"], told["order"]) == (20, 60, [0, 1, 2])
    assert told["tokens"] == sum(line["tokens"] for line in kept) > 0
    assert told["weights"][0] == pytest.approx(math.log((right + 1) / (61 - right)) + told["constant"])
    assert told["softmax_temperature"] is None


def test_without_such_methods_nothing_is_learned(tmp_path, asked):
    run(tmp_path, methods="majority,esc")
    assert asked == []
    assert not (tmp_path / "fitting.jsonl").exists()
    assert "fitting" not in json.loads((tmp_path / "summary.json").read_text())


def test_fewer_training_problems_than_wanted_are_all_used(tmp_path, asked):
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps({"question": f"{n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(12)))
    run(tmp_path / "a", "--dataset", str(table))
    assert len(asked) == fitting_of(tmp_path / "a")["problems"] == 8
    with pytest.raises(ProblemError, match="too few to test on 12"):
        run(tmp_path / "b", "--dataset", str(table), problems=12)


@pytest.fixture
def policy(tmp_path):
    spec = TeamSpec.of(parallel_env("bundled:1", llm="simulated", embedder="hash"))
    EconPolicy(spec, AgentConfig()).save_pretrained(tmp_path / "policy")
    return ["--policy", str(tmp_path / "policy")]


def test_beside_a_checkpoint_too_nothing_that_is_tested_is_learned_from(tmp_path, asked, policy):
    run(tmp_path / "a", *policy, "--fit", "10", methods="best_single,no_bne")
    assert len(asked) == 10
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps({"question": f"{n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(12)))
    asked.clear()
    run(tmp_path / "b", *policy, "--dataset", str(table), methods="best_single,no_bne")
    assert len(asked) == 8
    assert not set(asked) & {row["problem"] for row in rows_of(tmp_path / "b")}
    with pytest.raises(ProblemError, match="no problems beside the 12 to test on"):
        run(tmp_path / "c", *policy, "--dataset", str(table), methods="best_single,no_bne", problems=12)


# Resuming ------------------------------------------------------------------------------------------------------------


def stops_after(monkeypatch, count):
    """The run stops for want of budget when so many problems or plays of a fit are done."""
    left = [count]

    class Stops(Failures):
        def count(self, failed, reason):
            left[0] -= 1
            if left[0] == 0:
                raise BudgetError("spent")

    monkeypatch.setattr(fits, "Failures", Stops)


def test_a_run_whose_budget_ended_while_it_learned_goes_on_where_it_was(tmp_path, asked, monkeypatch):
    stops_after(monkeypatch, 5)
    with pytest.raises(BudgetError):
        run(tmp_path / "a", "--fit", "12", "--concurrency", "1")
    assert len(lines_of(tmp_path / "a", "members")) == 5
    assert rows_of(tmp_path / "a") == []
    monkeypatch.setattr(fits, "Failures", Failures)
    asked.clear()
    run(tmp_path / "a", "--fit", "12", "--concurrency", "1", "--resume")
    assert len(asked) == 7
    run(tmp_path / "b", "--fit", "12")
    assert answers_of(tmp_path / "a") == answers_of(tmp_path / "b")
    assert fitting_of(tmp_path / "a") == fitting_of(tmp_path / "b")


def test_what_was_learned_is_not_paid_for_again_and_methods_can_be_added(tmp_path, asked):
    run(tmp_path, methods="single")
    run(tmp_path, "--fit", "12", "--resume", methods="single,best_single")
    asked.clear()
    run(tmp_path, "--fit", "12", "--resume", "--seeds", "2", methods="single,best_single,best_first")
    assert asked == []
    assert Counter(row["method"] for row in rows_of(tmp_path)) == {"single": 8, "best_single": 8, "best_first": 8}
    run(tmp_path, "--resume", "--seeds", "2", methods="single")
    assert fitting_of(tmp_path)["problems"] == 12


def test_a_run_that_learned_on_other_problems_is_not_continued(tmp_path):
    run(tmp_path, "--fit", "12")
    with pytest.raises(ConfigError, match="learned on 12 other problems; resume with the same --fit and --problems"):
        run(tmp_path, "--fit", "13", "--resume")


def test_a_new_run_learns_anew(tmp_path, asked):
    run(tmp_path, "--fit", "12")
    run(tmp_path, "--fit", "12")
    assert len(asked) == 24
    assert (tmp_path / "previous-1" / "fitting.jsonl").exists()


@pytest.mark.parametrize("base", ["cma_es", "bandit"])
def test_a_search_goes_on_where_it_was(tmp_path, monkeypatch, base):
    if base == "cma_es":
        pytest.importorskip("cmaes")
    stops_after(monkeypatch, 14)
    with pytest.raises(BudgetError):
        run(tmp_path / "a", "--fit", "30", methods=base)
    before = lines_of(tmp_path / "a", base)
    assert 14 <= len(before) < 27
    monkeypatch.setattr(fits, "Failures", Failures)
    run(tmp_path / "a", "--fit", "30", "--resume", methods=base)
    run(tmp_path / "b", "--fit", "30", methods=base)
    assert fitting_of(tmp_path / "a") == fitting_of(tmp_path / "b")
    assert answers_of(tmp_path / "a") == answers_of(tmp_path / "b")
    after = lines_of(tmp_path / "a", base)
    assert after[: len(before)] == before
    assert sorted(line["play"] for line in after) == list(range(len(after)))


# Searches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "plays"), [("cma_es", 27), ("bandit", 30)])
def test_searched_controls_are_those_that_the_team_then_plays(tmp_path, base, plays):
    if base == "cma_es":
        pytest.importorskip("cmaes")
    run(tmp_path, "--fit", "30", methods=f"fixed,{base}")
    told = fitting_of(tmp_path)[base]
    played = lines_of(tmp_path, base)
    tested = [row for row in rows_of(tmp_path) if row["method"] == base]
    assert (told["plays"], told["calls"]) == (plays, sum(line["calls"] for line in played))
    assert len(played) == plays
    assert told["tokens"] == sum(line["tokens"] for line in played)
    assert not {line["problem"] for line in played} & {row["problem"] for row in tested}
    for row in tested:
        shown = [[reply["temperature"], reply["p"]] for reply in row["replies"]]
        assert shown == [pytest.approx(own, abs=1e-6) for own in told["controls"]]
    if base == "bandit":
        assert told["controls"][0] == told["controls"][1] == told["controls"][2]
    else:
        assert told["controls"][0] != told["controls"][1]


def test_order_and_concurrency_change_no_search(tmp_path):
    for folder, concurrency in (("a", "1"), ("b", "30")):
        run(tmp_path / folder, "--fit", "24", "--concurrency", concurrency, methods="bandit")
    assert fitting_of(tmp_path / "a") == fitting_of(tmp_path / "b")


def test_too_few_plays_are_said_before_anything_is_asked(tmp_path, asked):
    with pytest.raises(ConfigError, match="bandit plays each of 12 controls at least once, with 5 problems: --fit 12"):
        run(tmp_path, "--fit", "5", methods=f"{LEARN},bandit")
    assert asked == []
    assert not (tmp_path / "run.json").exists()


def test_a_missing_package_is_named_before_anything_is_asked(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cmaes" else real(name))
    with pytest.raises(ConfigError, match=r"needs cmaes: pip install 'econ-bne\[search\]'"):
        run(tmp_path, methods="cma_es")


# Different models, confidences and failures --------------------------------------------------------------------

GOLD = {problem.question: problem.answer for split in ("train", "test") for problem in load_problems(
    "bundled:1", split=split
)}  # fmt: skip


def gold_of(body):
    asked = body["messages"][-1]["content"]
    return next(answer for question, answer in GOLD.items() if question in asked)


def by_model(body):
    """`good` is right; `late` and `bad` are wrong, each in its own way."""
    number = {"good": gold_of(body), "late": "-7", "bad": "-9"}[body["model"]]
    answer = (
        json.dumps({"reasoning": "so", "answer": number}) if "response_format" in body else f"The answer is {number}."
    )
    sure = math.log(0.9 if body["model"] == "good" else 0.5)
    given = {"content": [{"token": answer, "logprob": sure}]} if body.get("logprobs") else None
    return RawAnswer({"content": answer}, logprobs=given)


NAMES = ["late", "bad", "good"]
MODELS = ["--dataset", "bundled:1", "--no-cache", *(part for name in NAMES for part in ("--executor-model", name))]


def test_the_best_model_is_found_asked_first_and_heard(tmp_path):
    with FaultyServer(by_model, models=NAMES) as server:
        arguments = (*MODELS, "--set", "llm.logprobs=true", "--fit", "10")
        methods = f"{LEARN},cisc,adaptive_consistency"
        run(tmp_path, *arguments, methods=methods, llm=server.url)
    told, rows = fitting_of(tmp_path), rows_of(tmp_path)
    assert told["models"] == ["late", "bad", "good"]
    assert told["accuracies"] == [pytest.approx(1 / 12), pytest.approx(1 / 12), pytest.approx(11 / 12)]
    assert told["order"] == [2, 0, 1]
    assert told["softmax_temperature"] == 10.0  # each answer stands alone: the sure one wins at every temperature
    verdicts = {name: {row["verdict"] for row in rows if row["method"] == name} for name in methods.split(",")}
    assert verdicts == {
        "adaptive_consistency": {"wrong"}, "best_single": {"correct"}, "best_first": {"correct"},
        "weighted_vote": {"correct"}, "cisc": {"correct"},
    }  # fmt: skip
    calls = {name: {row["calls"] for row in rows if row["method"] == name} for name in methods.split(",")}
    assert (calls["best_single"], calls["best_first"], calls["adaptive_consistency"]) == ({1}, {3}, {3})


def test_log_probabilities_that_are_not_asked_for_or_do_not_come_are_one_line(run_command, tmp_path):
    given = ["--methods", "cisc", "--match", "none", "--problems", 2, "--fit", 3]
    ran = run_command("compare", *given)
    assert (ran.code, ran.err.strip().splitlines()[-1]) == (
        2, "error: cisc needs log-probabilities: set llm.logprobs=true",
    )  # fmt: skip
    ran = run_command("compare", *given, "--set", "llm.logprobs=true")
    assert (ran.code, ran.err.strip().splitlines()[-1]) == (
        2,
        "error: cisc needs log-probabilities, and no reply to the training problems has any: set llm.logprobs=true, "
        "or use a server or a record that gives them",
    )


@pytest.fixture
def run_command(run, small):
    return lambda *arguments: run_(run, small, *arguments)


def run_(run, small, command, *arguments):
    return run(econ, command, *small, *arguments)


def test_models_that_answer_nothing_end_the_fit_with_the_reason(tmp_path):
    def fails(body):
        raise LLMUnavailableError("out of order")

    with FaultyServer(fails) as server, pytest.raises(LLMUnavailableError, match="5 problems failed one after another"):
        run(tmp_path, "--no-cache", "--set", "llm.max_retries=0", "--fit", "20", llm=server.url)
    assert len(lines_of(tmp_path, "members")) >= 5


def test_failed_calls_are_made_again_in_a_resumed_run(tmp_path, asked):
    broken = {"bad"}

    def now_and_then(body):
        if body["model"] in broken:
            raise LLMUnavailableError("out of order")
        return by_model(body)

    with FaultyServer(now_and_then, models=NAMES) as server:
        given = (*MODELS, "--set", "llm.max_retries=0", "--fit", "4")
        run(tmp_path, *given, methods="best_single", llm=server.url)
        assert fitting_of(tmp_path)["accuracies"] == [pytest.approx(1 / 6), 0.5, pytest.approx(5 / 6)]
        broken.clear()
        asked.clear()
        run(tmp_path, *given, "--resume", methods="best_single", llm=server.url)
    assert len(asked) == 4
    assert fitting_of(tmp_path)["accuracies"] == [pytest.approx(1 / 6), pytest.approx(1 / 6), pytest.approx(5 / 6)]


def test_what_was_learned_is_told(tmp_path, monkeypatch):
    from rich.console import Console

    console = Console(width=80)
    monkeypatch.setattr(fits.display, "console", console)
    with console.capture() as capture:
        run(tmp_path, "--fit", "12", methods=f"{LEARN},bandit")
    text = capture.get()
    told = fitting_of(tmp_path)
    assert f"fitted to 12 training problems: 36 calls, {told['tokens']:,} tokens" in text
    assert f"bandit: 12 plays, {told['bandit']['calls']} calls" in text
    assert max(map(len, text.splitlines())) <= 80


def test_recorded_teams_play_all_of_them_and_pair_them(tmp_path):
    methods = f"majority,{LEARN},adaptive_consistency,esc,fixed,bandit"
    run(tmp_path, "--fit", "40", methods=methods, llm="recorded:gsm8k-small7", problems=20)
    rows = rows_of(tmp_path)
    said = {name: {row["problem"]: row for row in rows if row["method"] == name} for name in methods.split(",")}
    assert all(len(own) == 20 for own in said.values())
    order = fitting_of(tmp_path)["order"]
    for problem, row in said["majority"].items():
        voters = [reply["answer"] for reply in row["replies"]]
        assert len(voters) == 7
        assert [reply["answer"] for reply in said["fixed"][problem]["replies"]] == voters
        assert said["best_single"][problem]["answer"] == voters[order[0]]
        for name, asked in (("best_first", order), ("adaptive_consistency", range(7)), ("esc", range(7))):
            heard = [reply["answer"] for reply in said[name][problem]["replies"]]
            assert heard == [voters[number] for number in asked][: len(heard)]


def test_a_record_without_log_probabilities_is_said_to_have_none(tmp_path):
    with pytest.raises(ConfigError, match="or a record that gives them"):
        run(tmp_path, "--fit", "5", methods="cisc", llm="recorded:gsm8k-small7")
