"""The benchmark on recorded replies: folds, intervals, the frontier, and a small run from the command line."""

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks.on_record.calibration import calibration, log_score
from benchmarks.on_record.command import recorded
from benchmarks.on_record.contest import VOICE_SETTINGS, Setup, fold_of, play_fold
from benchmarks.on_record.frontier import frontier, labels, named
from benchmarks.on_record.intervals import Outcome, rows
from econ_agents.config import parse_config
from econ_agents.joint_env import as_joint
from econ_agents.train import train
from econ_env.recorded import BankRow, Manifest, load_bank, write_bank
from econ_env.recorded.columns import working_facts


def outcome(shares, calls=1.0):
    """A method that was right on these problems, in one seed."""
    correct = np.array([shares], bool)
    return Outcome(correct, np.full(correct.shape, calls))


def small_bank(path, problems=20):
    """Three models: `good` is always right, `fair` on two thirds, `bad` never, each wrong in its own way."""
    made = []
    for problem in range(problems):
        for model, right in (("good", True), ("fair", problem % 3 > 0), ("bad", False)):
            answer = "1" if right else str(100 + len(made))
            made.append(BankRow(f"p{problem}", model, "1", answer, temperature=0.0, repetition_penalty=1.0))
    return write_bank(path, made, Manifest())


def test_every_problem_is_in_one_fold_and_folds_are_equal():
    folds = fold_of(103, 5, seed=1)
    assert sorted(np.bincount(folds).tolist()) == [20, 20, 21, 21, 21]
    assert fold_of(103, 5, seed=1).tolist() == folds.tolist() != fold_of(103, 5, seed=2).tolist()


def test_differences_are_paired():
    right = np.arange(400) % 2 == 0
    found = {row["method"]: row for row in rows({"majority": outcome(right), "same": outcome(right, 3.0)})}
    assert found["same"]["less_majority"] == [0.0, 0.0, 0.0]
    assert found["same"]["less_best_first"] is None
    assert (found["same"]["calls"], found["same"]["accuracy"]) == (3.0, 0.5)


def test_the_interval_is_that_of_a_share():
    """The bootstrap of a share p of P problems has the standard error sqrt(p (1 - p) / P)."""
    right = np.arange(1000) < 800
    (row,) = rows({"m": outcome(right)})
    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert row["ci"] == pytest.approx([0.8 - half, 0.8 + half], abs=2e-3)


def test_a_problem_counts_once_whatever_the_number_of_seeds():
    """Three equal seeds tell no more than one."""
    right = np.arange(300) % 3 > 0
    once = rows({"m": Outcome(right[None], np.ones((1, 300)))})
    thrice = rows({"m": Outcome(np.tile(right, (3, 1)), np.ones((3, 300)))})
    assert once == thrice


def test_the_frontier_has_what_no_cheaper_one_beats():
    points = [("a", 1.0, 0.5), ("b", 2.0, 0.4), ("c", 3.0, 0.9), ("d", 3.0, 0.8), ("e", 9.0, 0.9)]
    made = [{"method": name, "calls": calls, "accuracy": accuracy} for name, calls, accuracy in points]
    assert [row["method"] for row in frontier(made)] == ["a", "c"]


def test_points_that_lie_together_share_a_label():
    points = [("a", 7.0, 0.918), ("b", 7.0, 0.919), ("c", 1.0, 0.918)]
    made = [{"method": name, "calls": calls, "accuracy": accuracy} for name, calls, accuracy in points]
    assert sorted(names for *_, names in labels(made)) == [["b", "a"], ["c"]]
    made.append({"method": "econ@0.01", "calls": 7.0, "accuracy": 0.918})  # of another colour, so of another label
    assert sorted(names for *_, names in labels(made)) == [["b", "a"], ["c"], ["econ@0.01"]]


def test_names_in_the_picture_are_for_readers():
    assert [named(key) for key in ("econ@0.01", "econ", "econ_sampling", "best_first@2", "mine")] == [
        "0.01 a call", "ECON", "ECON, sampling alone", "Best first until 2 agree", "mine",
    ]  # fmt: skip


@pytest.mark.slow
def test_what_is_learned_comes_from_the_other_folds(tmp_path):
    """A model that is right only on the problems of the test fold is not the best on the others."""
    path = tmp_path / "traps.parquet"
    inside = fold_of(20, 2, seed=0) == 0
    made = []
    for problem in range(20):
        for model, right in (("trap", inside[problem]), ("fair", problem % 4 > 0)):
            made.append(BankRow(f"p{problem}", model, "1", "1" if right else "7", temperature=0.0))
    write_bank(path, made, Manifest())
    fold = play_fold(Setup(str(path), ("trap", "fair"), 2, 0.7, 50, 50, (0.01,)), 0, 0)
    assert fold.places == np.flatnonzero(inside).tolist()
    assert fold.played["best_single"][0] == [problem % 4 > 0 for problem in fold.places]


def test_calibration_by_hand():
    """Of ten forecasts of 0.75 half come true, and of ten of 0.05 none."""
    found = calibration((np.repeat([0.75, 0.05], 10), np.repeat([True, False], [5, 15])))
    assert [(row["bin"], row["replies"], row["right"]) for row in found["table"]] == [
        ([0.0, 0.1], 10, 0.0),
        ([0.7, 0.8], 10, 0.5),
    ]
    assert [row["forecast"] for row in found["table"]] == pytest.approx([0.05, 0.75])
    assert (found["replies"], found["right"]) == (20, 0.25)
    assert found["error"] == pytest.approx((0.05 + 0.25) / 2)
    assert found["log_score"] == pytest.approx(-(5 * np.log(0.75) + 5 * np.log(0.25) + 10 * np.log(0.95)) / 20)
    assert found["constant_log_score"] == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


def test_true_probabilities_are_calibrated_and_exaggerated_ones_are_not():
    random = np.random.default_rng(0)
    chance = random.random(40_000)
    happened = random.random(40_000) < chance
    honest, bold = calibration((chance, happened)), calibration((np.where(chance < 0.5, 0.01, 0.99), happened))
    assert honest["error"] < 0.01
    assert bold["error"] == pytest.approx(0.24, abs=0.01)  # the mean distance from 0.25, where 0.01 is said
    assert honest["log_score"] == pytest.approx(0.5, abs=0.01)  # the mean entropy of a coin of uniform chance
    assert honest["log_score"] < honest["constant_log_score"] < bold["log_score"]


def test_forecasts_of_nothing_and_of_all_are_counted():
    found = calibration((np.array([0.0, 1.0, 1.0]), np.array([False, True, True])))
    assert [row["bin"] for row in found["table"]] == [[0.0, 0.1], [0.9, 1.0]]
    assert (found["error"], found["log_score"]) == (0.0, 0.0)


@pytest.mark.slow
def test_the_command_writes_rows_facts_and_picture(tmp_path):
    bank = small_bank(tmp_path / "small.parquet")
    out = tmp_path / "out" / "found.json"
    done = CliRunner().invoke(
        recorded,
        [
            "--bank",
            str(bank),
            "--folds",
            "2",
            "--seeds",
            "1",
            "--episodes",
            "50",
            "--voice-episodes",
            "50",
            "--price",
            "0.02",
            "--price",
            "0.9",
            "--out",
            str(out),
        ],
    )
    assert done.exit_code == 0, done.output
    found = {row["method"]: row for row in json.loads(out.read_text())}
    assert found["best_single"]["accuracy"] == 1.0
    assert (found["majority"]["calls"], found["any_right"]["accuracy"]) == (3.0, 1.0)
    assert found["econ_sampling"]["calls"] == 3.0
    assert 1.0 == found["econ@0.9"]["calls"] <= found["econ@0.02"]["calls"] <= 3.0
    assert found["majority"]["less_majority"] == [0.0, 0.0, 0.0]
    assert out.with_suffix(".png").stat().st_size > 10_000
    beliefs = json.loads(out.with_suffix(".calibration.json").read_text())["econ@0.02"]
    assert beliefs["replies"] == sum(row["replies"] for row in beliefs["table"]) >= 20
    assert out.with_suffix(".calibration.png").stat().st_size > 10_000
    assert json.loads(out.with_suffix(".facts.json").read_text())["problems"] == 20


def test_teams_see_workings_where_a_bank_knows_them(tmp_path):
    facts = working_facts("2 + 2 = 5", "5")
    for name, known, there in (("none", {}, False), ("facts", facts, True), ("texts", {"reply": "2 + 2 = 5"}, True)):
        rows = [BankRow(f"p{number}", "m", "4", "5", 0.0, **known) for number in range(2)]
        bank = load_bank(write_bank(tmp_path / f"{name}.parquet", rows, Manifest()))
        for hidden, parts in (((), {"answer_numbers", "working"}), (("working",), {"answer_numbers"}),
                              (("numbers", "working"), set())):  # fmt: skip
            setup = Setup(str(tmp_path / f"{name}.parquet"), ("m",), 2, 0.7, 1, 1, (0.0,), without=hidden)
            layout = setup.voices(bank.problems, 0.0).observation_layout
            seen = {part for part in ("answer_numbers", "working") if part in layout}
            assert seen == (parts if there else parts - {"working"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "good,nobody"], "has no model 'nobody'"),
        (["--n-agents", "5"], "contradicts 3 models"),
        (["--folds", "15"], "20 problems, too few for 15 folds"),
    ],
)
def test_wrong_options_are_said_in_one_line(tmp_path, options, message):
    bank = small_bank(tmp_path / "small.parquet")
    done = CliRunner().invoke(recorded, ["--bank", str(bank), "--out", str(tmp_path / "x.json"), *options])
    assert message in str(done.exception)
    assert not (tmp_path / "x.json").exists()


def drawn_bank(path, shares, problems):
    """Models that are right independently with these shares, and else give one of twenty wrong answers, all equally
    likely; what the answers are, and how long the replies, says nothing."""
    rng = np.random.default_rng(5)
    made = []
    for problem in range(problems):
        first, gold = rng.integers(1000, 2000), rng.integers(21)
        for model, share in shares.items():
            said = gold if rng.random() < share else (gold + rng.integers(1, 21)) % 21
            chars = int(rng.integers(50, 900))
            made.append(BankRow(f"p{problem}", model, str(first + gold), str(first + said), 0.0, reply_chars=chars))
    return load_bank(write_bank(path, made, Manifest()))


@pytest.mark.slow
def test_beliefs_learned_from_few_replies_are_nearly_the_true_ones(tmp_path):
    """On problems that were not learned from. The true probability of each answer is known: replies are independent."""
    shares = {"good": 0.9, "fair": 0.75, "poor": 0.6}
    bank = drawn_bank(tmp_path / "drawn.parquet", shares, 1300)
    setup = Setup(str(tmp_path / "drawn.parquet"), tuple(shares), 5, 0.7, 50, 50, (0.02,))
    learn, test = (replace(bank.problems, problems=tuple(part)) for part in (bank.problems[:600], bank.problems[600:]))
    policy = train(partial(setup.voices, learn, 0.02), parse_config(VOICE_SETTINGS), episodes=1800, seed=0).policy
    env = as_joint(setup.voices(test, 0.02))
    believed, truly, right = [], [], []
    evidence = {model: math.log(share / (1 - share) * 20) for model, share in shares.items()}
    for place in range(len(test)):
        env.reset(seed=place, options={"problem": place})
        obs_ND, *_, info = env.step(np.ones((3, env.team.action_dim), np.float32))
        believed.extend(policy.believed(torch.as_tensor(obs_ND)[None])[0].tolist())
        labels, own = info["wave_label"].tolist(), list(evidence.values())
        sums = [sum(e for e, other in zip(own, labels, strict=True) if other == label) for label in labels]
        others = 21 - len(set(labels))
        total = sum(math.exp(dict(zip(labels, sums, strict=True))[label]) for label in set(labels)) + others
        truly.extend(math.exp(one) / total for one in sums)
        right.extend(info["wave_right"] > 0.5)
    scores = [log_score(np.array(chance), np.array(right)) for chance in (believed, truly)]
    assert scores[0] - scores[1] < 0.03


def test_stand_ins_of_questions_are_told_apart(tmp_path):
    """Problems that a checkpoint was trained on are recognised by their questions."""
    problems = load_bank(small_bank(tmp_path / "small.parquet")).problems
    assert len({problem.question for problem in problems}) == len(problems)


def test_a_team_learns_between_the_prices_at_which_it_is_tested(tmp_path):
    bank = small_bank(tmp_path / "small.parquet")
    problems = load_bank(bank).problems
    for prices, low, high in (
        ((0.02,), 0.02, None),
        ((0.04, 0.01, 0.02), 0.01, 0.04),
        ((0.0, 0.03), 0.03, None),
        ((0.0,), 0.0, None),
    ):
        setup = Setup(str(bank), ("good", "bad"), 2, 0.7, 1, 1, prices)
        reward = setup.voices(problems).config.reward
        assert (reward.price, reward.price_max) == (low, high)
        assert setup.voices(problems, 0.03).config.reward.price == 0.03
