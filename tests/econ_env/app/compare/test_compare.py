"""Comparisons from the command line to the files, with the simulated team and with scripted methods."""

import asyncio
import json
import math
import re
from collections import Counter

import pytest
from click.testing import CliRunner

from econ_agents.config import AgentConfig
from econ_agents.errors import AgentsError
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_env import parallel_env
from econ_env.answers import DEFAULT_RULE
from econ_env.app.commands import compare_command
from econ_env.app.compare import compare as compare_module
from econ_env.app.compare.compare import CompareOptions
from econ_env.app.compare.method_names import BUILT_IN, parse_names
from econ_env.app.compare.overview import overview
from econ_env.app.compare.statistics import own_majority
from econ_env.errors import BudgetError, ConfigError, LLMUnavailableError, ProblemError
from econ_env.methods import Answer
from econ_env.records import PromptEmbedding, Reply, Round, Strategy
from econ_env.team.prompts import DEFAULT_PROMPTS
from econ_env.testing import FaultyServer
from econ_env.traces import read_lines

COMMON = [name for name in BUILT_IN if name not in ("cisc", "cma_es")]  # those need log-probabilities, or an extra
ALL = ",".join(COMMON)


def run(tmp_path, *arguments, methods="single,sc@3", problems=6):
    """The command's result; errors are raised as they are."""
    command = compare_command(None, None)
    fixed = ["--llm", "simulated", "--embedder", "hash", "--log-dir", str(tmp_path), "--methods", methods]
    given = [*fixed, "--problems", str(problems), *arguments]
    return CliRunner().invoke(command, given, catch_exceptions=False, standalone_mode=False)


def rows_of(tmp_path):
    return list(read_lines(tmp_path / "results.jsonl"))


def summary_of(tmp_path):
    return json.loads((tmp_path / "summary.json").read_text())


def test_all_methods_answer_the_same_problems_and_cost_what_they_should(tmp_path):
    run(tmp_path, "--train-eps", "0", "--match", "none", "--fit", "12", methods=ALL)
    rows = rows_of(tmp_path)
    by_method = {name: {row["problem"] for row in rows if row["method"] == name} for name in COMMON}
    assert all(len(problems) == 6 for problems in by_method.values())
    assert len(set(map(frozenset, by_method.values()))) == 1
    calls = {name: {row["calls"] for row in rows if row["method"] == name} for name in COMMON}
    stopping = ("adaptive_consistency", "esc", "best_first", "bne")
    assert {name: calls[name] for name in COMMON if name not in stopping} == {
        "single": {1}, "majority": {3}, "best_single": {1}, "sc": {3}, "weighted_vote": {3}, "best_of_n": {4},
        "fixed": {5}, "random": {5}, "bandit": {5}, "debate": {9}, "no_bne": {5},
    }  # fmt: skip
    assert calls["bne"] <= {9, 13}
    assert calls["adaptive_consistency"] | calls["best_first"] <= set(range(2, 11))
    assert calls["esc"] <= {2, 4, 6, 8, 10}
    for row in rows:
        assert sum(row["tokens"].values()) == row["prompt_tokens"] + row["completion_tokens"]
        assert len(row["round_verdicts"]) == len(row["round_tokens"]) == sum(row["rounds"])
        assert row["round_verdicts"][-1] == row["verdict"]
        assert sum(row["round_tokens"]) + row["tokens"]["strategy"] == sum(row["tokens"].values())
    assert len({json.dumps(row["replies"][0]["temperature"]) for row in rows if row["method"] == "random"}) == 6
    fixed = [reply["temperature"] for row in rows if row["method"] == "fixed" for reply in row["replies"]]
    assert fixed == pytest.approx([0.7] * 18)


def test_episodes_hold_every_round_and_reply(tmp_path):
    run(tmp_path, methods="debate@2,sc@4", problems=2)
    episodes = list(read_lines(tmp_path / "episodes.jsonl"))
    assert {(e["method"], e["seed"]) for e in episodes} == {("debate@2", 0), ("sc@4", 0)}
    shapes = {e["method"]: [len(r["replies"]) for r in e["episode"]["decisions"][0]["rounds"]] for e in episodes}
    assert shapes == {"debate@2": [3, 3], "sc@4": [4]}


def test_the_summary_follows_from_the_rows_alone(tmp_path):
    run(tmp_path, "--train-eps", "0", "--match", "none", "--seeds", "2", methods="single,fixed,bne,debate")
    summary = summary_of(tmp_path)
    again = overview(rows_of(tmp_path), "single", order=["single", "fixed", "bne", "debate"], rule=DEFAULT_RULE)
    assert json.loads(json.dumps(again)) == summary["overview"]
    assert summary["complete"]
    assert list(summary["overview"]["methods"]) == ["single", "fixed", "bne", "debate"]
    assert summary["overview"]["seeds"] == [0, 1]
    ratio = summary["overview"]["debate"]
    bne, debate = (
        sum(sum(row["tokens"].values()) for row in rows_of(tmp_path) if row["method"] == name)
        for name in ("bne", "debate")
    )
    assert ratio["ratio"]["value"] == pytest.approx(bne / debate)
    assert ratio["fewer"] == pytest.approx(1 - bne / debate)


def test_the_own_majority_is_what_the_method_majority_answers(tmp_path):
    run(tmp_path, "--match", "none", methods="majority", problems=40)
    rows = rows_of(tmp_path)
    assert [row["verdict"] for row in own_majority(rows, DEFAULT_RULE)] == [row["verdict"] for row in rows]
    assert any(len({reply["answer"] for reply in row["replies"]}) == 3 for row in rows)  # there were ties


def test_budgets_are_matched_to_bne_and_what_was_chosen_is_told(tmp_path):
    run(tmp_path, "--train-eps", "0", "--match", "calls", methods="sc,best_of_n,debate,bne", problems=9)
    rows, matching = rows_of(tmp_path), summary_of(tmp_path)["matching"]
    assert [row["method"] for row in rows[:9]] == ["bne"] * 9
    spent = Counter()
    for row in rows:
        spent[row["method"]] += row["calls"]
    target = spent["bne"] / 9
    assert matching["sc"]["target"] == pytest.approx(target)
    assert matching["sc"]["units"] == min(range(1, 64), key=lambda k: abs(math.log(k / target)))
    assert matching["best_of_n"]["units"] in (matching["sc"]["units"] - 1, matching["sc"]["units"])
    assert matching["debate"]["units"] == pytest.approx(target / 3, abs=1)
    for name in ("sc", "best_of_n", "debate"):
        assert matching[name]["ratio"] == pytest.approx(spent[name] / spent["bne"])
        assert {row["units"] for row in rows if row["method"] == name} == {matching[name]["units"]}


def test_a_run_goes_on_where_it_was_with_the_units_it_had(tmp_path, monkeypatch):
    real, count = compare_module.judged, Counter()

    async def stops(answer, rule):
        count["judged"] += 1
        if count["judged"] == 15:
            raise BudgetError("spent")
        return await real(answer, rule)

    arguments = ("--train-eps", "0", "--match", "tokens")
    monkeypatch.setattr(compare_module, "judged", stops)
    with pytest.raises(BudgetError):
        run(tmp_path / "a", *arguments, methods="single,bne,sc")
    before = rows_of(tmp_path / "a")
    assert 0 < len(before) < 18
    assert not summary_of(tmp_path / "a")["complete"]
    monkeypatch.setattr(compare_module, "judged", real)
    run(tmp_path / "a", *arguments, "--resume", methods="single,bne,sc")
    run(tmp_path / "b", *arguments, methods="single,bne,sc")
    resumed, whole = (_without_seconds(rows_of(tmp_path / name)) for name in "ab")
    assert rows_of(tmp_path / "a")[: len(before)] == before
    assert resumed == whole


def _without_seconds(rows):
    plain = [{key: value for key, value in row.items() if key not in ("seconds", "cache_hits")} for row in rows]
    return sorted(plain, key=lambda row: (row["method"], row["problem"]))


def test_methods_problems_and_seeds_can_be_added_later(tmp_path):
    run(tmp_path, problems=3)
    run(tmp_path, "--resume", "--seeds", "2", methods="single,sc@3,debate@2", problems=5)
    counted = Counter(row["method"] for row in rows_of(tmp_path))
    assert counted == {"single": 10, "sc@3": 10, "debate@2": 10}
    assert len({(row["method"], row["problem"], row["seed"]) for row in rows_of(tmp_path)}) == 30


def test_another_temperature_or_match_can_not_go_on_with_a_run(tmp_path):
    run(tmp_path)
    with pytest.raises(ConfigError, match=r"temperature was 0\.7, is 0\.9"):
        run(tmp_path, "--resume", "--temperature", "0.9")


def test_order_and_concurrency_change_no_answer(tmp_path):
    run(tmp_path / "a", "--concurrency", "1", methods="single,sc@3,debate@2")
    run(tmp_path / "b", "--concurrency", "30", methods="debate@2,sc@3,single")
    assert _without_seconds(rows_of(tmp_path / "a")) == _without_seconds(rows_of(tmp_path / "b"))


def test_prices_make_costs(tmp_path):
    prices = ("--set", "llm.price_prompt=1.0", "--set", "llm.price_completion=2.0")
    run(tmp_path, *prices, methods="single", problems=2)
    for row in rows_of(tmp_path):
        assert row["usd"] == pytest.approx((row["prompt_tokens"] + 2 * row["completion_tokens"]) / 1e6)
    assert summary_of(tmp_path)["overview"]["methods"]["single"]["cost"]["usd"] > 0


def test_the_tables_fit_80_columns_and_tell_what_was_found(tmp_path, monkeypatch):
    from rich.console import Console

    console = Console(width=80)
    monkeypatch.setattr(compare_module.display, "console", console)
    with console.capture() as capture:
        run(tmp_path, "--train-eps", "0", "--seeds", "2", "--set", "llm.price_prompt=1", "--set",
            "llm.price_completion=1", "--fit", "12", methods=f"{ALL},best_of_n@12,{__name__}:Twice")  # fmt: skip
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    right = sum(row["verdict"] == "correct" for row in rows_of(tmp_path) if row["method"] == "single")
    assert re.search(rf"^One\b.* {right}/12 ", text, re.M)
    assert "tokens than 3 rounds of debate" in text
    said = " ".join(text.split())
    assert re.search(r"Self-consistency of (\d+): \1 samples cost [\d.]+ times the tokens of ECON with 3 rounds", said)
    assert "2 seeds" in text


# Methods of one's own, and failures --------------------------------------------------------------------------------


class Twice:
    """The greedy answer of a team, asked for twice."""

    name = "twice"

    def __init__(self, team):
        self.team = team

    async def answer(self, problem, seed):
        prompts = [DEFAULT_PROMPTS.executor(problem.question, None, None, "text")] * 2
        replies = await self.team.replies(problem, prompts, [PromptEmbedding(0.7, 1.0)] * 2, index=0, seed=seed)
        return Answer.of(problem, seed, [Round(0, Strategy(None), replies, await self.team.vote(replies))])


class Fails:
    """Nothing valid for every problem, or for every other one."""

    name = "fails"
    every = 1

    def __init__(self, team):
        self.team = team
        self.asked = 0

    async def answer(self, problem, seed):
        self.asked += 1
        broken = self.asked % self.every == 0
        text = None if broken else "The answer is 1."
        reply = Reply("executor_0", PromptEmbedding(0.7, 1.0), text, None if broken else "1",
                      "invalid" if broken else "valid", error="no such host" if broken else None)  # fmt: skip
        await asyncio.sleep(0)
        return Answer.of(problem, seed, [Round(0, Strategy(None), (reply,), await self.team.vote([reply]))])


class FailsAtTimes(Fails):
    every = 2


def test_a_method_of_ones_own_runs_beside_the_others(tmp_path):
    name = f"{__name__}:Twice"
    run(tmp_path, methods=f"single,{name}")
    own = [row for row in rows_of(tmp_path) if row["method"] == name]
    assert len(own) == 6
    assert {row["calls"] for row in own} == {2}
    assert {len(row["replies"]) for row in own} == {2}


def test_failed_problems_are_recorded_with_their_reason_and_not_counted(tmp_path):
    name = f"{__name__}:FailsAtTimes"
    run(tmp_path, methods=f"{name},single")
    failed = [row for row in rows_of(tmp_path) if row["verdict"] == "failed"]
    assert len(failed) == 3
    assert {(row["answer"], row["error"], row["method"]) for row in failed} == {(None, "no such host", name)}
    part = summary_of(tmp_path)["overview"]["methods"][name]
    assert (part["n"], part["failed"], part["accuracy"]["answers"]) == (6, 3, 3)
    assert summary_of(tmp_path)["overview"]["methods"]["single"]["difference"]["problems"] == 3


def test_models_that_answer_nothing_end_the_run_with_the_reason(tmp_path):
    with pytest.raises(LLMUnavailableError, match=r"5 problems failed .* no such host"):
        run(tmp_path, methods=f"{__name__}:Fails", problems=20)
    assert len(rows_of(tmp_path)) < 20


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ("singles", "did you mean 'single'"),
        ("single,single", "named twice"),
        ("", "no method given"),
        ("single@3", "take a number"),
        ("sc@0", "at least 1"),
        ("sc@x", "at least 1"),
        ("adaptive_consistency@1", "a threshold between 0.5 and 1"),
        ("adaptive_consistency@0.5", "a threshold between 0.5 and 1"),
        ("esc@1", "a whole number of at least 2"),
        ("esc@x", "a whole number of at least 2"),
        ("best_first@2.5", "a whole number of at least 2"),
        ("majority@3", "take a number"),
        ("no_such_module:Method", "no_such_module"),
        ("json:nothing", "nothing"),
        ("builtins:id", "has no answer"),
    ],
)
def test_names_that_make_no_sense_are_explained(methods, message, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run(tmp_path, methods=methods)


@pytest.mark.parametrize(
    ("arguments", "methods", "message"),
    [
        ((), "bne", "needs? a policy"),
        ((), "sc,single", "needs bne among the methods"),
        (("--baseline", "debate"), "single", "the baseline debate is not among"),
        (("--policy", ".", "--train-eps", "4", "--match", "none"), "bne", "give one of them"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(arguments, methods, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, *arguments, methods=methods)
    assert not (tmp_path / "results.jsonl").exists()


def test_names_are_read():
    names = parse_names("single, sc@12,debate,adaptive_consistency@0.9,adaptive_consistency,esc,best_first@3")
    assert [(name.key, name.base, name.units, name.open, name.setting) for name in names] == [
        ("single", "single", None, False, None), ("sc@12", "sc", 12, False, None),
        ("debate", "debate", None, True, None),
        ("adaptive_consistency@0.9", "adaptive_consistency", None, False, 0.9),
        ("adaptive_consistency", "adaptive_consistency", None, False, 0.8), ("esc", "esc", None, False, 2),
        ("best_first@3", "best_first", None, False, 3),
    ]  # fmt: skip


def test_options_of_the_command_arrive(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(compare_module, "compare", lambda common, options: seen.append((common, options)))
    run(tmp_path, "--match", "calls", "--seeds", "3", "--temperature", "0.5", "--baseline", "sc@3", "--policy",
        str(tmp_path), "--train-eps", "4", "--fit", "7", "--seed", "9")  # fmt: skip
    ((common, options),) = seen
    assert options == CompareOptions("single,sc@3", 6, 3, "calls", "sc@3", 0.5, tmp_path, 4, 7)
    assert common.config.seed == 9
    assert common.log_dir == tmp_path


def test_the_summary_names_the_embedder_only_where_texts_are_embedded(tmp_path):
    run(tmp_path / "a", "--match", "none", methods="fixed", problems=2)
    run(tmp_path / "b", "--match", "none", methods="single", problems=2)
    assert summary_of(tmp_path / "a")["models"]["embedder"] == "hash-64"
    assert summary_of(tmp_path / "b")["models"]["embedder"] is None


def test_a_policy_comes_from_the_hub_too(tmp_path, monkeypatch):
    import huggingface_hub

    spec = TeamSpec.of(parallel_env("bundled:1", llm="simulated", embedder="hash"))
    EconPolicy(spec, AgentConfig()).save_pretrained(tmp_path / "policy")
    asked = []

    def download(name, **options):
        asked.append(name)
        return str(tmp_path / "policy")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    run(tmp_path / "b", "--match", "none", "--policy", "somebody/policy", methods="no_bne", problems=2)
    assert asked == ["somebody/policy"]
    assert len(rows_of(tmp_path / "b")) == 2


@pytest.mark.slow
def test_a_policy_trained_here_and_its_checkpoint_answer_alike(tmp_path):
    models = ("--model-dir", str(tmp_path / "models"), "--match", "none")
    run(tmp_path / "a", *models, "--train-eps", "8", methods="bne", problems=4)
    run(tmp_path / "b", *models, "--policy", str(tmp_path / "models" / "final"), methods="bne", problems=4)
    run(tmp_path / "c", *models, "--train-eps", "0", methods="bne", problems=4)
    trained, loaded, untrained = (_without_seconds(rows_of(tmp_path / name)) for name in "abc")
    assert loaded == trained
    assert untrained != trained
    assert len(list(read_lines(tmp_path / "a" / "training.jsonl"))) == 8


def test_answers_are_counted_by_server(tmp_path):
    with FaultyServer() as server:
        arguments = ["--llm", server.url, "--embedder", "hash", "--log-dir", str(tmp_path), "--methods", "single,sc@3"]
        CliRunner().invoke(
            compare_command(None, None), [*arguments, "--problems", "4", "--no-cache"],
            catch_exceptions=False, standalone_mode=False,
        )  # fmt: skip
        (counts,) = summary_of(tmp_path)["servers"].values()
        assert counts["answers"] == server.seen.calls == 4 * (1 + 3)
        assert counts["tokens"] == sum(sum(row["tokens"].values()) for row in rows_of(tmp_path))


def test_a_checkpoint_is_not_asked_what_it_was_trained_on(tmp_path):
    table = tmp_path / "table.jsonl"
    table.write_text(
        "".join(json.dumps({"question": f"What is {n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(12))
    )
    given = ("--dataset", str(table), "--match", "none", "--model-dir", str(tmp_path / "models"))
    run(tmp_path / "a", *given, "--train-eps", "4", methods="bne", problems=3)
    played = {row["problem"] for row in read_lines(tmp_path / "a" / "training.jsonl")}
    policy = (*given, "--policy", str(tmp_path / "models" / "final"))
    run(tmp_path / "b", *policy, "--seed", "1", methods="no_bne", problems=8)
    assert len(played) == 4
    assert played.isdisjoint(row["problem"] for row in rows_of(tmp_path / "b"))
    with pytest.raises(ProblemError, match="without the 4 that the checkpoint was trained on, not 9"):
        run(tmp_path / "c", *policy, methods="no_bne", problems=9)


def test_a_policy_for_another_team_or_none_at_all_is_refused(tmp_path):
    spec = TeamSpec(n_agents=3, obs_dim=5, action_low=(0.1, 1.0), action_high=(2.0, 1.5))
    EconPolicy(spec, AgentConfig()).save_pretrained(tmp_path / "other")
    (tmp_path / "empty").mkdir()
    for name, message in (("other", "observations of width 5"), ("empty", "empty")):
        with pytest.raises(AgentsError, match=message):
            run(tmp_path, "--policy", str(tmp_path / name), "--match", "none", methods="bne")
    assert rows_of(tmp_path) == []
