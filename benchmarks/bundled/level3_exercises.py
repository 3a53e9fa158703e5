r"""Level 3 of the bundled problems, second half: exercises in MATH style, some with answers in LaTeX."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from math import gcd, isqrt, lcm

from benchmarks.bundled.words import COLOURS, Draft, latex, number_text, ordinal, proper_fraction

_TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29), (9, 40, 41))


def _signed(number: int) -> str:
    return f"+ {number}" if number >= 0 else f"- {-number}"


def _linear(rng: random.Random) -> Draft:
    a, b, c, d = rng.randint(5, 12), rng.randint(-9, 9) or 4, rng.randint(1, 4), rng.randint(10, 30)
    text = (
        f"Solve ${a}x {_signed(b)} = {c}x + {d}$ for $x$." if c > 1 else f"Solve ${a}x {_signed(b)} = x + {d}$ for $x$."
    )
    return Draft(text, latex(Fraction(d - b, a - c)), f"{a}*x + {b} = {c}*x + {d}")


def _fraction_sum(rng: random.Random) -> Draft:
    a, b = proper_fraction(rng), proper_fraction(rng)
    sign = "-" if a > b and rng.random() < 0.5 else "+"
    text = f"Compute ${latex(a)} {sign} {latex(b)}$. Write the result as a fraction in lowest terms or a whole number."
    return Draft(text, latex(a + b if sign == "+" else a - b), f"{a} {sign} {b}")


def _fraction_product(rng: random.Random) -> Draft:
    a, b = proper_fraction(rng), proper_fraction(rng)
    ask = "Write the result as a fraction in lowest terms or a whole number."
    if rng.random() < 0.5:
        return Draft(f"Compute ${latex(a)} \\cdot {latex(b)}$. {ask}", latex(a * b), f"({a}) * ({b})")
    return Draft(f"Compute ${latex(a)} \\div {latex(b)}$. {ask}", latex(a / b), f"({a}) / ({b})")


def _triangle(rng: random.Random) -> Draft:
    base, height = rng.randint(5, 30), rng.randint(5, 30)
    text = (
        f"A triangle has a base of {base} centimeters and a height of {height} centimeters. "
        "What is its area in square centimeters?"
    )
    return Draft(text, number_text(Fraction(base * height, 2)), f"{base} * {height} / 2")


def _circle(rng: random.Random) -> Draft:
    radius = rng.randint(3, 15)
    if rng.random() < 0.5:
        text = f"What is the area of a circle with radius ${radius}$? Express your answer in terms of $\\pi$."
        return Draft(text, f"{radius * radius}\\pi", f"pi * {radius}**2")
    text = (
        f"What is the circumference of a circle with diameter ${2 * radius}$? Express your answer in terms of $\\pi$."
    )
    return Draft(text, f"{2 * radius}\\pi", f"2 * pi * {radius}")


def _radical(rng: random.Random) -> Draft:
    outside, inside = rng.randint(2, 9), rng.choice((2, 3, 5, 6, 7))
    text = f"Simplify $\\sqrt{{{outside**2 * inside}}}$."
    return Draft(text, f"{outside}\\sqrt{{{inside}}}", f"sqrt({outside**2 * inside})")


def _percent(rng: random.Random) -> Draft:
    percent, whole = 5 * rng.randint(1, 19), 20 * rng.randint(3, 30)
    part = Fraction(percent * whole, 100)
    if rng.random() < 0.5:
        return Draft(f"What is ${percent}\\%$ of ${whole}$?", number_text(part), f"{percent} / 100 * {whole}")
    return Draft(f"${part}$ is ${percent}\\%$ of what number?", str(whole), f"{percent} / 100 * x = {part}")


def _percent_change(rng: random.Random) -> Draft:
    up, before = rng.choice((10, 20, 25, 40, 50)), 20 * rng.randint(2, 15)
    after = Fraction(before * (100 + up), 100)
    text = f"After a rise of {up}% a ticket costs ${after}. How many dollars did it cost before?"
    return Draft(text, str(before), f"{after} / (1 + {up}/100)")


def _mean(rng: random.Random) -> Draft:
    values = [rng.randint(4, 40) for _ in range(4)]
    hidden = rng.randint(4, 40)
    hidden += -(sum(values) + hidden) % 5
    mean = Fraction(sum(values) + hidden, 5)
    listed = ", ".join(f"${value}$" for value in values)
    text = f"The mean of five numbers is ${mean}$. Four of them are {listed}. What is the fifth number?"
    return Draft(text, str(hidden), f"({' + '.join(map(str, values))} + x) / 5 = {mean}")


def _probability(rng: random.Random) -> Draft:
    counts, colours = [rng.randint(2, 9) for _ in range(3)], rng.sample(COLOURS, 3)
    listed = f"{counts[0]} {colours[0]}, {counts[1]} {colours[1]} and {counts[2]} {colours[2]} marbles"
    asked = rng.randrange(3)
    text = (
        f"A bag contains {listed}. One marble is drawn at random. What is the probability that it is not "
        f"{colours[asked]}? Express your answer as a common fraction in lowest terms."
    )
    total = sum(counts)
    return Draft(text, latex(1 - Fraction(counts[asked], total)), f"({total} - {counts[asked]}) / {total}")


def _divisor(rng: random.Random) -> Draft:
    unit = rng.randint(2, 12)
    a, b = (unit * number for number in rng.sample(range(2, 13), 2))
    if rng.random() < 0.5:
        return Draft(f"What is the greatest common divisor of ${a}$ and ${b}$?", str(gcd(a, b)), f"gcd({a}, {b})")
    return Draft(f"What is the least common multiple of ${a}$ and ${b}$?", str(lcm(a, b)), f"lcm({a}, {b})")


def _remainder(rng: random.Random) -> Draft:
    number, divisor = rng.randint(100, 999), rng.randint(6, 19)
    text = f"What is the remainder when ${number}$ is divided by ${divisor}$?"
    return Draft(text, str(number % divisor), f"{number} - {divisor} * floor({number} / {divisor})")


def _sequence(rng: random.Random) -> Draft:
    first, step, place = rng.randint(1, 20), rng.randint(3, 12), rng.randint(12, 40)
    shown = ", ".join(str(first + step * position) for position in range(4))
    text = f"The arithmetic sequence ${shown}, \\ldots$ continues in the same way. What is its {ordinal(place)} term?"
    term = first
    for _ in range(place - 1):
        term += step
    return Draft(text, str(term), f"{first} + {step} * ({place} - 1)")


def _two_numbers(rng: random.Random) -> Draft:
    small, more = rng.randint(3, 40), rng.randint(2, 30)
    text = (
        f"The sum of two numbers is ${2 * small + more}$ and their difference is ${more}$. "
        "What is the smaller of the two numbers?"
    )
    return Draft(text, str(small), f"x + y = {2 * small + more}; y - x = {more}")


def _powers(rng: random.Random) -> Draft:
    base, low, more = rng.choice((2, 3, 5)), rng.randint(4, 12), rng.randint(2, 4)
    text = f"What is the value of $\\frac{{{base}^{{{low + more}}}}}{{{base}^{{{low}}}}}$?"
    return Draft(text, str(base**more), f"{base}**{low + more} / {base}**{low}")


def _function(rng: random.Random) -> Draft:
    a, b, c, at = rng.randint(2, 6), rng.randint(-9, 9) or 3, rng.randint(-9, 9) or -5, rng.randint(-4, 6) or 2
    text = f"Let $f(x) = {a}x^2 {_signed(b)}x {_signed(c)}$. What is $f({at})$?".replace(" 1x", " x")
    return Draft(text, str(a * at * at + b * at + c), f"(({a}) * ({at}) + ({b})) * ({at}) + ({c})")


def _right_triangle(rng: random.Random) -> Draft:
    factor, triple = rng.randint(1, 4), rng.choice(_TRIPLES)
    a, b, c = (factor * side for side in triple)
    if rng.random() < 0.5:
        text = f"The legs of a right triangle are ${a}$ and ${b}$ long. How long is the hypotenuse?"
        return Draft(text, str(isqrt(a * a + b * b)), f"sqrt({a}**2 + {b}**2)")
    text = f"A right triangle has a hypotenuse of length ${c}$ and a leg of length ${a}$. How long is the other leg?"
    return Draft(text, str(isqrt(c * c - a * a)), f"sqrt(({c} - {a}) * ({c} + {a}))")


def _slope(rng: random.Random) -> Draft:
    x, y, right, up = (
        rng.randint(-5, 5),
        rng.randint(-5, 5),
        rng.randint(2, 9),
        rng.choice((-7, -5, -3, -2, 2, 3, 5, 7)),
    )
    text = f"What is the slope of the line through the points $({x}, {y})$ and $({x + right}, {y + up})$?"
    return Draft(text, latex(Fraction(up, right)), f"(({y + up}) - ({y})) / (({x + right}) - ({x}))")


def _cuboid(rng: random.Random) -> Draft:
    a, b, c = (rng.randint(2, 12) for _ in range(3))
    text = f"A box measures {a} cm by {b} cm by {c} cm. "
    if rng.random() < 0.5:
        return Draft(f"{text}What is its volume in cubic centimeters?", str(a * b * c), f"{a} * {b} * {c}")
    area = 2 * (a * b + b * c + a * c)
    return Draft(f"{text}What is its surface area in square centimeters?", str(area), f"2*{a}*({b} + {c}) + 2*{b}*{c}")


def _angles(rng: random.Random) -> Draft:
    parts = rng.choice(
        ((1, 2, 3), (1, 1, 2), (2, 3, 4), (1, 3, 5), (2, 3, 5), (3, 4, 5), (1, 4, 5), (2, 5, 5), (1, 1, 4))
    )
    text = (
        f"The angles of a triangle are in the ratio ${parts[0]} : {parts[1]} : {parts[2]}$. "
        "How many degrees does the largest angle measure?"
    )
    return Draft(text, str(Fraction(180 * parts[2], sum(parts))), f"180 * {parts[2]} / ({' + '.join(map(str, parts))})")


TEMPLATES: tuple[Callable[[random.Random], Draft], ...] = (
    _linear,
    _fraction_sum,
    _fraction_product,
    _triangle,
    _circle,
    _radical,
    _percent,
    _percent_change,
    _mean,
    _probability,
    _divisor,
    _remainder,
    _sequence,
    _two_numbers,
    _powers,
    _function,
    _right_triangle,
    _slope,
    _cuboid,
    _angles,
)
"""Each draws one problem; the function's name, without the leading underscore, is the template's name."""
