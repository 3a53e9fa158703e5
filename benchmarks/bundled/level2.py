"""Level 2 of the bundled problems: one or two steps in SVAMP style, with larger or irrelevant numbers."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.bundled.words import COLOURS, FOODS, FRUITS, HOLDERS, THINGS, WEEKDAYS, Draft, person, two_people


def _one_colour(rng: random.Random) -> Draft:
    (one, other), thing = two_people(rng), rng.choice(THINGS)
    red, blue = rng.sample(COLOURS, 2)
    a, b = rng.randint(21, 80), rng.randint(11, 80)
    c = rng.randint(5, a - 5)
    text = (
        f"{one} has {a} {red} {thing} and {b} {blue} {thing}. {one.he_start} gives {c} {red} {thing} to {other}. "
        f"How many {red} {thing} does {one} have left?"
    )
    return Draft(text, str(a - c), f"{a} - {c}")


def _packs(rng: random.Random) -> Draft:
    (one, other), thing = two_people(rng), rng.choice(THINGS)
    a, b = rng.randint(3, 9), rng.randint(6, 24)
    c = rng.randint(4, a * b - 4)
    text = (
        f"{one} buys {a} packs of {thing}. Each pack contains {b} {thing}. {one.he_start} gives {c} {thing} to "
        f"{other}. How many {thing} does {one} keep?"
    )
    return Draft(text, str(a * b - c), f"{a} * {b} - {c}")


def _at_first(rng: random.Random) -> Draft:
    (one, other), thing = two_people(rng), rng.choice(THINGS)
    a, b, c = rng.randint(12, 70), rng.randint(12, 70), rng.randint(2, 40)
    text = (
        f"{other} owns {c} {thing}. After giving {a} {thing} to {other}, {one} still has {b} {thing}. "
        f"How many {thing} did {one} have at first?"
    )
    return Draft(text, str(a + b), f"{a} + {b}")


def _cheaper_tickets(rng: random.Random) -> Draft:
    who, place = person(rng), rng.choice(("museum", "zoo", "theatre", "circus", "aquarium"))
    price, count = rng.randint(12, 45), rng.randint(3, 9)
    less = rng.randint(2, price - 8)
    text = (
        f"A ticket for the {place} usually costs ${price}. Today each ticket is ${less} cheaper. "
        f"{who} buys {count} tickets. How many dollars does {who.he} pay?"
    )
    return Draft(text, str((price - less) * count), f"{count} * {price} - {count} * {less}")


def _bus(rng: random.Random) -> Draft:
    a, on = rng.randint(20, 48), rng.randint(3, 15)
    off = rng.randint(4, a - 4)
    vehicle = rng.choice(("bus", "tram", "ferry"))
    text = (
        f"A {vehicle} carries {a} passengers. At the next stop {off} passengers get off and {on} get on. "
        f"How many passengers are on the {vehicle} then?"
    )
    return Draft(text, str(a - off + on), f"{a} + {on} - {off}")


def _bakery(rng: random.Random) -> Draft:
    one, other = rng.sample(("pies", "rolls", "cakes", "pretzels", "bagels", "doughnuts"), 2)
    a, b = rng.randint(30, 150), rng.randint(30, 150)
    c, d = rng.randint(10, a - 5), rng.randint(10, b - 5)
    text = f"A bakery makes {a} {one} and {b} {other} in the morning. By noon it has sold {c} {one} and {d} {other}. "
    if rng.random() < 0.5:
        return Draft(f"{text}How many {one} are left?", str(a - c), f"{a} - {c}")
    return Draft(f"{text}How many {one} and {other} has it sold in all?", str(c + d), f"{c} + {d}")


def _book(rng: random.Random) -> Draft:
    who, each, days, chapters = person(rng), rng.randint(6, 35), rng.randint(5, 30), rng.randint(4, 20)
    text = (
        f"{who} is reading a book that has {each * days} pages in {chapters} chapters. "
        f"{who.he_start} reads {each} pages every day. How many days does {who.he} need for the whole book?"
    )
    return Draft(text, str(days), f"{each * days} / {each}")


def _school(rng: random.Random) -> Draft:
    girls = rng.randint(150, 700)
    more = rng.randint(11, girls - 60)
    text = f"A school has {girls} girls. There are {more} more girls than boys. "
    if rng.random() < 0.5:
        return Draft(f"{text}How many boys are at the school?", str(girls - more), f"{girls} - {more}")
    return Draft(f"{text}How many pupils are at the school?", str(girls + girls - more), f"2 * {girls} - {more}")


def _seats(rng: random.Random) -> Draft:
    rows, chairs = rng.randint(6, 25), rng.randint(8, 30)
    people = rng.randint(20, rows * chairs - 10)
    place = rng.choice(("hall", "cinema", "lecture room", "tent"))
    text = (
        f"A {place} has {rows} rows of {chairs} chairs. {people} people come in and each of them takes one chair. "
        "How many chairs stay empty?"
    )
    return Draft(text, str(rows * chairs - people), f"{rows} * {chairs} - {people}")


def _keep_and_share(rng: random.Random) -> Draft:
    who, food, each, friends, kept = (
        person(rng),
        rng.choice(FOODS),
        rng.randint(3, 12),
        rng.randint(3, 9),
        rng.randint(3, 15),
    )
    total = each * friends + kept
    text = (
        f"{who} has {total} {food}. {who.he_start} keeps {kept} of them and shares the rest equally among "
        f"{friends} friends. How many {food} does each friend get?"
    )
    return Draft(text, str(each), f"({total} - {kept}) / {friends}")


def _ingredients(rng: random.Random) -> Draft:
    who, (one, other) = person(rng), rng.sample(("flour", "sugar", "butter", "rice", "oats", "cocoa"), 2)
    need, spare = rng.randint(300, 900), rng.randint(100, 800)
    have = rng.randint(60, need - 40)
    text = (
        f"A recipe needs {need} grams of {one}. {who} has {have} grams of {one} and {spare} grams of {other}. "
        f"How many more grams of {one} does {who.he} need?"
    )
    return Draft(text, str(need - have), f"{need} - {have}")


def _savings(rng: random.Random) -> Draft:
    who, weekly, weeks = person(rng), rng.randint(6, 35), rng.randint(4, 14)
    spent = rng.randint(10, weekly * weeks - 5)
    thing = rng.choice(("a game", "a jacket", "a present", "a pair of shoes", "a backpack"))
    text = (
        f"{who} saves ${weekly} every week for {weeks} weeks. Then {who.he} spends ${spent} on {thing}. "
        f"How many dollars does {who.he} have left?"
    )
    return Draft(text, str(weekly * weeks - spent), f"{weekly} * {weeks} - {spent}")


def _two_harvests(rng: random.Random) -> Draft:
    who, food, day = person(rng), rng.choice(FRUITS), rng.randrange(4)
    a = rng.randint(15, 60)
    b, sold = a + rng.randint(5, 60), rng.randint(4, 14)
    text = (
        f"{who} picked {a} {food} on {WEEKDAYS[day]} and {b} {food} on {WEEKDAYS[day + 1]}. "
        f"{who.he_start} sold {sold} of them. "
        f"How many more {food} did {who.he} pick on {WEEKDAYS[day + 1]} than on {WEEKDAYS[day]}?"
    )
    return Draft(text, str(b - a), f"{b} - {a}")


def _farm(rng: random.Random) -> Draft:
    one, other = rng.sample(("cows", "goats", "hens", "horses", "sheep", "pigs"), 2)
    a, b = rng.randint(18, 90), rng.randint(18, 90)
    c, d = rng.randint(3, a - 6), rng.randint(3, 40)
    text = f"A farmer has {a} {one} and {b} {other}. This week the farmer sells {c} {one}"
    if rng.random() < 0.5:
        text += f" and buys {d} {other}. How many {other} does the farmer have now?"
        return Draft(text, str(b + d), f"{b} + {d}")
    text += f". How many {one} and {other} does the farmer have now in all?"
    return Draft(text, str(a - c + b), f"{a} + {b} - {c}")


def _garden(rng: random.Random) -> Draft:
    who, (one, other) = person(rng), rng.sample(("tomato", "pepper", "bean", "cabbage", "pumpkin", "lettuce"), 2)
    a, b, c, d = (rng.randint(4, 18) for _ in range(4))
    text = (
        f"{who} plants {a} rows of {one} plants with {b} plants in each row, and {c} rows of {other} plants with "
        f"{d} plants in each row. How many {one} plants does {who.he} plant?"
    )
    return Draft(text, str(a * b), f"{a} * {b}")


def _boxes(rng: random.Random) -> Draft:
    who, thing, holder = person(rng), rng.choice(THINGS), rng.choice(HOLDERS)
    each, more, full = rng.randint(6, 24), rng.randint(3, 12), rng.randint(2, 9)
    total = each * (more + full)
    text = (
        f"{who} packs {total} {thing} into {holder}, {each} {thing} to a {holder.one}. "
        f"{who.he_start} has already filled {full} {holder}. How many {holder} does {who.he} still have to fill?"
    )
    return Draft(text, str(more), f"{total} / {each} - {full}")


def _tickets(rng: random.Random) -> Draft:
    who, (one, other) = person(rng), rng.sample(("toys", "candy", "rides", "posters", "games"), 2)
    a, b = rng.randint(15, 60), rng.randint(4, 14)
    won = a + b + rng.randint(3, 30)
    text = (
        f"{who} won {won} tickets at the fair. {who.he_start} used {a} tickets for {one} and {b} tickets for {other}. "
    )
    if rng.random() < 0.5:
        return Draft(
            f"{text}How many more tickets did {who.he} use for {one} than for {other}?", str(a - b), f"{a} - {b}"
        )
    return Draft(f"{text}How many tickets does {who.he} have left?", str(won - a - b), f"{won} - ({a} + {b})")


TEMPLATES: tuple[Callable[[random.Random], Draft], ...] = (
    _one_colour,
    _packs,
    _at_first,
    _cheaper_tickets,
    _bus,
    _bakery,
    _book,
    _school,
    _seats,
    _keep_and_share,
    _ingredients,
    _savings,
    _two_harvests,
    _farm,
    _garden,
    _boxes,
    _tickets,
)
"""Each draws one problem; the function's name, without the leading underscore, is the template's name."""
