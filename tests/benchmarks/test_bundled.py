"""The bundled problem set, checked by a second calculation: `sympy` on each problem's equation."""

import json
import random
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from importlib import resources

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bundled.generate import LEVELS, generate
from benchmarks.bundled.words import Noun, latex, number_text, ordinal
from econ_env.problems.load import load_problems
from econ_env.testing.dataset_checks import check_problems

ROWS = [
    json.loads(line) for line in resources.files("econ_env.problems").joinpath("bundled.jsonl").read_text().splitlines()
]
SPLITS = ("train", "test")


def value_of_equation(equation):
    """The exact value of a term, or the one x that solves the equations."""
    if "=" not in equation:
        return sympy.sympify(equation, rational=True)
    x, y = sympy.symbols("x y")
    sides = [part.split("=") for part in equation.split(";")]
    equations = [sympy.Eq(sympy.sympify(left, rational=True), sympy.sympify(right)) for left, right in sides]
    (solution,) = sympy.solve(equations, [x, y] if len(equations) > 1 else [x], dict=True)
    return solution[x]


def value_of_gold(gold):
    term = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"(\1)/(\2)", gold)
    term = re.sub(r"(\d)\\pi", r"\1*pi", term)
    term = re.sub(r"(\d)\\sqrt\{(\d+)\}", r"\1*sqrt(\2)", term)
    assert "\\" not in term
    return sympy.sympify(term, rational=True)


def numbers(text):
    return [Fraction(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def test_the_generator_writes_the_shipped_file(tmp_path):
    out = tmp_path / "again.jsonl"
    command = [sys.executable, "-m", "benchmarks.bundled", "--seed", "0", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{len(ROWS)} problems written to ")
    assert out.read_bytes() == resources.files("econ_env.problems").joinpath("bundled.jsonl").read_bytes()


def test_another_seed_gives_another_set():
    assert {row["question"] for row in generate(1)} != {row["question"] for row in ROWS}


def test_sizes():
    count = Counter((row["split"], row["kind"]) for row in ROWS)
    assert set(count) == {(split, level) for split in SPLITS for level in LEVELS}
    assert sum(count["train", level] for level in LEVELS) >= 240
    assert sum(count["test", level] for level in LEVELS) >= 120


def test_no_problem_occurs_twice_within_or_across_splits():
    assert len({row["question"] for row in ROWS}) == len(ROWS)
    assert len({(row["template"], row["equation"]) for row in ROWS}) == len(ROWS)
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_every_template_is_used():
    used = {(row["kind"], row["template"]) for row in ROWS}
    assert used == {(level, t.__name__.removeprefix("_")) for level, templates in LEVELS.items() for t in templates}


@pytest.mark.parametrize("level", LEVELS)
def test_every_gold_equals_the_value_of_its_equation(level):
    wrong = [
        (row["id"], row["equation"], row["answer"])
        for row in ROWS
        if row["kind"] == level
        and sympy.simplify(value_of_equation(row["equation"]) - value_of_gold(row["answer"])) != 0
    ]
    assert wrong == []


@pytest.mark.parametrize("seed", range(3))
def test_level_1_is_one_step_with_numbers_below_ten(seed):
    for row in generate(seed):
        if row["kind"] == "level1":
            assert all(0 < number < 10 for number in numbers(row["question"])), row
            assert re.fullmatch("[1-9]", row["answer"]), row
            assert len(re.findall(r"[-+*/]", row["equation"])) == 1, row
            assert len(row["question"]) < 120, row


@pytest.mark.parametrize("seed", range(3))
def test_level_2_answers_are_positive_whole_numbers_in_one_or_two_steps(seed):
    for row in generate(seed):
        if row["kind"] == "level2":
            assert re.fullmatch(r"[1-9]\d*", row["answer"]), row
            steps = len(re.findall(r"[-+*/]", row["equation"]))
            assert steps <= 2 or row["template"] == "cheaper_tickets", row


def test_stories_count_no_negative_or_broken_things():
    stories = [
        row for row in ROWS if row["question"].startswith(("Compute", "Solve", "Simplify", "Let", "What")) is False
    ]
    counted = [row for row in stories if "How many" in row["question"] and "the exact answer" not in row["question"]]
    assert len(counted) > 250
    whole = [row for row in counted if not re.search("How many (dollars|square|kilometers)", row["question"])]
    assert [row for row in whole if not re.fullmatch(r"[1-9]\d*", row["answer"])] == []


def test_some_golds_are_latex():
    golds = [row["answer"] for row in ROWS if row["kind"] == "level3"]
    for mark in ("\\frac", "\\pi", "\\sqrt", "-"):
        assert any(mark in gold for gold in golds), mark


def test_numbers_agree_with_their_nouns():
    for row in ROWS:
        assert not re.search(r"(?<![\d.,/])\b1 (more )?(\w+s|children|people)\b(?! than)", row["question"]), row
        assert not re.search(r"\b([2-9]|\d\d+) (child|person|year|apple|page|hour)\b", row["question"]), row
        assert not re.search(r"\b[Aa] [aeio]", row["question"]), row
        assert not re.search(r"\b[Aa]n [^aeiou]", row["question"].replace("an hour", "")), row


def test_questions_are_tidy():
    for row in ROWS:
        question = row["question"]
        assert question == question.strip()
        assert "  " not in question
        assert "{" not in question.replace("\\frac{", "").replace("\\sqrt{", "").replace("^{", "").replace("}{", "")
        assert question.endswith((".", "?"))
        assert question[0].isupper() or question[0] == "$"
        assert not re.search(r"\. [a-z]", question)


def test_gold_is_not_given_away_by_being_the_last_number():
    level2 = [row for row in ROWS if row["kind"] == "level2"]
    given = [row for row in level2 if numbers(row["question"])[-1] == Fraction(row["answer"])]
    assert len(given) < len(level2) / 20


def test_load_problems_reads_it():
    for split in SPLITS:
        expected = [(r["id"], r["question"], r["answer"], r["kind"]) for r in ROWS if r["split"] == split]
        assert [(p.id, p.question, p.answer, p.kind) for p in load_problems("bundled", split=split)] == expected


@pytest.mark.parametrize("split", SPLITS)
def test_the_judge_accepts_every_gold(split):
    problems = load_problems("bundled", split=split)
    assert check_problems(problems) == len(problems)


@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=60))
def test_latex_of_a_number_keeps_its_value(value):
    term = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"\1/\2", latex(value))
    assert Fraction(term) == value


@given(st.integers(-(10**6), 10**6), st.integers(0, 6))
def test_decimal_of_a_number_keeps_its_value_and_is_short(digits, places):
    value = Fraction(digits, 10**places)
    text = number_text(value)
    assert Fraction(text) == value
    assert not re.search(r"\.\d*0$", text)


def test_number_without_a_short_decimal_is_refused():
    with pytest.raises(ValueError, match="1/3 has no short decimal"):
        number_text(Fraction(1, 3))


def test_small_grammar():
    cherry = Noun("cherry", "cherries")
    assert (cherry.count(1), cherry.count(2, "red")) == ("1 cherry", "2 red cherries")
    ordinals = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 111: "111th"}
    assert {number: ordinal(number) for number in ordinals} == ordinals


def test_templates_draw_from_the_given_generator_only():
    for templates in LEVELS.values():
        for template in templates:
            assert template(random.Random(5)) == template(random.Random(5))
