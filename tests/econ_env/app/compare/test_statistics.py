"""The statistics against published and hand-worked numbers."""

import numpy as np
import pytest
from scipy import stats

from econ_env.answers import DEFAULT_RULE
from econ_env.app.compare import statistics


def row(problem, verdict="correct", *, seed=0, **changes):
    return {
        "method": "m", "problem": str(problem), "source": "made", "seed": seed, "verdict": verdict, "replies": [],
        "round_verdicts": [], "round_tokens": [], "tokens": {"strategy": 0, "executor": 0, "commitment": 0},
        "prompt_tokens": 0, "completion_tokens": 0, "calls": 1, "cache_hits": 0, "rounds": [1], "seconds": 1.0,
        "usd": None,
    } | changes  # fmt: skip


def rows(right, wrong, **changes):
    return [row(n, "correct" if n < right else "wrong", **changes) for n in range(right + wrong)]


def reply(answer, verdict):
    return {"answer": answer, "verdict": verdict, "temperature": 0.7, "p": 1.0}


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_of_newcombe_1998_table_1(right, n, low, high):
    # Statistics in Medicine 17:857-872, method 3
    found = statistics.accuracy(rows(right, n - right))
    assert found.estimate == pytest.approx((right / n, low, high), abs=5e-5)
    assert (found.correct, found.answers, found.problems) == (right, n, n)


def test_failed_answers_are_neither_right_nor_wrong_and_no_answer_is_wrong():
    found = statistics.accuracy([row(0), row(1, "failed"), row(2, "no_answer"), row(3, "wrong")])
    assert (found.correct, found.answers, found.failed) == (1, 3, 1)
    assert found.estimate.value == pytest.approx(1 / 3)
    assert statistics.accuracy([row(0, "failed")]) is None


def test_seeds_that_always_agree_add_nothing_to_the_interval():
    once = rows(6, 4)
    thrice = [row(n, "correct" if n < 6 else "wrong", seed=seed) for seed in range(3) for n in range(10)]
    assert statistics.accuracy(thrice).estimate == pytest.approx(statistics.accuracy(once).estimate)
    assert statistics.accuracy(thrice).answers == 30


def test_seeds_that_err_independently_narrow_it_as_far_as_their_answers_go():
    # means 1, 1/2, 1/2, 0: share 1/2, variance of the mean 1/32, hence 1/4 * 32 = 8 effective answers
    split = [row(p, "correct" if (p, s) in {(0, 0), (0, 1), (1, 0), (2, 1)} else "wrong", seed=s)
             for p in range(4) for s in range(2)]  # fmt: skip
    assert statistics.accuracy(split).estimate == pytest.approx(statistics.accuracy(rows(4, 4)).estimate)
    # means 1/2 everywhere: no variance is seen, and nothing more than the problems is counted
    even = [row(p, "correct" if s else "wrong", seed=s) for p in range(4) for s in range(2)]
    assert statistics.accuracy(even).estimate == pytest.approx(statistics.accuracy(rows(2, 2)).estimate)


def paired(better, worse, same):
    verdicts = ["correct"] * better + ["wrong"] * worse + ["correct"] * same
    others = ["wrong"] * better + ["correct"] * worse + ["correct"] * same
    return [row(n, v) for n, v in enumerate(verdicts)], [row(n, v) for n, v in enumerate(others)]


def test_mcnemars_exact_p_by_hand():
    found = statistics.difference(*paired(5, 1, 14))
    assert found.p == pytest.approx(2 * (1 + 6) / 2**6)
    assert (found.test, found.better, found.worse, found.problems) == ("mcnemar_exact", 5, 1, 20)
    assert found.estimate.value == pytest.approx(0.2)
    assert statistics.difference(*paired(10, 0, 0)).p == pytest.approx(2 / 2**10)
    nothing = statistics.difference(*paired(0, 0, 5))
    assert (nothing.p, nothing.needed, nothing.estimate) == (1.0, None, (0.0, 0.0, 0.0))


def test_the_bootstrap_interval_is_the_binomials():
    found = statistics.difference(*paired(60, 0, 40)).estimate
    expected = stats.binom.ppf([0.025, 0.975], 100, 0.6) / 100
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.011)
    assert statistics.difference(*paired(60, 0, 40)).estimate == found


def test_pairs_are_those_judged_in_both_methods_with_the_same_seed():
    first = [row(0), row(1), row(2, "failed"), row(3, "wrong", seed=1)]
    second = [row(0, "wrong"), row(1, "failed"), row(2), row(3, seed=0), row(4)]
    found = statistics.difference(first, second)
    assert (found.problems, found.better, found.estimate) == (1, 1, (1.0, None, None))
    assert statistics.difference(first, [row(9)]) is None


def test_several_seeds_are_averaged_per_problem_and_tested_by_flipping_signs():
    first = [row(p, "correct", seed=s) for p in range(3) for s in range(2)]
    second = [row(p, "correct" if p < 2 and s == 0 else "wrong", seed=s) for p in range(3) for s in range(2)]
    found = statistics.difference(first, second)  # differences 1/2, 1/2, 1
    assert found.estimate.value == pytest.approx(2 / 3)
    assert (found.test, found.better, found.worse, found.problems) == ("sign_flip", 3, 0, 3)
    assert found.p == pytest.approx(2 / 8)  # only the two patterns with all signs alike reach as far


def test_doubling_equal_seeds_changes_neither_p_nor_interval():
    first, second = paired(7, 1, 4)
    twice = [[*part, *(r | {"seed": 1} for r in part)] for part in (first, second)]
    once, double = statistics.difference(first, second), statistics.difference(*twice)
    assert double.p == pytest.approx(once.p)
    assert double.estimate == once.estimate
    assert double.needed == once.needed


@pytest.mark.parametrize(("better", "worse", "needed"), [(45, 5, 23), (30, 15, 155), (5, 45, 23)])
def test_problems_needed_are_those_of_connor_1987(better, worse, needed):
    # two-sided at 0.05 with power 0.8; the same numbers in
    # https://zarathucorp.github.io/open-powersamplesize/calculator/compare-paired-proportions/mcnemar-2-sided
    # and https://clinicaltrials-tools.vercel.app/calculators/mcnemar-test
    gains = [1] * better + [-1] * worse + [0] * (100 - better - worse)
    assert statistics.problems_needed(gains) == needed


def test_so_many_problems_do_show_the_difference_about_as_often_as_planned():
    rng = np.random.default_rng(0)
    needed = statistics.problems_needed([1] * 25 + [-1] * 10 + [0] * 65)
    counts = rng.multinomial(needed, [0.25, 0.10, 0.65], size=4000)
    p = stats.binom.cdf(counts[:, :2].min(axis=1), counts[:, :2].sum(axis=1), 0.5) * 2
    assert 0.72 < (p < 0.05).mean() < 0.85  # the exact test is a little more careful than the formula's


def test_holm_by_hand():
    assert statistics.adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.adjusted([]) == []


def tokens(total, strategy=0):
    return {"strategy": strategy, "executor": total - strategy, "commitment": 0}


def test_token_ratio_is_that_of_the_means_over_common_problems():
    first = [row(0, tokens=tokens(100)), row(1, tokens=tokens(300)), row(2, tokens=tokens(999))]
    other = [row(0, tokens=tokens(400)), row(1, tokens=tokens(400)), row(2, "failed", tokens=tokens(1))]
    found = statistics.token_ratio(first, other)
    assert found == pytest.approx((0.5, 0.25, 0.75))
    assert statistics.token_ratio(first, []) is None


def test_a_shorter_debate_is_counted_from_a_longer_one():
    econ = [row(0, tokens=tokens(150)), row(1, tokens=tokens(150))]
    debate = [row(n, tokens=tokens(700, strategy=100), round_tokens=[50, 150, 400]) for n in (0, 1)]
    assert statistics.token_ratio(econ, debate, rounds=2).value == pytest.approx(0.5)
    assert statistics.token_ratio(econ, debate, rounds=3) == statistics.token_ratio(econ, debate)
    assert statistics.token_ratio(econ, debate, rounds=4) is None


def test_costs_are_means_and_seconds_leave_out_what_came_from_the_cache():
    given = [
        row(0, tokens=tokens(100, 20), seconds=2.0, usd=0.5),
        row(1, "failed", tokens=tokens(300, 40), seconds=0.1, cache_hits=2, calls=3, usd=1.5),
    ]
    found = statistics.cost(given)
    assert found["tokens"] == 200
    assert found["tokens_by_role"] == {"strategy": 30, "executor": 170, "commitment": 0}
    assert (found["calls"], found["seconds"], found["timed"], found["usd"]) == (2, 2.0, 1, 1.0)
    assert statistics.cost([row(0, cache_hits=1)])["seconds"] is None
    assert statistics.cost([row(0, usd=1.0), row(1)])["usd"] is None
    assert statistics.cost([])["tokens"] is None


def test_agreement_is_the_share_of_pairs_with_the_same_answer():
    three = [reply("0.5", "wrong"), reply("1/2", "wrong"), reply("7", "correct")]
    none = [reply(None, "no_answer"), reply(None, "no_answer"), reply("7", "correct")]
    two = [reply("7", "correct"), reply("7", "correct"), reply(None, "invalid")]
    found = statistics.agreement([row(0, replies=three), row(1, replies=none), row(2, replies=two)], DEFAULT_RULE)
    assert found == pytest.approx((1 / 3 + 0 + 1) / 3)
    assert statistics.agreement([row(0, replies=three[:1])], DEFAULT_RULE) is None


def test_unparsed_shares():
    given = [
        row(0, "no_answer", replies=[reply(None, "no_answer"), reply("3", "wrong")]),
        row(1, replies=[reply("4", "correct"), reply(None, "invalid")]),
        row(2, "failed"),
    ]
    assert statistics.unparsed(given) == {"answers": 0.5, "replies": pytest.approx(1 / 3)}


def test_transitions_are_counted_step_by_step():
    given = [
        row(0, round_verdicts=["wrong", "correct", "correct"]),
        row(1, round_verdicts=["correct", "no_answer"]),
        row(2, round_verdicts=["correct", "failed"]),
        row(3, round_verdicts=["wrong"]),
    ]
    first, second = statistics.transitions(given)
    assert first == {"right_right": 0, "right_wrong": 1, "wrong_right": 1, "wrong_wrong": 0}
    assert second == {"right_right": 1, "right_wrong": 0, "wrong_right": 0, "wrong_wrong": 0}


def test_pass_and_majority_of_the_executors():
    lucky = [reply("4", "correct"), reply("5", "wrong"), reply("5.0", "wrong")]
    sure = [reply("5", "wrong"), reply("4", "correct"), reply("4", "correct")]
    lost = [reply(None, "no_answer"), reply("5", "wrong"), reply(None, "invalid")]
    given = [row(n, replies=replies) for n, replies in enumerate((lucky, sure, lost))]
    found = statistics.executors([*given, row(9, "failed", replies=sure)], DEFAULT_RULE)
    assert found == {"each": pytest.approx(1 / 3), "any": pytest.approx(2 / 3), "majority": pytest.approx(1 / 3)}
