"""Vocabulary and grammar helpers for the templates of the bundled problems."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from math import gcd


@dataclass(frozen=True)
class Draft:
    """A problem drawn from a template."""

    question: str
    answer: str
    """The gold answer, from exact arithmetic on the drawn numbers."""
    equation: str
    """A second way to compute the answer, for a computer algebra system: a term, or equations joined by `;`."""


@dataclass(frozen=True)
class Person:
    """A person in a story."""

    name: str
    he: str

    @property
    def he_start(self) -> str:
        """The pronoun, capitalised."""
        return self.he.capitalize()

    @property
    def his(self) -> str:
        """The possessive pronoun."""
        return "his" if self.he == "he" else "her"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Noun:
    """A countable noun: singular and plural."""

    one: str
    many: str

    def count(self, number: int, adjective: str = "") -> str:
        """Number and noun, such as `1 red ball` or `3 red balls`."""
        words = [str(number), adjective, self.one if number == 1 else self.many]
        return " ".join(word for word in words if word)

    def __str__(self) -> str:
        return self.many


def _nouns(words: str) -> tuple[Noun, ...]:
    """Nouns from words such as `fox/foxes`, or `cat` if the plural only adds an s."""
    pairs = (word.split("/") for word in words.split())
    return tuple(Noun(pair[0], pair[1] if len(pair) == 2 else f"{pair[0]}s") for pair in pairs)


_SHE = "Ada Amina Anna Clara Elif Emma Grace Ines Julia Lena Leyla Mei Mia Nora Priya Rosa Sara Sofia Yuki Zoe"
_HE = "Adam Amir Ben Carlos Daniel David Felix Hugo Ivan Jonas Karim Leo Luis Max Noah Omar Paul Ravi Sam Tom"
PEOPLE = tuple(Person(name, "she") for name in _SHE.split()) + tuple(Person(name, "he") for name in _HE.split())

THINGS = _nouns("apple ball bead book button card coin key marble pen pencil postcard shell stamp sticker")
FRUITS = _nouns("apple apricot cherry/cherries grape orange peach/peaches pear plum strawberry/strawberries")
FOODS = FRUITS + _nouns("carrot cookie muffin pancake")
HOLDERS = _nouns("bag basket box/boxes crate jar")
COLOURS = ("black", "blue", "brown", "green", "orange", "purple", "red", "white", "yellow")
SCENES = (
    (Noun("bird", "birds"), "in the tree"),
    (Noun("cat", "cats"), "on the wall"),
    (Noun("child", "children"), "in the park"),
    (Noun("cow", "cows"), "in the field"),
    (Noun("duck", "ducks"), "on the pond"),
    (Noun("fish", "fish"), "in the pool"),
    (Noun("frog", "frogs"), "on the log"),
    (Noun("goat", "goats"), "in the barn"),
    (Noun("person", "people"), "in the shop"),
    (Noun("rabbit", "rabbits"), "in the garden"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def person(rng: random.Random) -> Person:
    """A random person."""
    return rng.choice(PEOPLE)


def two_people(rng: random.Random) -> tuple[Person, Person]:
    """Two random people, one `she` and one `he`, so that pronouns are never ambiguous."""
    pair = [rng.choice([p for p in PEOPLE if p.he == he]) for he in ("she", "he")]
    rng.shuffle(pair)
    return pair[0], pair[1]


def number_text(value: Fraction | int) -> str:
    """A number as its shortest decimal, such as `7` or `7.5`.

    Raises:
        ValueError: It has no decimal with at most six places.
    """
    value = Fraction(value)
    for places in range(7):
        scaled = value * 10**places
        if scaled.denominator == 1:
            digits = f"{abs(scaled.numerator):0{places + 1}d}"
            sign = "-" if value < 0 else ""
            return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
    raise ValueError(f"{value} has no short decimal")


def latex(value: Fraction | int) -> str:
    r"""A number in lowest terms as LaTeX, `7` or `-\frac{3}{4}`."""
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def proper_fraction(rng: random.Random, largest: int = 9) -> Fraction:
    """A fraction between 0 and 1 in lowest terms, with a denominator from 2 to `largest`."""
    bottom = rng.randint(2, largest)
    return Fraction(rng.choice([top for top in range(1, bottom) if gcd(top, bottom) == 1]), bottom)


def ordinal(number: int) -> str:
    """A number as an ordinal, such as `21st` or `12th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
