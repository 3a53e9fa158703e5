"""The known-optimum benchmark against known answers: its measure, its switches, its peers, its arithmetic."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.known_optimum.__main__ import collect, plan
from benchmarks.known_optimum.http import over_http
from benchmarks.known_optimum.peers import ARMS, random_search
from benchmarks.known_optimum.report import coupled, interval, markdown, paired, sheets, verdict
from benchmarks.known_optimum.runs import REFINEMENTS, Result, environment, first_reaching, learn, measure, run, tasks
from benchmarks.known_optimum.variants import BY_NAME, VARIANTS, Variant
from econ_agents.baselines import FixedControls
from econ_agents.config import AgentConfig
from econ_env.testing import FaultyServer

TRAIN, TEST = tasks(0.0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def flat(values: dict, prefix: str = "") -> dict:
    parts = {}
    for key, value in values.items():
        parts |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return parts


def settings_of(variant: Variant) -> dict:
    return flat(variant.config().model_dump()) | {"reward weights": variant.weights()}


# What is compared


DEFAULT = settings_of(BY_NAME["default"])


def test_the_defaults_are_those_of_the_library():
    assert BY_NAME["default"].config() == AgentConfig()
    assert BY_NAME["default"].weights() is None


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.kind == "ablation" and not v.paper], ids=lambda v: v.name)
def test_an_ablation_changes_exactly_one_setting(variant):
    changed = {key for key, value in settings_of(variant).items() if value != DEFAULT[key]}
    assert changed == (set(variant.changes) or {"reward weights"})
    assert len(changed) == 1


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.kind == "coupled"], ids=lambda v: v.name)
def test_a_coupled_ablation_changes_what_it_names_and_plays_the_coupled_task(variant):
    changed = {key for key, value in settings_of(variant).items() if value != DEFAULT[key]}
    assert changed == set(variant.changes)
    assert changed or variant.credit == "team"
    assert variant.coupling == BY_NAME["coupled"].coupling


@pytest.mark.parametrize("credit", ["own", "team"])
def test_executors_are_paid_as_the_variant_says(credit):
    env = environment(TRAIN, None, credit)
    env.reset(seed=0)
    _, rewards, _, _, infos = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    team = infos["executor_0"]["team_reward"]
    assert (set(rewards.values()) == {team}) == (credit == "team")


def test_the_table_of_the_coupled_task_has_the_paired_differences_of_share_and_gap():
    def row(name: str, seed: int, share: float, gap: float) -> dict:
        gaps = {"gap_episodes": [16, 64], "gap": [gap] * 2, "gap_refined": [gap] * 2}
        refined = {key: {"gap": gap, "share": share, "rounds": 1.0} for key in REFINEMENTS}
        return {"name": name, "seed": seed, "episodes": [64], "share": [share], "refined": refined, **gaps}

    results = {
        "coupled": [row("coupled", seed, 0.9, 0.02) for seed in range(4)],
        "coupled_no_mixer": [row("coupled_no_mixer", seed, 0.8, 0.05) for seed in range(3)],
    }
    sheet = coupled(results)
    assert [line[:2] for line in sheet.rows] == [["defaults", "4"], ["no mixer", "3"]]
    assert sheet.rows[1][2:] == [
        "0.800 [0.800, 0.800]",
        "-0.100 [-0.100, -0.100]",
        "-0.100 [-0.100, -0.100]",
        "0.050 [0.050, 0.050]",
        "+0.030 [+0.030, +0.030]",
        "worse",
    ]


def test_the_paper_s_settings_come_from_its_file():
    assert BY_NAME["paper"].config().replay.capacity == 32
    assert BY_NAME["paper"].weights() == (0.4, 0.4, 0.2)


def test_results_are_told_apart_by_what_was_run_and_not_by_its_label():
    variant = BY_NAME["no_mixer"]
    keys = {v.key(seed, episodes) for v in VARIANTS for seed in (0, 1) for episodes in (320, 500)}
    assert len(keys) == 4 * len(VARIANTS)
    assert dataclasses.replace(variant, label="other").key(0, 320) == variant.key(0, 320)


def test_the_defaults_are_run_first_and_then_all_learners_seed_by_seed():
    jobs = plan(VARIANTS, seeds=2, episodes=500, short=320, gap_seeds=1)
    assert [(v.name, seed, n) for v, seed, n in jobs[:2]] == [("default", 0, 500), ("default", 1, 500)]
    assert [seed for _, seed, _ in jobs[2:]] == sorted(seed for _, seed, _ in jobs[2:])
    assert {n for v, _, n in jobs if v.kind in ("ablation", "gap", "coupled")} == {320}
    assert [seed for v, seed, _ in jobs if v.kind == "gap"] == [0]
    assert len(jobs) == 2 * len(VARIANTS) - 1


def test_true_gaps_may_have_more_seeds_than_the_rest():
    jobs = plan(VARIANTS, seeds=1, episodes=500, short=320, gap_seeds=3)
    assert [seed for v, seed, _ in jobs if v.kind == "gap"] == [0, 1, 2]
    assert {seed for v, seed, _ in jobs if v.kind != "gap"} == {0}


def test_what_is_kept_is_not_run_again(tmp_path):
    jobs = [(BY_NAME["ddpg"], 1, 64), (BY_NAME["default"], 0, 64)]
    rows = [{"key": variant.key(seed, n), "share": [0.5]} for variant, seed, n in jobs]
    kept = tmp_path / "results.jsonl"
    text = "".join(json.dumps(row) + "\n" for row in reversed(rows))
    kept.write_text(text)
    assert collect(jobs, kept, workers=1) == rows
    assert kept.read_text() == text
    assert collect([*jobs, (BY_NAME["td3"], 0, 64)], kept, workers=0) == rows


# What is measured


@pytest.mark.parametrize("coupling", [0.0, 0.6])
def test_the_oracle_is_worth_one_and_has_no_gap(coupling):
    judge = measure(coupling)
    oracle = judge.task.oracle.profiles
    profiles = np.stack([oracle[problem.kind] for problem in judge.task.problems])
    assert judge.share(profiles) == pytest.approx(1.0)
    assert judge.gap(profiles[:2]) == pytest.approx(0.0, abs=1e-6)


def test_a_fixed_policy_is_worth_what_the_task_says():
    judge = measure(0.0)
    best = next(iter(TEST.best_fixed.profiles.values()))
    profiles = judge.profiles(FixedControls(judge.env.team, best.tolist()))
    assert profiles == pytest.approx(np.broadcast_to(best, profiles.shape), abs=1e-6)
    assert judge.share(profiles) == pytest.approx(TEST.best_fixed.accuracy / TEST.oracle.accuracy, abs=1e-6)


def test_training_and_measuring_use_other_problems_of_the_same_kinds():
    questions = [{problem.question for problem in task.problems} for task in (TRAIN, TEST)]
    assert not questions[0] & questions[1]
    assert TRAIN.kind_shares.keys() == TEST.kind_shares.keys()


# Peers


@pytest.mark.slow
def test_random_search_halves_and_stays_below_the_best_fixed_control():
    steps = list(random_search(partial(environment, TRAIN, None), 160, seed=3))
    spent = [number for number, _ in steps]
    assert len(steps) == math.log2(ARMS)
    assert spent == sorted(spent)
    assert spent[-1] <= 160
    result = run(BY_NAME["random_search"], 3, 160)
    assert result["episodes"] == spent
    for (_, profile), share in zip(steps, result["share"], strict=True):
        assert len(np.unique(profile, axis=0)) == 1
        by_hand = np.mean([TEST.team_accuracy(kind, profile) for kind in TEST.kind_shares])
        assert share == pytest.approx(by_hand / TEST.oracle.accuracy)
        assert share <= TEST.best_fixed.accuracy / TEST.oracle.accuracy + 1e-9


@pytest.mark.slow
def test_a_peer_s_run_depends_on_its_seed_alone():
    first, again, other = (run(BY_NAME["td3"], seed, 32) for seed in (0, 0, 1))
    assert first["episodes"] == [16, 32]
    assert first["share"] == again["share"]
    assert first["share"] != other["share"]


# Arithmetic


def test_the_interval_is_student_s():
    half = 4.302653 / math.sqrt(3)  # the 0.975 quantile of t with 2 degrees of freedom, from a printed table
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    mean, low, high = interval([0.5])
    assert mean == 0.5
    assert math.isnan(low)
    assert math.isnan(high)


def test_a_level_is_reached_at_the_first_checkpoint_at_or_above_it():
    assert first_reaching([16, 32, 48], [0.9, 0.95, 0.94], 0.95) == 32
    assert first_reaching([16, 32, 48], [0.9, 0.94, 0.94], 0.95) is None


def test_differences_are_paired_by_seed_and_held_between_checkpoints():
    def curve(seed, episodes, share):
        return {"seed": seed, "episodes": episodes, "share": share}

    defaults = [curve(0, [16, 32, 48], [0.2, 0.4, 0.9]), curve(1, [16, 32, 48], [0.1, 0.1, 0.1])]
    runs = [curve(1, [16, 32], [0.1, 0.3]), curve(0, [16, 32], [0.2, 0.2])]
    ends, areas = paired(runs, defaults)
    assert ends == pytest.approx([0.2, -0.2])
    assert areas == pytest.approx([0.1, -0.1])
    assert paired([curve(0, [16, 48], [0.3, 0.5])], defaults) == (pytest.approx([-0.4]), pytest.approx([-0.4 / 3]))


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([0.1, 0.11, 0.12], "better"),
        ([-0.1, -0.11, -0.12], "worse"),
        ([-0.1, 0.0, 0.2], "no difference seen"),
        ([0.5, 0.5], "too few seeds"),
    ],
)
def test_a_verdict_needs_three_seeds_and_an_interval_without_zero(differences, said):
    assert verdict(differences) == said


def test_tables_name_what_was_run():
    row = {"name": "default", "episodes": [64, 80], "share": [0.5, 0.96], "seconds": 3.0, "cpu_seconds": 2.0}
    text = markdown(sheets({"default": [row | {"seed": seed} for seed in (0, 1)]}, None))
    assert "| 0 | 80 | never | 0.960 | 0.960 | 3 | 2 |" in text
    assert "| 80 | 0.960 [0.960, 0.960] | 0.960 |" in text
    assert "0.502" in text


# What it must reach


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_defaults_come_near_the_oracle_and_blind_critics_lag_behind():
    learned, blind = run(BY_NAME["default"], 0, 500), run(BY_NAME["no_controls"], 0, 240)
    assert max(learned["share"]) >= 0.95
    assert learned["share"][-1] >= 0.95
    assert max(blind["share"]) < 0.7  # slower, not hopeless: the mixer still sees the controls
    assert TEST.random_control / TEST.oracle.accuracy < 0.7


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_training_over_http_gives_the_curve_of_training_in_process():
    variant, curves = BY_NAME["default"], []
    with FaultyServer(TRAIN.llm.serve_reply) as server:
        for make in (partial(environment, TRAIN, None), partial(over_http, TRAIN, server.url)):
            result = Result("default", 0, "")
            learn(make, variant, 0, 64, result)
            curves.append(result.share)
        assert server.seen.calls > 64 * 4
    assert curves[0] == curves[1]
