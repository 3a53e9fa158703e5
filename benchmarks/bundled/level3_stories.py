"""Level 3 of the bundled problems, first half: stories of several steps in GSM8K style."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

from benchmarks.bundled.words import (
    COLOURS,
    FOODS,
    THINGS,
    Draft,
    Noun,
    latex,
    number_text,
    person,
    proper_fraction,
    two_people,
)

_PARTS = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}


def _market(rng: random.Random) -> Draft:
    who, grown, kept, price, days = (
        person(rng),
        rng.randint(12, 40),
        rng.randint(2, 8),
        rng.randint(2, 6),
        rng.randint(3, 9),
    )
    fruit = rng.choice(("melons", "pumpkins", "pineapples", "cabbages", "bags of beans"))
    text = (
        f"{who} harvests {grown} {fruit} every day. {who.he_start} keeps {kept} of them and sells the others at the "
        f"market for ${price} each. How many dollars does {who.he} earn in {days} days?"
    )
    return Draft(text, number_text((grown - kept) * price * days), f"{days} * ({grown} * {price} - {kept} * {price})")


def _sale(rng: random.Random) -> Draft:
    who, price, percent, count = (
        person(rng),
        20 * rng.randint(1, 9),
        rng.choice((10, 20, 25, 30, 40)),
        rng.randint(2, 5),
    )
    coupon, thing = rng.randint(3, 12), rng.choice(("chairs", "lamps", "jackets", "backpacks", "blankets"))
    text = (
        f"A shop sells {thing} for ${price} each. During a sale every price is cut by {percent}%. {who} buys {count} "
        f"{thing} and also has a coupon that takes ${coupon} off the bill. How many dollars does {who.he} pay?"
    )
    paid = Fraction(price * count * (100 - percent), 100) - coupon
    return Draft(text, number_text(paid), f"{count} * ({price} - {price} * {percent} / 100) - {coupon}")


def _given_away(rng: random.Random) -> Draft:
    (one, other), thing = two_people(rng), rng.choice(THINGS)
    first, second = rng.choice(list(_PARTS)), rng.choice(list(_PARTS))
    total = first * second * rng.randint(2, 9)
    text = (
        f"{one} had {total} {thing}. {one.he_start} gave {_PARTS[first]} of them to {other} and then "
        f"{_PARTS[second]} of what remained to a cousin. How many {thing} did {one} still have?"
    )
    left = Fraction(total) * (1 - Fraction(1, first)) * (1 - Fraction(1, second))
    return Draft(text, number_text(left), f"{total} - {total}/{first} - ({total} - {total}/{first})/{second}")


def _overtime(rng: random.Random) -> Draft:
    who, wage, extra = person(rng), 2 * rng.randint(6, 15), rng.randint(2, 12)
    text = (
        f"{who} earns ${wage} an hour. For every hour beyond 40 hours a week {who.he} is paid one and a half times as "
        f"much. Last week {who.he} worked {40 + extra} hours. How many dollars did {who.he} earn?"
    )
    return Draft(text, number_text(40 * wage + Fraction(3, 2) * wage * extra), f"{wage} * ({40 + extra} + {extra}/2)")


def _trip(rng: random.Random) -> Draft:
    who, slow, fast = person(rng), 5 * rng.randint(6, 12), 5 * rng.randint(13, 20)
    hours = rng.choice(((1, 1), (1, 3), (3, 1), (2, 2), (2, 3), (3, 2), (1, 4)))
    unit = Noun("hour", "hours")
    text = (
        f"{who} drives for {unit.count(hours[0])} at {slow} kilometers per hour and then for {unit.count(hours[1])} at "
        f"{fast} kilometers per hour. "
    )
    distance = slow * hours[0] + fast * hours[1]
    if rng.random() < 0.5:
        answer, equation = Fraction(distance), f"{slow} * {hours[0]} + {fast} * {hours[1]}"
        return Draft(f"{text}How many kilometers does {who.he} drive in all?", number_text(answer), equation)
    answer = Fraction(distance, sum(hours))
    equation = f"({slow} * {hours[0]} + {fast} * {hours[1]}) / ({hours[0]} + {hours[1]})"
    return Draft(f"{text}What is {who.his} average speed in kilometers per hour?", number_text(answer), equation)


def _ages(rng: random.Random) -> Draft:
    (one, other), times, years, young = two_people(rng), rng.randint(2, 5), rng.randint(2, 12), rng.randint(4, 14)
    total = young * (times + 1) + 2 * years
    word = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}[times]
    text = (
        f"{one} is {word} as old as {other}. In {years} years their ages will add up to {total}. "
        f"How old is {other} now?"
    )
    return Draft(
        text, number_text(Fraction(total - 2 * years, times + 1)), f"({times}*x + {years}) + (x + {years}) = {total}"
    )


def _fence(rng: random.Random) -> Draft:
    who, wide, long, gate, price = (
        person(rng),
        rng.randint(8, 25),
        rng.randint(26, 50),
        rng.randint(2, 5),
        rng.randint(3, 14),
    )
    text = (
        f"{who} builds a fence around a rectangular garden that is {long} meters long and {wide} meters wide, leaving "
        f"a gap of {gate} meters for a gate. A meter of fence costs ${price}. How many dollars does the fence cost?"
    )
    cost = Fraction(2 * (wide + long) - gate) * price
    return Draft(text, number_text(cost), f"{price} * ({wide} + {long} + {wide} + {long}) - {price} * {gate}")


def _recipe(rng: random.Random) -> Draft:
    amount, serves, wanted = proper_fraction(rng, 6), rng.randint(2, 6), rng.randint(7, 15)
    food = rng.choice(("milk", "flour", "rice", "sugar"))
    text = (
        f"A recipe for {serves} people takes {amount} of a cup of {food}. How many cups of {food} does it take for "
        f"{wanted} people? Give the exact answer as a whole number or a fraction in lowest terms."
    )
    return Draft(text, latex(amount * wanted / serves), f"{wanted} * ({amount}) / {serves}")


def _ratio(rng: random.Random) -> Draft:
    (red, blue), thing = rng.sample(COLOURS, 2), rng.choice(THINGS)
    a, b = rng.choice(((2, 3), (3, 4), (3, 5), (2, 5), (4, 5), (5, 7), (1, 4)))
    unit = rng.randint(4, 15)
    text = (
        f"The {red} and the {blue} {thing} in a drawer are in the ratio {a} to {b}. There are {unit * (a + b)} of them "
        f"in all. How many more {blue} than {red} {thing} are there?"
    )
    return Draft(text, number_text(Fraction(unit * (b - a))), f"{unit * (a + b)} * ({b} - {a}) / ({a} + {b})")


def _tank(rng: random.Random) -> Draft:
    fill, leak, minutes = rng.randint(12, 30), rng.randint(2, 9), rng.randint(8, 40)
    text = (
        f"Water flows into an empty tank at {fill} liters a minute and leaks out of it at {leak} liters a minute. "
        f"The tank holds {(fill - leak) * minutes} liters. After how many minutes is it full?"
    )
    full = Fraction((fill - leak) * minutes, fill - leak)
    return Draft(text, number_text(full), f"{fill}*x - {leak}*x = {(fill - leak) * minutes}")


def _interest(rng: random.Random) -> Draft:
    who, amount, percent, years = person(rng), 100 * rng.randint(3, 20), rng.randint(2, 6), rng.randint(2, 6)
    text = (
        f"{who} puts ${amount} into an account that pays {percent}% simple interest a year. How many dollars are in "
        f"the account after {years} years?"
    )
    total = amount * (1 + Fraction(percent, 100) * years)
    return Draft(text, number_text(total), f"{amount} + {years} * {amount} * {percent} / 100")


def _mixture(rng: random.Random) -> Draft:
    a, b = rng.choice(((1, 3), (3, 1), (2, 3), (3, 2), (1, 4), (4, 4), (3, 5), (4, 6)))
    p, q = rng.randint(4, 9), rng.randint(10, 18)
    one, other = rng.sample(("almonds", "peanuts", "raisins", "walnuts", "cashews"), 2)
    text = (
        f"A grocer mixes {a} kg of {one} that cost ${p} per kg with {b} kg of {other} that cost ${q} per kg. "
        "How many dollars does one kg of the mixture cost?"
    )
    return Draft(text, number_text(Fraction(a * p + b * q, a + b)), f"({a} * {p} + {b} * {q}) / ({a} + {b})")


def _pupils(rng: random.Random) -> Draft:
    percent, part, unit = rng.choice((20, 40, 60, 80)), rng.choice((2, 3, 4)), rng.randint(1, 5)
    pupils = 5 * part * unit * rng.choice((2, 4))
    thing = rng.choice(("play an instrument", "wear glasses", "walk to school", "have a pet"))
    text = (
        f"Of the {pupils} pupils at a school, {percent}% are girls. Exactly {_PARTS[part]} of the girls {thing}. "
        f"How many girls do not {thing}?"
    )
    others = Fraction(pupils * percent, 100) * (1 - Fraction(1, part))
    return Draft(text, number_text(others), f"{pupils} * {percent} / 100 * ({part} - 1) / {part}")


def _more_each_day(rng: random.Random) -> Draft:
    who, first, more, days = person(rng), rng.randint(5, 30), rng.randint(2, 8), rng.randint(4, 7)
    act, unit = rng.choice((("reads", "pages"), ("does", "push-ups"), ("solves", "puzzles"), ("learns", "words")))
    base = {"reads": "read", "does": "do", "solves": "solve", "learns": "learn"}[act]
    text = (
        f"On the first day {who} {act} {first} {unit}. On every following day {who.he} {act} {more} more {unit} than "
        f"on the day before. How many {unit} does {who.he} {base} in the first {days} days together?"
    )
    total = sum(first + more * day for day in range(days))
    return Draft(text, number_text(Fraction(total)), f"{days} * (2*{first} + {more} * ({days} - 1)) / 2")


def _work_together(rng: random.Random) -> Draft:
    (one, other), task = two_people(rng), rng.choice(("paint a fence", "clean the school kitchen", "weed the garden"))
    a, b = sorted(rng.sample(range(2, 10), 2))
    text = (
        f"{one} alone needs {a} hours to {task}, and {other} alone needs {b} hours. How many hours do they need if "
        "they work together? Give the exact answer as a whole number or a fraction in lowest terms."
    )
    return Draft(text, latex(1 / (Fraction(1, a) + Fraction(1, b))), f"x/{a} + x/{b} = 1")


def _price_of_one(rng: random.Random) -> Draft:
    who, (one, other) = person(rng), rng.sample(FOODS, 2)
    a, b, p, q = rng.randint(2, 6), rng.randint(2, 6), 5 * rng.randint(2, 12), 5 * rng.randint(2, 12)
    paid = 100 * ((a * p + b * q) // 100 + 1)
    text = (
        f"{who} buys {a} {one} at {p} cents each and {b} {other}. {who.he_start} pays with ${paid // 100} and gets "
        f"{paid - a * p - b * q} cents back. How many cents does one {other.one} cost?"
    )
    return Draft(text, number_text(Fraction(q)), f"{a} * {p} + {b}*x + {paid - a * p - b * q} = {paid}")


TEMPLATES: tuple[Callable[[random.Random], Draft], ...] = (
    _market,
    _sale,
    _given_away,
    _overtime,
    _trip,
    _ages,
    _fence,
    _recipe,
    _ratio,
    _tank,
    _interest,
    _mixture,
    _pupils,
    _more_each_day,
    _work_together,
    _price_of_one,
)
"""Each draws one problem; the function's name, without the leading underscore, is the template's name."""
