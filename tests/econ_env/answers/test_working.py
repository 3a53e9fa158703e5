"""What is read of a reply's working: its equations, which of them do not hold, and whether it leads to the answer."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econ_env import load_bank
from econ_env.answers import DEFAULT_RULE
from econ_env.answers.working import working_of
from econ_env.records import Working


def counted(text):
    found = working_of(text, None)
    return found.equations, found.wrong


@pytest.mark.parametrize(
    ("text", "equations", "wrong"),
    [
        ("She has 3 + 4 = 7 pears.", 1, 0),
        ("She has 3 + 4 = 8 pears.", 1, 1),
        ("16 eggs - 3 eggs = 13 eggs", 1, 0),
        ("16 eggs - 3 eggs = 12 eggs", 1, 1),
        ("That is 2*30 - 12 = 60 - 12 = 48.", 2, 0),
        ("That is 2*30 - 12 = 60 - 12 = 50.", 2, 1),
        ("In all 5*25 + 2*10 = 125 + 20 = 145 cents", 2, 0),
        ("200 + 40 = 240 and 240 + 40 = 280", 2, 0),
        ("200 + 40 = 240 + 40 = 280", 2, 0),  # a sum that goes on
        ("It costs 3 * $1,200.50 = $3,601.50 now", 1, 0),
        ("It costs 3 * $1,200.50 = $3,600.50 now", 1, 1),
        ("He pays 40 * $2000 = $80,000, and leaves.", 1, 0),
        (r"\( 3 \times 4 = 12 \) and \(12 \div 5 = 2.4\)", 2, 0),
        (r"\( 3 \times 4 = 14 \) and \$3 \cdot 2 = \$6", 2, 1),
        (r"\frac{3}{4} \times 20 = 15", 1, 0),
        (r"\frac{3}{4} \times 20 = 16", 1, 1),
        ("5 × 3 = 15, 8 ÷ 2 = 4, 2 x 6 = 12, 9 − 1 = 8", 4, 0),
        ("5 times 3 = 15", 0, 0),  # operators in words are not read
        ("10 / 3 = 3.33", 1, 0),
        ("10 / 3 = 3", 1, 0),
        ("10 / 3 = 4.5", 1, 1),
        ("3.33 * 3 = 10", 1, 0),
        ("12.5 * 3 = 38", 1, 0),
        ("12.5 * 4 = 51", 1, 1),
        ("20% * 50 = 10", 1, 0),
        ("15 / 20 * 100 = 75%", 1, 0),
        ("15 / 20 = 75%", 1, 0),
        ("15 / 20 = 85%", 1, 1),
        ("100 + 20% = 120", 1, 0),
        ("1/2 of 10 + 4 = 9", 0, 0),
        ("30% of 80 trees = 0.3 * 80 = 24", 1, 0),
        ("1 1/2 * 4 = 6", 1, 0),
        ("1 1/2 * 4 = 7", 1, 1),
        ("2(3 + 4) = 14 and 3 (2) = 6", 2, 0),
        ("2(3 + 4) = 15", 1, 1),
        ("12 (3 * 4) + 5 = 17", 1, 0),
        ("3 (Ann) + 4 (Bo, who is late) = 7", 1, 0),
        ("x = 3 + 4 = 7", 1, 0),
        ("2x + 3 = 13, 3 - x = 9, 3y - 20 = 100, 4Jo + 1 = 85", 0, 0),
        ("- 3 + 5 = 8\n- 2 * 2 = 4", 2, 0),  # a list, whose sign is a mark
        ("We get (5 + 3) * 2 = 16 (5 + 3 = 8)", 2, 0),
        ("(5 + 3 * 2 = 16", 0, 0),  # a bracket was forgotten
        ("2^3 + 4 = 12, 3:4 + 1 = 9, 10:30 + 2 = 12", 0, 0),
        ("the 5th + 3 = 9", 0, 0),
        ("5 hours * 60 minutes/hour = 300 minutes", 1, 0),
        ("2 hours + 30 minutes = 150 minutes", 0, 0),
        ("120 minutes / 60 = 2 hours * 3 = 6 hours", 2, 0),
        ("2 dozen * 3 = 72", 0, 0),
        ("Cost: 2 adults + 3 children = 2 * $10 + 3 * $5 = $35", 1, 0),
        ("3 / 0 = 5", 0, 0),
        ("Total:\n60 - 12\n= 48\n- 2 * 3 = 7", 2, 1),
        ("-5 + 8 = 3", 1, 0),
        ("7 = 7 and 8 = 9", 0, 0),
        (r"{\"reasoning\": \"1. 4 + 4 = 8\\n2. 8 * 2 = 17\\n\"", 2, 1),
    ],
)
def test_equations_are_read_and_checked(text, equations, wrong):
    assert counted(text) == (equations, wrong)


@pytest.mark.parametrize(
    ("text", "answer", "numbers", "ends", "shows"),
    [
        ("3 + 4 = 7. The answer is 7.", "7", 3, True, True),
        ("3 + 4 = 7 of 10. The answer is 7.", "7", 4, False, True),
        ("3 + 4 = 7. The answer is 8.", "8", 3, False, False),
        ('{"reasoning": "It is 2 * 600 = 1,200.", "answer": "1200"}', "1200", 3, True, True),
        ('{"answer": "1200"}', "1200", 0, False, False),
        ("The answer is 4.", "4", 0, False, False),
        ("2 + 2 = 4\n#### 4", "4", 3, True, True),
        (r"2 + 2 = 4, so \boxed{4}", "4", 3, True, True),
        ("Answer: 5? No, 2 + 2 = 4.\nAnswer: 4", "4", 4, True, True),
        ("half is $2.50", "2.5", 1, True, True),
        ("2 + 2 = 4", None, 3, False, False),
        ("2 + 2 = 4", "(A)", 3, False, False),
        ("", "4", 0, False, False),
    ],
)
def test_the_working_ends_where_the_answer_is_stated(text, answer, numbers, ends, shows):
    found = working_of(text, answer)
    assert (found.numbers, found.ends, found.shows) == (numbers, ends, shows)


def joined(parts):
    (left, a), (operator, _), (right, b) = parts
    value = {"+": a + b, "-": a - b, "*": a * b}[operator]
    return f"({left} {operator} {right})", value


NUMBERS = st.integers(0, 99).map(lambda number: (str(number), Fraction(number)))
SUMS = st.recursive(
    NUMBERS, lambda inner: st.tuples(inner, st.sampled_from("+-*").map(lambda sign: (sign, None)), inner).map(joined),
    max_leaves=8,
)  # fmt: skip


@given(SUMS.filter(lambda made: made[0].startswith("(")), st.integers(1, 500), st.sampled_from([1, -1]))
@settings(deadline=None)
def test_true_equations_are_never_wrong_and_false_ones_always(made, off, sign):
    written, value = made
    for text in (written, written[1:-1]):
        assert counted(f"So we get {text} = {value}.") == (1, 0)
        assert counted(f"So we get {text} = {value + sign * off}.") == (1, 1)


@given(st.text("0123456789+-*/=().,$% xa\n{}\\frac", max_size=300))
@settings(deadline=None)
def test_any_text_can_be_read(text):
    found = working_of(text, "3")
    assert 0 <= found.wrong <= found.equations
    assert found.shows >= found.ends


@pytest.mark.parametrize(
    "piece", ["(", "1+", "(1+", "9", "1*1/3+", "1 (", "3 = ", "\\frac{1}{", "5 a", "1 1/2 ", "\n= 4"]
)
def test_long_texts_are_read_in_time_that_grows_with_them(piece):
    start = time.perf_counter()
    working_of(piece * (100_000 // len(piece)), "3")
    assert time.perf_counter() - start < 5.0


def test_the_bank_of_the_package_has_workings_that_tell_slips():
    """Of replies with an equation that does not hold, 6% are right; of the others 79%."""
    bank = load_bank("gsm8k-small7")
    right = bank.judged(DEFAULT_RULE).right_R
    wrong = bank.numbers["wrong_equations"] > 0
    assert 0.01 < wrong.mean() < 0.05
    assert right[wrong].mean() < 0.15
    assert right[~wrong].mean() > 0.75
    assert right[bank.numbers["shows_answer"] < 0.5].mean() < right[bank.numbers["shows_answer"] > 0.5].mean() - 0.3
    assert (bank.numbers["wrong_equations"] <= bank.numbers["equations"]).all()
    assert (bank.numbers["ends_with_answer"] <= bank.numbers["shows_answer"]).all()


def test_a_working_is_compared_by_value():
    assert working_of("2 * 3 = 6", "6") == Working(1, 0, 3, True, True)
