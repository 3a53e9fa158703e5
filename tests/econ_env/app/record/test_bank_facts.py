"""What is said of a bank, against numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env import load_bank
from econ_env.answers import DEFAULT_RULE, majority_of
from econ_env.app.compare.intervals import share_over_problems
from econ_env.app.record.facts import bank_facts, majority_right, phi
from tests.econ_env.recorded.made_banks import bank_of, row, two_cells


def facts(folder, rows):
    return bank_facts(bank_of(folder, rows), DEFAULT_RULE)


def replies(model, answers, **changes):
    """A reply of a model to each problem; the gold is 1, and `-` is a reply without an answer."""
    return [row(f"p{n}", None if a == "-" else a, model=model, **changes) for n, a in enumerate(answers)]


def test_a_cell_is_worked_out_by_hand(tmp_path):
    rows = [
        *(row("p0", answer, sample=n, tokens=10) for n, answer in enumerate(["1", "2", "1"])),
        *(row("p1", answer, sample=n, tokens=20) for n, answer in enumerate(["3", "2", "2"])),
        *(row("p2", answer, sample=n, finish_reason="length") for n, answer in enumerate([None, "1.0"])),
    ]
    found = facts(tmp_path, rows)
    (cell,) = found["cells"]
    assert (cell["model"], cell["controls"], cell["problems"], cell["replies"]) == ("m", {}, 3, 8)
    assert cell["samples"] == [2, 3]
    means = np.array([2 / 3, 0.0, 0.5])
    assert cell["right"] == share_over_problems(means, 8)._asdict()
    assert cell["right"]["value"] == pytest.approx(7 / 18)
    assert cell["majority"] == share_over_problems(np.array([1.0, 0.0, 1.0]), 3)._asdict()
    assert cell["any_right"]["value"] == pytest.approx(2 / 3)
    assert cell["no_answer"] == 1 / 8
    assert (cell["length"], found["length_in"]) == (pytest.approx(15.0), "tokens")
    assert cell["cut"] == 1.0  # of those that say why they ended
    assert (found["replies"], found["problems"], found["missing"], found["changed"]) == (8, 3, 0, None)
    assert found["models_together"] is None


def test_cells_are_in_order_and_those_that_lack_a_problem_are_counted(tmp_path):
    rows = [r for r in two_cells(3, 2) if not (r.problem == "p1" and r.temperature == 1.0)]
    found = facts(tmp_path, rows)
    assert [cell["controls"]["temperature"] for cell in found["cells"]] == [0.2, 1.0]
    assert [cell["problems"] for cell in found["cells"]] == [3, 2]
    assert [cell["right"]["value"] for cell in found["cells"]] == [1.0, 0.0]
    assert (found["missing"], found["full"]) == (1, True)
    holed = [*two_cells(2, 1), row("p0", "1", temperature=0.5, repetition_penalty=1.2)]
    assert facts(tmp_path, holed)["full"] is False


def test_models_together_are_worked_out_by_hand(tmp_path):
    rows = [*replies("a", "1121-"), *replies("b", "1311-"), *replies("c", "23211")]
    together = facts(tmp_path, rows)["models_together"]
    assert together["problems"] == 5
    assert (together["best"], together["single"]["value"]) == ("a", 0.6)
    assert together["majority"]["value"] == 0.6  # p0 1, p1 3, p2 2, p3 1, p4 1
    assert together["any_right"]["value"] == 1.0
    pairs = {tuple(pair["models"]): pair for pair in together["pairs"]}
    assert [pair["agree"] for pair in pairs.values()] == [0.4, 0.4, 0.4]
    # wrong: a 00101, b 01001, c 11100
    assert pairs["a", "b"]["phi"] == pytest.approx((1 / 5 - 0.16) / 0.24)
    assert pairs["a", "c"]["phi"] == pytest.approx((1 / 5 - 0.24) / 0.24)
    assert together["phi"] == pytest.approx(np.mean([pair["phi"] for pair in pairs.values()]))
    assert together["agree"] == pytest.approx(0.4)


def test_models_that_share_no_problem_are_not_compared(tmp_path):
    rows = [row("p0", "1", model="a"), row("p1", "1", model="b")]
    assert facts(tmp_path, rows)["models_together"] is None
    never_wrong = [*replies("a", "11"), *replies("b", "12")]
    together = facts(tmp_path, never_wrong)["models_together"]
    assert (together["pairs"][0]["phi"], together["phi"], together["agree"]) == (None, None, 0.5)


def test_two_samples_of_a_cell_agree_and_err_together(tmp_path):
    rows = [*replies("m", "1122", sample=0), *replies("m", "1132", sample=1), row("p9", "1")]
    within = facts(tmp_path, rows)["within_model"]
    assert within == {"cells": 1, "agree": 0.75, "phi": 1.0}
    assert facts(tmp_path, replies("m", "112"))["within_model"] is None


def test_verdicts_that_changed_are_counted(tmp_path):
    rows = [
        row("p0", "1", correct=True),
        row("p1", "2", correct=True),
        row("p2", "1", correct=False),
        row("p3", "1", correct=None),
        row("p4", None, correct=False),
    ]
    assert facts(tmp_path, rows)["changed"] == 2


ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=7)


@given(st.lists(ANSWERS, min_size=1, max_size=5))
def test_the_majority_is_that_of_the_judge(places):
    labels = {"1": 0, "2": 1, "3": 2, None: -1}
    place_R = np.repeat(np.arange(len(places)), [len(answers) for answers in places])
    flat = [answer for answers in places for answer in answers]
    label_R, right_R = np.array([labels[a] for a in flat], np.int32), np.array([a == "1" for a in flat])
    winners = [majority_of(answers, DEFAULT_RULE) for answers in places]
    expected = [winner is not None and winner.answer == "1" for winner in winners]
    assert majority_right(place_R, label_R, right_R, len(places)).tolist() == expected


def test_phi_is_the_correlation_of_two_by_two_counts():
    # 3 both, 1 first alone, 2 second alone, 4 neither: (3 * 4 - 1 * 2) / sqrt(4 * 6 * 5 * 5)
    one = np.array([True] * 4 + [False] * 6)
    other = np.array([True] * 3 + [False] + [True] * 2 + [False] * 4)
    assert phi(one, other) == pytest.approx(10 / np.sqrt(600))
    assert phi(one, one) == pytest.approx(1.0)
    assert phi(one, ~one) == pytest.approx(-1.0)
    assert phi(one, np.ones(10, bool)) is None


def test_published_numbers_of_the_shipped_bank():
    """Of ZeroEval's seven small models on GSM8K: the best and the majority, by this package's judge."""
    found = bank_facts(load_bank("gsm8k-small7"), DEFAULT_RULE)
    assert found["models_together"]["single"]["value"] == pytest.approx(0.845, abs=0.01)
    assert found["models_together"]["majority"]["value"] == pytest.approx(0.918, abs=0.005)
    assert found["models_together"]["phi"] == pytest.approx(0.33, abs=0.01)
    assert found["length_in"] == "characters"
