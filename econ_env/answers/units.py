"""Reads what follows a number in an answer: a percent sign, a scale word, a unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMES = {
    "km": "km kms kilometer kilometers kilometre kilometres",
    "m": "m meter meters metre metres",
    "cm": "cm cms centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "mi": "mi mile miles",
    "yd": "yd yds yard yards",
    "ft": "ft foot feet",
    "in": "in inch inches",
    "kg": "kg kgs kilogram kilograms kilo kilos",
    "g": "g gm gram grams",
    "mg": "mg milligram milligrams",
    "lb": "lb lbs",
    "oz": "oz ounce ounces",
    "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "gal": "gal gallon gallons",
    "s": "s sec secs second seconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "yr yrs year years",
    "dollar": "dollar dollars usd buck bucks",
    "cent": "cent cents ¢",
    "euro": "euro euros eur €",
    "rupee": "rupee rupees inr rs",
    "km/h": "km/h kmh kph km/hr",
    "mi/h": "mph mi/h",
    "m/s": "m/s",
    "degree": "° deg",
    "celsius": "°c celsius",
    "fahrenheit": "°f fahrenheit",
    "am": "am a.m",
    "pm": "pm p.m",
}
UNITS = {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
"""Spelling -> name of the units that are compared: 5 km is not 5 m. Other nouns are not compared."""

_SCALES = {
    "dozen": 12,
    "dozens": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_POWER_WORDS = {"square", "sq", "cubic", "cu", "squared", "cubed"}
_PERCENT = re.compile(r"(?i)\s*(?:%|\(%\)|(?:per\s?cent|pct|percentage)(?:age)?(?:\s+points?)?\b\.?)")
_TOKEN = re.compile(r"\(?[A-Za-z°¢€£][A-Za-z°./'-]*(?:\^\{?[23]\}?)?\)?,?")
_PER = re.compile(r"^\s*/\s*(?=[A-Za-z]{2,})")  # 18/hour
_COMMENT = re.compile(r"\s*\(([A-Za-z][A-Za-z '-]*)\)\.?")
_REMARK = re.compile(
    r"(?i)\b(?:or|and|not|no|never|plus|minus|half|wrong|incorrect|hundred|thousand|million|billion|trillion|percent|mod"
    r"|dozens?|maybe|perhaps|possibly|isn't|wasn't|but|pi|squared|cubed)\b"
)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
# with these words, "number + words" is not just the number
_NOT_A_UNIT = {
    "or", "and", "not", "to", "plus", "minus", "times", "over", "than", "if", "but", "maybe", "perhaps", "possibly",
    "versus", "vs", "half", "halves", "third", "thirds", "quarter", "quarters", "is", "are", "was", "isn", "isn't",
    "wrong", "incorrect", "no", "never", "mod", "sin", "cos", "tan", "log", "ln", "exp", "sqrt", "pi", "remainder",
    "choose", "because", "since", "so",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suffix:
    """What followed a number."""

    percent: bool = False
    """Whether a percent sign or word followed."""
    scale: int = 1
    """Factor of a scale word: 1000000 for `million`."""
    unit: str = ""
    """Name of a known unit, without its power; empty for none or an unknown noun."""


def read_suffix(text: str) -> Suffix | None:
    """Read what follows a number.

    Args:
        text: The rest of a cleaned answer, beginning right after the digits.

    Returns:
        The suffix, or `None` if the rest is not a unit; then the answer is not a plain number.
    """
    if not text.strip():
        return Suffix()
    if match := _PERCENT.match(text):
        rest = text[match.end() :]
        return Suffix(percent=True) if _words(rest) is not None else None
    if match := _ORDINAL.match(text):
        text = text[match.end() :]
    text = _PER.sub(" per ", text)
    words = _words(text)
    if words is None or text.startswith("("):
        return Suffix() if _is_comment(text) else None
    if words and words[0] in _SCALES:
        return Suffix(scale=_SCALES[words[0]], unit=_unit(words[1:]))
    attached = bool(text) and not text[0].isspace() and text[0] != "-"
    if words and (attached or all(len(word) < 3 for word in words)) and words[0] not in UNITS:
        return None  # `2x`, `3 ab`: letters that may be variables
    if attached and words and len(words[0]) == 1 and words[0] != "°":
        return None  # `5m` may be 5 times m
    return Suffix(unit=_unit(words))


def read_unit(text: str) -> str | None:
    """The name of the known unit that a whole text is, empty for other nouns; `None` if it is no unit.

    A single letter is one only if it is known: text that stands after a formula may hold variables.
    """
    words = _words(text)
    if not words or words[0] in _SCALES or all(word in _POWER_WORDS for word in words):
        return None
    return None if any(len(word) < 3 and word not in UNITS for word in words) else _unit(words)


def _is_comment(text: str) -> bool:
    """Whether words in brackets say what was counted, as in `7 (times)`; one that denies or offers more does not."""
    comment = _COMMENT.fullmatch(text)
    return comment is not None and not _REMARK.search(comment[1])


def _words(text: str) -> list[str] | None:
    """The words of a unit in lower case; `None` if something else is there."""
    tokens = text.replace("-", " ", 1).split() if text.lstrip().startswith("-") else text.split()
    if len(tokens) > 7 or not all(_TOKEN.fullmatch(token) for token in tokens):
        return None
    words = [re.sub(r"\^\{?[23]\}?", "", token).strip("(),.").lower() for token in tokens]
    counted = words[:-1] if words[-1:] == ["times"] else words  # 7 times
    if any(word in _NOT_A_UNIT for word in counted) or (words and words[0] in ("of", "squared", "cubed")):
        return None

    return words


def _unit(words: list[str]) -> str:
    """The known unit that these words name, if they name just one."""
    names = [word for word in words if word not in _POWER_WORDS]
    if names == ["°", "c"] or names == ["°", "f"]:
        names = ["".join(names)]
    if len(names) == 3 and names[1] == "per":
        names = ["/".join(UNITS.get(name, "?") for name in (names[0], names[2]))]
    if len(names) == 2 and names[0] == "°":
        names = names[1:]
    return UNITS.get(names[0], "") if len(names) == 1 else ""
