"""A gold answer in the form of its data set: read alike by the loader and by the judge, or refused by both."""

from decimal import Decimal
from fractions import Fraction

import pytest

from econ_env.answers import judge, read_gold
from econ_env.errors import ProblemGoldError
from econ_env.problems import load_problems
from econ_env.records import Problem

SOLUTIONS = [
    ("She sells 9.\n#### 18", "18"),
    ("#### 1,234", "1234"),
    ("w\n#### 18\nI hope it helps", "18"),
    ("#### Answer: 18", "18"),
    ("So it is $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
    ("$x=\\boxed{3}$ or $x=\\boxed{5}$", "3, 5"),
    ("Then $\\fbox{9}$.", "9"),
    ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"),
    ("252 grams.\nAnswer: C", "C"),
    ("3 cats\n**Answer:** B", "B"),
    ("Work.\nThe answer is 3.5 hours.", "3.5 hours"),
    ("5 * 3 = 15. The answer is 15. Well done.", "15"),
    ("w\nans = 7", "7"),
    (7, "7"),
    (7.0, "7"),
    (0.1, "0.1"),
    (Decimal("1E+3"), "1000"),
    (True, "True"),
    (Fraction(1, 2), "1/2"),
    (Fraction(4, 2), "2"),
    ("0,125", "0,125"),
    ("02/20/1966", "02/20/1966"),
]
UNREADABLE = [None, "", " \n", "#### ", "\\boxed{}", "\\boxed{1", "two\nlines", [1, 8], {"a": 1}, float("nan"), 1j]


@pytest.mark.parametrize(("value", "gold"), SOLUTIONS)
def test_gold_is_read_alike_by_loader_and_judge(value, gold):
    assert read_gold(value) == gold
    assert load_problems([{"question": "What?", "answer": value}])[0].answer == gold
    assert judge(gold, value).correct
    assert judge(f"\\boxed{{{gold}}}", value).correct
    assert not judge("\\boxed{987654321}", value).correct


@pytest.mark.parametrize("value", UNREADABLE)
def test_what_is_no_gold_is_refused_by_loader_and_judge(value):
    with pytest.raises(ProblemGoldError):
        load_problems([{"question": "What?", "answer": value}])
    with pytest.raises(ProblemGoldError):
        judge("18", value)


@pytest.mark.parametrize(("value", "gold"), SOLUTIONS)
def test_a_bare_gold_is_read_as_itself(value, gold):
    assert read_gold(gold) == gold


def test_problems_made_in_python_are_read_too():
    problems = load_problems([Problem("What?", "She sells 9.\n#### 18", "a"), Problem("Which?", "5", "b")])
    assert [problem.answer for problem in problems] == ["18", "5"]
    with pytest.raises(ProblemGoldError, match=r"^c of .*several lines"):
        load_problems([Problem("What?", "two\nlines", "c")])
