"""Level 1 of the bundled problems: one step, short sentences, every number and every answer below 10."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.bundled.words import COLOURS, FOODS, HOLDERS, SCENES, THINGS, WEEKDAYS, Draft, Noun, person, two_people

_WARES = ("ball", "book", "cake", "cap", "cup", "egg", "onion", "orange", "pen", "ruler", "spoon", "umbrella")
_PRODUCTS = tuple((a, b) for a in range(2, 5) for b in range(2, 5) if a * b < 10)


def _terms(rng: random.Random) -> tuple[int, int]:
    total = rng.randint(3, 9)
    first = rng.randint(1, total - 1)
    return first, total - first


def _larger_first(rng: random.Random) -> tuple[int, int]:
    larger = rng.randint(3, 9)
    return larger, rng.randint(1, larger - 1)


def _sum(question: str, a: int, b: int) -> Draft:
    return Draft(question, str(a + b), f"{a} + {b}")


def _difference(question: str, a: int, b: int) -> Draft:
    return Draft(question, str(a - b), f"{a} - {b}")


def _gain(rng: random.Random) -> Draft:
    (a, b), who, thing, verb = _terms(rng), person(rng), rng.choice(THINGS), rng.choice(("finds", "buys", "gets"))
    more = f"{b} more {thing.one if b == 1 else thing}"
    text = f"{who} has {thing.count(a)}. {who.he_start} {verb} {more}. How many {thing} does {who} have now?"
    return _sum(text, a, b)


def _lose(rng: random.Random) -> Draft:
    (a, b), who, thing = _larger_first(rng), person(rng), rng.choice(THINGS)
    verb = rng.choice(("gives away", "loses", "sells"))
    text = f"{who} has {thing.count(a)}. {who.he_start} {verb} {thing.count(b)}. How many {thing} does {who} have left?"
    return _difference(text, a, b)


def _eat(rng: random.Random) -> Draft:
    (a, b), who, food = _larger_first(rng), person(rng), rng.choice(FOODS)
    text = f"{who} has {food.count(a)}. {who.he_start} eats {food.count(b)}. How many {food} does {who} have left?"
    return _difference(text, a, b)


def _together(rng: random.Random) -> Draft:
    (a, b), (one, other), thing = _terms(rng), two_people(rng), rng.choice(THINGS)
    text = f"{one} has {thing.count(a)} and {other} has {thing.count(b)}. How many {thing} do they have in all?"
    return _sum(text, a, b)


def _colours(rng: random.Random) -> Draft:
    (a, b), thing, holder = _terms(rng), rng.choice((Noun("ball", "balls"), *THINGS[2:8])), rng.choice(HOLDERS)
    one, other = rng.sample(COLOURS, 2)
    text = (
        f"A {holder.one} holds {thing.count(a, one)} and {thing.count(b, other)}. "
        f"How many {thing} are in the {holder.one}?"
    )
    return _sum(text, a, b)


def _arrive(rng: random.Random) -> Draft:
    (a, b), (who, where) = _terms(rng), rng.choice(SCENES)
    start = f"There {'is' if a == 1 else 'are'} {who.count(a)} {where}."
    come = f"{b} more {who.one} comes." if b == 1 else f"{b} more {who} come."
    return _sum(f"{start} {come} How many {who} are {where} now?", a, b)


def _leave(rng: random.Random) -> Draft:
    (a, b), (who, where) = _larger_first(rng), rng.choice(SCENES)
    go = f"{who.count(b)} {'leaves' if b == 1 else 'leave'}."
    return _difference(f"There are {who.count(a)} {where}. {go} How many {who} are left {where}?", a, b)


def _groups(rng: random.Random) -> Draft:
    (a, b), who, thing, holder = rng.choice(_PRODUCTS), person(rng), rng.choice(THINGS), rng.choice(HOLDERS)
    text = (
        f"{who} has {holder.count(a)}. There are {thing.count(b)} in each {holder.one}. "
        f"How many {thing} does {who} have in all?"
    )
    return Draft(text, str(a * b), f"{a} * {b}")


def _share(rng: random.Random) -> Draft:
    (a, b), who, food = rng.choice(_PRODUCTS), person(rng), rng.choice(FOODS)
    text = f"{who} shares {food.count(a * b)} equally among {a} friends. How many {food} does each friend get?"
    return Draft(text, str(b), f"{a * b} / {a}")


def _compare(rng: random.Random) -> Draft:
    (a, b), (one, other), thing = _larger_first(rng), two_people(rng), rng.choice(THINGS)
    text = (
        f"{one} has {thing.count(a)}. {other} has {thing.count(b)}. How many more {thing} does {one} have than {other}?"
    )
    return _difference(text, a, b)


def _twice(rng: random.Random) -> Draft:
    a, (one, other), thing = rng.randint(2, 4), two_people(rng), rng.choice(THINGS)
    text = f"{one} has {thing.count(a)}. {other} has twice as many. How many {thing} does {other} have?"
    return Draft(text, str(2 * a), f"2 * {a}")


def _take_out(rng: random.Random) -> Draft:
    (a, b), who, thing, holder = _larger_first(rng), person(rng), rng.choice(THINGS), rng.choice(HOLDERS)
    text = (
        f"There are {thing.count(a)} in a {holder.one}. {who} takes {thing.count(b)} out of the {holder.one}. "
        f"How many {thing} are left in the {holder.one}?"
    )
    return _difference(text, a, b)


def _cost(rng: random.Random) -> Draft:
    (a, b), wares = _terms(rng), rng.sample(_WARES, 2)
    one, other = (f"{'An' if ware[0] in 'aeiou' else 'A'} {ware}" for ware in wares)
    return _sum(f"{one} costs ${a}. {other} costs ${b}. How many dollars do they cost together?", a, b)


def _age(rng: random.Random) -> Draft:
    (a, b), (one, other) = _terms(rng), two_people(rng)
    years = Noun("year", "years")
    text = f"{one} is {years.count(a)} old. {other} is {years.count(b)} older than {one}. How old is {other}?"
    return _sum(text, a, b)


def _two_days(rng: random.Random) -> Draft:
    (a, b), who, day = _terms(rng), person(rng), rng.randrange(4)
    verb, unit = rng.choice(
        (("reads", Noun("page", "pages")), ("walks", Noun("mile", "miles")), ("bakes", Noun("cake", "cakes")))
    )
    base = verb.removesuffix("s")
    text = (
        f"{who} {verb} {unit.count(a)} on {WEEKDAYS[day]} and {unit.count(b)} on {WEEKDAYS[day + 1]}. "
        f"How many {unit} does {who} {base} in all?"
    )
    return _sum(text, a, b)


def _bare_sum(rng: random.Random) -> Draft:
    a, b = _terms(rng)
    return _sum(rng.choice((f"What is {a} + {b}?", f"What is {a} plus {b}?", f"Add {a} and {b}.")), a, b)


def _bare_difference(rng: random.Random) -> Draft:
    a, b = _larger_first(rng)
    return _difference(rng.choice((f"What is {a} - {b}?", f"What is {a} minus {b}?")), a, b)


def _bare_product(rng: random.Random) -> Draft:
    a, b = rng.choice(_PRODUCTS)
    return Draft(rng.choice((f"What is {a} times {b}?", f"Multiply {a} by {b}.")), str(a * b), f"{a} * {b}")


TEMPLATES: tuple[Callable[[random.Random], Draft], ...] = (
    _gain,
    _lose,
    _eat,
    _together,
    _colours,
    _arrive,
    _leave,
    _groups,
    _share,
    _compare,
    _twice,
    _take_out,
    _cost,
    _age,
    _two_days,
    _bare_sum,
    _bare_difference,
    _bare_product,
)
"""Each draws one problem; the function's name, without the leading underscore, is the template's name."""
