"""Decides whether two bare answers are the same, and finds the majority answer of a team."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from econ_env.answers.exact import Number, same_number
from econ_env.answers.forms import Choice, Collection, Form, Formula, Named, Words
from econ_env.answers.formula import are_equivalent, value_of
from econ_env.answers.parse import read_form, read_list
from econ_env.answers.readings import bare_answer, last_side, with_decimal_point

MAX_UNORDERED = 40
"""Larger sets are compared in the order written."""

_UNORDERED = {"list", "{}"}


class Majority(NamedTuple):
    """The answer with the most votes."""

    answer: str
    """As its first voter wrote it."""
    votes: int
    """Number of votes, at least 1."""


def same_answer(a: str, b: str) -> bool:
    r"""Whether two bare answers mean the same: `1/2` and `\frac{1}{2}`, `x = 5` and `5`, `(C)` and `c`.

    Symmetric and reflexive. `exact.py` says which numbers are equal. Ratios are compared in proportion: 2:3 is 4:6.
    If both may be times of day, they are compared as written: 3:30 is not 1:10. A ratio is not a fraction.
    Math-Verify and sympy compare formulas in their own process, for at most `algebra_process.TIME_LIMIT` seconds;
    formulas that are not shown to be equal are different.

    Args:
        a: An answer, without the reply around it.
        b: Another answer.

    Returns:
        Whether they are the same.

    Raises:
        JudgeError: Formulas must be compared, and the process for it can't be started.
    """
    if a.strip() == b.strip():
        return True
    x, y = read_form(a), read_form(b)
    for text, form, other in ((a, x, y), (b, y, x)):
        if isinstance(form, Collection) and form.kind == "list" and isinstance(other, Number):
            pointed = with_decimal_point(text)
            if pointed is not None:
                return _same(read_form(pointed), other)
    if _same(x, y):
        return True
    if isinstance(x, Number) and isinstance(y, Collection) and "," in a:
        return _same(read_list(a), y)
    if isinstance(y, Number) and isinstance(x, Collection) and "," in b:
        return _same(x, read_list(b))
    head, other_head = bare_answer(a), bare_answer(b)
    return (head, other_head) != (a, b) and _same(read_form(head), read_form(other_head))


def gives(answer: str, gold: str) -> bool:
    """Whether an answer gives the gold answer: it is the same, or an equation that ends with this number.

    Not symmetric: `24x - 14y = 38` gives 38, but 38 does not give this equation; `3,0` gives 3, but as a gold answer it
    is 3 and 0.

    Args:
        answer: The answer, without the reply around it.
        gold: The gold answer.

    Raises:
        JudgeError: As `same_answer`.
    """
    if same_answer(answer, gold):
        return True
    wanted = read_form(gold)
    if not (isinstance(wanted, Number) or (isinstance(wanted, Collection) and wanted.kind in ("ratio", "time"))):
        return False
    form = read_form(answer)
    says = last_side(answer)
    if says is None and isinstance(form, Collection) and form.kind == "list":
        says = with_decimal_point(answer, lone_zero=True)
    return says is not None and _same(read_form(says), wanted)


def majority(answers: Iterable[str | None], same: Callable[[str, str], bool] | None = None) -> Majority | None:
    """Find the answer with the most votes.

    Each answer joins the first group whose first answer is the same. In a tie, the group whose first answer came first
    wins.

    Args:
        answers: Bare answers in the order of the team; `None` for a reply without an answer, which does not vote.
        same: Decides whether two answers are the same; by default `same_answer`.

    Returns:
        The largest group; `None` if there is no answer.

    Raises:
        JudgeError: As `same_answer`.
    """
    given = list(answers)
    labels = label_answers(given, same)
    first = heaviest(labels)
    if first is None:
        return None
    answer = given[first]
    assert answer is not None
    return Majority(answer, labels.count(labels[first]))


def label_answers(answers: Iterable[str | None], same: Callable[[str, str], bool] | None = None) -> tuple[int, ...]:
    """Number the different answers; `majority` says which are the same.

    Further answers at the end change no label before them.

    Args:
        answers: As in `majority`.
        same: As in `majority`.

    Returns:
        A label for each: from 0 in order of first appearance, -1 for `None`.

    Raises:
        JudgeError: As `same_answer`.
    """
    leaders: list[str] = []
    labels: list[int] = []
    seen: dict[Hashable, int] = {}
    for answer in answers:
        if answer is None:
            labels.append(-1)
            continue
        group = seen.get(answer)  # most are written alike
        if group is None:
            key = ("form", _key(answer)) if same is None else answer
            group = seen.get(key)
            if group is None:
                alike = (place for place, leader in enumerate(leaders) if (same or same_answer)(leader, answer))
                group = next(alike, len(leaders))
            if group == len(leaders):
                leaders.append(answer)
            seen[key] = seen[answer] = group
        labels.append(group)
    return tuple(labels)


def heaviest(labels: Sequence[int], weights: Sequence[float] | None = None) -> int | None:
    """Find the label with the greatest sum of weights, and where it stands first.

    Args:
        labels: Labels of answers; a negative one does not vote.
        weights: Weight of each vote, finite, may be negative; by default every vote counts 1.

    Returns:
        The place of the first vote for the winner; in a tie the label that comes first wins. `None` without votes.
    """
    votes: dict[int, list[float]] = {}
    for label, weight in zip(labels, [1.0] * len(labels) if weights is None else weights, strict=True):
        if label >= 0:
            votes.setdefault(label, []).append(weight)
    if not votes:
        return None
    sums = {label: math.fsum(parts) for label, parts in votes.items()}  # exact, whatever the order
    return list(labels).index(max(sums, key=sums.__getitem__))


def _key(answer: str) -> Hashable:
    """A cheap canonical form. Answers with equal keys are the same; the same answers may have different keys."""
    form = read_form(answer)
    if isinstance(form, Number):
        return form.value, form.percent, form.unit, form.scale, form.digits if form.value.denominator != 1 else 0
    return form


def _same(a: Form, b: Form) -> bool:
    if a == b:
        return True
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Choice):
            return _same_choice(x, y)
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Named):
            return _same_named(x, y)
    if isinstance(a, Number) and isinstance(b, Number):
        return same_number(a, b)
    if isinstance(a, Collection) and isinstance(b, Collection):
        return _same_group(a, b)
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Collection) and x.kind == "list":  # `3/5 or 60%` is one number, written twice
            return all(_same(item, y) for item in x.items)
    if isinstance(a, Formula) and isinstance(b, Formula):
        return not (a.unit and b.unit and a.unit != b.unit) and are_equivalent(a.latex, b.latex)
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Formula) and isinstance(y, Number):
            if x.unit and y.unit and x.unit != y.unit:
                return False
            if y.unit == "degree" and not x.unit and r"\pi" in x.latex:
                turn = y.value / 180
                return are_equivalent(x.latex, rf"\frac{{{turn.numerator}}}{{{turn.denominator}}}\pi")
            value = value_of(x.latex)
            return value is not None and same_number(value, y)
        if isinstance(x, Formula) and isinstance(y, Words):
            return x.latex.replace(" ", "").casefold() == y.text.replace(" ", "")
    return False


def _same_choice(choice: Choice, other: Form) -> bool:
    if isinstance(other, Choice):
        return choice.letter == other.letter
    if isinstance(other, Formula) and other.latex.upper() == choice.letter:
        return True
    return choice.content is not None and _same(choice.content, other)


def _same_named(named: Named, other: Form) -> bool:
    if isinstance(other, Named):
        if named.name == other.name and _same(named.value, other.value):
            return True
        if "(" in named.name + other.name and isinstance(named.value, Number) and isinstance(other.value, Number):
            return False  # algebra would take f(8) for a product
        return are_equivalent(named.latex, other.latex)
    if isinstance(other, Formula) and "=" in other.latex:
        return are_equivalent(named.latex, other.latex)
    return _same(named.value, other)


def _same_group(a: Collection, b: Collection) -> bool:
    if len(a.items) != len(b.items) or (a.unit and b.unit and a.unit != b.unit):
        return False
    kinds = {a.kind, b.kind}
    if "ratio" in kinds and kinds <= {"ratio", "time"}:
        return not (a.unit or b.unit) and _in_proportion(a.items, b.items)
    if kinds <= _UNORDERED and len(a.items) <= MAX_UNORDERED:
        return _match_in_any_order(a.items, b.items)
    if len(kinds) == 1 or kinds == {"list", "()"} or kinds <= _UNORDERED:
        return all(map(_same, a.items, b.items))
    return False


def _in_proportion(items: Sequence[Form], others: Sequence[Form]) -> bool:
    xs, ys = ([item.value for item in side if isinstance(item, Number)] for side in (items, others))
    pairs = list(zip(xs, ys, strict=True))
    return any(xs) and any(ys) and all(x * w == z * y for x, y in pairs for z, w in pairs)


def _match_in_any_order(items: Sequence[Form], others: Sequence[Form]) -> bool:
    left = list(others)
    for item in items:
        place = next((place for place, other in enumerate(left) if _same(item, other)), None)
        if place is None:
            return False
        del left[place]
    return True
