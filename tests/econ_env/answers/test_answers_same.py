import itertools

import pytest

from econ_env.answers import majority, same_answer
from econ_env.answers.exact import read_number
from econ_env.answers.formula import is_too_heavy

NUMBERS = ["18", "18.0", "1/3", "0.333333", "0.33", "12%", "0.12", "12", "4 million", "-5", "5 km", "5 m", "5", "1e3"]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("0.333333", "1/3", True),
        ("0.333334", "1/3", True),  # less than one unit in the last place away
        ("0.333335", "1/3", False),
        ("0.33333", "1/3", False),
        ("0.0333333", "1/30", True),
        ("0.033333", "1/30", False),
        ("333333.3", "1000000/3", True),
        ("333333", "1000000/3", False),
        ("0.123457", "0.123456789", False),
        ("0.1000000000000001", "0.1", True),
        ("0.100000001", "0.1", False),
        ("1000000000.1", "1000000000", False),
        ("12%", "12", True),
        ("12%", "0.12", True),
        ("12", "0.12", False),
        ("500%", "5", False),
        ("4 million", "4000000", True),
        ("4 million", "4", True),
        ("4 million", "400", False),
        ("5 km", "5 m", False),
        ("5 km", "5", True),
        ("5 apples", "5 pears", True),
    ],
)
def test_rule_for_numbers(a, b, same):
    assert same_answer(a, b) is same
    assert same_answer(b, a) is same


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5", "2469/2"),
        ("-1 3/4", "-7/4"),
        ("\\frac{-1}{3}", "-1/3"),
        ("0.1\\overline{6}", "1/6"),
        ("0.\\overline{09}", "1/11"),
        ("1.5e-3", "3/2000"),
        ("2\\cdot 10^{3}", "2000"),
        ("10^{-2}", "1/100"),
        ("thirty-two", "32"),
    ],
)
def test_numbers_are_exact(text, value):
    number = read_number(text)
    assert number is not None
    assert str(number.value) == value


@pytest.mark.parametrize(
    "text", ["", "x", "5x", "1/0", "1,23", "1e999", "5 or 6", "--5", "1.2.3", "9" * 400, "5 not 6"]
)
def test_what_is_no_number(text):
    assert read_number(text) is None


def test_symmetric_and_reflexive_over_numbers_that_nearly_agree():
    for a, b in itertools.combinations(NUMBERS, 2):
        assert same_answer(a, b) is same_answer(b, a)
    assert all(same_answer(a, a) for a in NUMBERS)


def test_formula_and_its_value_are_the_same_but_not_another_number():
    assert same_answer("\\sqrt{16}", "4")
    assert same_answer("\\frac{6!}{5}", "144")
    assert not same_answer("\\sqrt{16}", "5")
    assert not same_answer("\\sqrt{2}", "1.4142")
    assert same_answer("\\sqrt{2}", "1.41421")


@pytest.mark.parametrize(
    "latex", ["9^{9^{9}}", "9^9^9", "10^{2000}", "300!", "(5!)!", "(x+y)^{50}", "x" * 500, "1" * 60]
)
def test_what_may_blow_up_is_never_evaluated(latex):
    assert is_too_heavy(latex)


@pytest.mark.parametrize(
    "latex", ["2^{10}", "x^{64}", "5!", "(n+1)!", "(x+1)^{2}", "e^{x^2}", "\\frac{\\sqrt{3}}{2}", "2^{1000}"]
)
def test_what_is_harmless_is_evaluated(latex):
    assert not is_too_heavy(latex)


def test_majority_counts_answers_that_mean_the_same():
    assert majority(["1/2", "0.5", "3", "\\frac{1}{2}"]) == ("1/2", 3)
    assert majority(["\\sqrt{12}", "5", "2\\sqrt{3}"]) == ("\\sqrt{12}", 2)
    assert majority(["(C)", "B", "c"]) == ("(C)", 2)


def test_majority_names_its_fields():
    most = majority(["7", "7"])
    assert most is not None
    assert (most.answer, most.votes) == ("7", 2)


def test_tie_goes_to_the_answer_that_came_first():
    assert majority(["7", "8", "8", "7"]) == ("7", 2)
    assert majority(["8", "7"]) == ("8", 1)
    assert majority(["1", "2", "3", "3"]) == ("3", 2)


def test_replies_without_answer_do_not_vote():
    assert majority([None, "7", None, None]) == ("7", 1)
    assert majority([None, None]) is None
    assert majority([]) is None


def test_majority_of_many_equal_numbers_does_not_depend_on_how_they_are_written():
    assert majority([f"{n % 3}.{'0' * (n % 5)}" for n in range(3000)]) == ("0.", 1000)
