"""Reads a bare answer into one of the kinds of `forms.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from econ_env.answers.clean import clean
from econ_env.answers.dates import read_date
from econ_env.answers.exact import Number, read_number, read_plain
from econ_env.answers.forms import Choice, Collection, Form, Formula, Named, Words
from econ_env.answers.split import comma_parts, encloses, items
from econ_env.answers.units import read_unit

MAX_TEXT = 2_000
"""Most characters of an answer; longer answers are compared as text."""

_MAX_DEPTH = 6

_CHOICE = re.compile(r"(?i:(?:option|choice|answer)\s+)?(?:\(([A-Ja-j])\)|([A-J]))[.):]?")
_CHOICE_WITH_TEXT = re.compile(r"(?:\(([A-J])\)|([A-J])[).:])\s*(?P<content>[^\s=+*/^<>-].*)")
_NAMED = re.compile(
    r"(\([A-Za-z](?:, ?[A-Za-z])+\)|\\?[A-Za-z]+(?: [A-Za-z]+){0,4}(?:_\{?\w+\}?)?(?:\([^()=]*\))?)"
    r"\s*(?:=|\\in(?![a-z]))\s*(.+)"
)
_CLOCK = re.compile(r"(?i)0?(\d|1\d|2[0-4])\s*:\s*([0-5]\d)(?:\s*:\s*([0-5]\d))?\s*([ap])?\.?\s?(?:m\.?)?(?:o'clock)?")
_RATIO_PART = re.compile(r"\s*\d[\d, ]*(?:\.\d+)?\s*")
_MATRIX = re.compile(r"\\begin\{([pbBvV]?matrix|array)\}(?:\{[lcr|]*\})?(.*?)\\end\{\1\}", re.DOTALL)
_COMPARISON = re.compile(r"\\[lg]e(?![a-zA-Z])|[<>]")
_LESS = {"<": "()", r"\le": "[]"}  # brackets of a bound on the left and on the right of the variable
_MORE = {">": "<", r"\ge": r"\le"}
_VARIABLE = re.compile(r"\\?[A-Za-z]+")
_DOMAIN = re.compile(r",?\s*\\?[A-Za-z]+\s*\\in\s*\\mathbb\s*\{?R\}?\s*,?")
_TYPESET_UNIT = re.compile(
    r"(?P<head>.*\S)\s*\\(?:text|textrm|mathrm|mbox|operatorname)\s*\{[\s~]*(?P<unit>[A-Za-z][A-Za-z. /]*)\}"
    r"\s*(?:\^\s*\{?\s*[23]\s*\}?)?[\s.$]*|\s*\$(?P<math>[^$]+)\$\s*(?P<outside>[A-Za-z][A-Za-z. /]*)",
    re.DOTALL,
)
_SET_BUILDER = re.compile(
    r"(?:\\\{)?\s*(?P<name>\\?[A-Za-z]+)\s*(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?(?:\||\\mid(?![a-z])|\\vert(?![a-z])|:)"
    r"\s*(?P<condition>[^|]+?)\s*(?:\\\})?"
)
_LETTERS = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
_INDEX = re.compile(r"[_^]\s*\{[^{}]*\}")  # words in an index or exponent are names: \lambda_{red}
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]+\*?\}")
_FUNCTION = re.compile(r"(?<![\\A-Za-z])(sin|cos|tan|cot|sec|csc|log|ln|exp|arcsin|arccos|arctan)(?![A-Za-z])")
_SHORT_WORDS = {
    "no", "up", "in", "on", "us", "me", "he", "it", "we", "so", "am", "pm", "if", "go", "is", "of", "to", "at", "by",
    "an", "as", "be", "or",
}  # fmt: skip
_BASE = re.compile(r"(?i)([\dA-F]+)\s*(?:_\s*\{?\s*|(?:in )?base\s+)(\w+)\s*\}?")
_OUTWARD = re.compile(r"\][^\[\]]*[,;][^\[\]]*[\[\])]|[\[(][^\[\]]*[,;][^\[\]]*\[")
_REALS = {"all real numbers", "all reals", "real numbers", "set of real numbers", "set of all real numbers"}
_INFINITE = {r"\infty": Formula(r"\infty"), r"+\infty": Formula(r"\infty"), r"-\infty": Formula(r"-\infty")}


@lru_cache(maxsize=4096)
def read_form(text: str) -> Form:
    """Read a bare answer.

    Args:
        text: The answer as written.

    Returns:
        Its form. An answer that is not understood becomes `Words`, which are compared as text.
    """
    if len(text) > MAX_TEXT:
        return Words(_plain_words(text))
    if number := read_plain(text):
        return number  # most golds, at once
    form = _read(clean(text), _MAX_DEPTH)
    if (
        ("{" in text or "$" in text)
        and isinstance(form, Formula | Words)
        and (typeset := _TYPESET_UNIT.fullmatch(text))
    ):
        head = _read(clean(typeset["head"] or typeset["math"]), _MAX_DEPTH)
        unit = read_unit(typeset["unit"] or typeset["outside"])
        if unit is not None and isinstance(head, Formula):
            return replace(head, unit=unit)
    return form


def read_list(text: str) -> Form:
    """Read a bare answer with every comma as a separator of items: `3,125` is 3 and 125, but `1,000` stays 1000."""
    parts = [part.strip() for part in clean(text).split(",")]
    if any(re.match(r"0\d", part) for part in parts):
        return read_form(text)
    return Collection("list", tuple(_read(part, _MAX_DEPTH) for part in parts))


def _read(text: str, depth: int) -> Form:
    if number := read_number(text):
        return number
    if depth == 0:
        return Words(_plain_words(text))
    for reader in (
        _date,
        _clock,
        _ratio,
        _base,
        _choice,
        _matrix,
        _outward,
        _list,
        _set_builder,
        _inequality,
        _brackets,
        _plus_minus,
        _approximate,
        _named,
        _equation,
        _with_unit,
    ):
        form = reader(text, depth - 1)
        if form is not None:
            return form
    if _is_formula(text):
        return _formula(text)
    words = _plain_words(text)
    return Formula(r"\mathbb{R}") if words in _REALS else Words(words)


def _date(text: str, depth: int) -> Form | None:
    date = read_date(text)
    return Collection("date", tuple(Number(Fraction(part)) for part in date)) if date else None


def _clock(text: str, depth: int) -> Form | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    items = tuple(number for part in match.groups()[:3] if part and (number := read_number(part)))
    return Collection("time", items, unit=f"{match[4].lower()}m" if match[4] else "")


def _ratio(text: str, depth: int) -> Form | None:
    parts = text.split(":")
    if not 2 <= len(parts) <= 3 or not all(map(_RATIO_PART.fullmatch, parts)):
        return None
    items = tuple(number for part in parts if (number := read_number(part.strip())))
    return Collection("ratio", items) if len(items) == len(parts) else None


def _base(text: str, depth: int) -> Form | None:
    """A number in another base. Its digits are not its value, so it is compared as it is written."""
    match = _BASE.fullmatch(text)
    base = read_number(match[2]) if match and match[1][0].isdigit() else None
    return Collection("base", (Words(match[1].upper()), base)) if match and base else None


def _choice(text: str, depth: int) -> Form | None:
    if match := _CHOICE.fullmatch(text):
        return Choice((match[1] or match[2]).upper())
    if match := _CHOICE_WITH_TEXT.fullmatch(text):
        if _CHOICE.fullmatch(match["content"]) or _CHOICE_WITH_TEXT.match(match["content"]):
            return None  # `(A) (B) (C)` chooses nothing
        return Choice(match[1] or match[2], _read(match["content"], depth))
    return None


def _matrix(text: str, depth: int) -> Form | None:
    match = _MATRIX.fullmatch(text)
    if match is None or "vmatrix" in match[1].lower():  # a vmatrix is a determinant
        return None
    rows = [row.split("&") for row in re.split(r"\\\\", match[2].strip()) if row.strip()]
    return Collection(
        "matrix", tuple(Collection("row", tuple(_read(cell.strip(), depth) for cell in row)) for row in rows)
    )


def _list(text: str, depth: int) -> Form | None:
    parts = [part for part in items(text) if part]
    if len(parts) < 2:
        return _read(parts[0], depth) if parts and parts[0] != text else None
    return Collection("list", _flat(_read(part, depth) for part in parts))


def _flat(items: Iterable[Form]) -> tuple[Form, ...]:
    r"""The items of a list or set; `1\pm 2` in it are two of them."""
    parts = ((item.items if isinstance(item, Collection) and item.kind == "list" else (item,)) for item in items)
    return tuple(part for several in parts for part in several)


def _set_builder(text: str, depth: int) -> Form | None:
    r"""The interval of `\{x \mid 1 < x \le 2\}`; only for a condition on the variable itself."""
    match = _SET_BUILDER.fullmatch(text)
    if match is None:
        return None
    condition = _read(_DOMAIN.sub("", match["condition"]).strip(" ,"), depth)
    parts = condition.items if isinstance(condition, Collection) and condition.kind == "list" else (condition,)
    intervals = tuple(part.value for part in parts if isinstance(part, Named) and part.name == match["name"])
    if len(intervals) != len(parts):
        return None
    return intervals[0] if len(intervals) == 1 else Collection("list", intervals)


def _outward(text: str, depth: int) -> Form | None:
    """An interval whose open ends have their brackets turned outward: `]1, 2[` is (1, 2)."""
    if not _OUTWARD.fullmatch(text):
        return None
    return _brackets(text[0].replace("]", "(") + text[1:-1] + text[-1].replace("[", ")"), depth)


def _brackets(text: str, depth: int) -> Form | None:
    opening, closing = (text[:2], text[-2:]) if text.startswith("\\{") else (text[:1], text[-1:])
    if opening not in ("(", "[", "\\{") or closing not in (")", "]", "\\}") or not encloses(text):
        return None
    inner = text[len(opening) : -len(closing)].strip()
    if opening == "\\{" and not inner:
        return Formula(r"\emptyset")
    parts = comma_parts(inner)
    if len(parts) == 1 and not (opening == "\\{" and r"\pm" in inner):
        return _read(inner, depth) if inner else None
    items = tuple(_infinity_or(part, depth) for part in parts)
    items = _flat(items) if opening == "\\{" else items
    kind = "{}" if opening == "\\{" else opening + closing
    if kind == "[]" and len(items) != 2:
        kind = "list"  # not an interval
    return _interval(kind, items)


def _inequality(text: str, depth: int) -> Form | None:
    r"""An inequality for one variable as its interval: `1 < x \le 2` is x in (1, 2]."""
    signs = _COMPARISON.findall(text)
    sides = [side.strip() for side in _COMPARISON.split(text)]
    if signs and all(sign in _MORE for sign in signs):
        signs, sides = [_MORE[sign] for sign in reversed(signs)], sides[::-1]
    if not signs or not all(sign in _LESS for sign in signs):
        return None
    match [_VARIABLE.fullmatch(side) is not None and side not in _INFINITE for side in sides]:
        case [True, False]:
            name, low, high, kind = sides[0], r"-\infty", sides[1], "(" + _LESS[signs[0]][1]
        case [False, True]:
            name, low, high, kind = sides[1], sides[0], r"\infty", _LESS[signs[0]][0] + ")"
        case [False, True, False]:
            name, low, high, kind = sides[1], sides[0], sides[2], _LESS[signs[0]][0] + _LESS[signs[1]][1]
        case _:
            return None
    return Named(name, _interval(kind, (_infinity_or(low, depth), _infinity_or(high, depth))), text)


def _interval(kind: str, items: tuple[Form, ...]) -> Form:
    if items == (_INFINITE[r"-\infty"], _INFINITE[r"\infty"]):
        return Formula(r"\mathbb{R}")
    return Collection(kind, items)


def _infinity_or(text: str, depth: int) -> Form:
    return _INFINITE.get(text.replace(" ", "")) or _read(text, depth)


def _plus_minus(text: str, depth: int) -> Form | None:
    if text.count(r"\pm") != 1:
        return None
    return Collection("list", tuple(_read(text.replace(r"\pm", sign).lstrip("+ "), depth) for sign in "+-"))


def _approximate(text: str, depth: int) -> Form | None:
    r"""The exact side of `\frac{1}{3} \approx 0.33`; if that is a variable, the other side."""
    exact, sign, rounded = (side.strip() for side in text.partition(r"\approx"))
    if not sign or not exact:
        return None
    return Named(exact, _read(rounded, depth), text) if _VARIABLE.fullmatch(exact) else _read(exact, depth)


def _named(text: str, depth: int) -> Form | None:
    match = _NAMED.fullmatch(text)
    if match is None or match[1].startswith("not "):
        return None
    value = match[2].rpartition("=")[2].strip()
    return Named(match[1].replace(" ", ""), _read(value, depth), text) if value else None


def _equation(text: str, depth: int) -> Form | None:
    """A chain of equal numbers, `3 * 4 = 12`, is its last side."""
    before, equals, last = text.rpartition("=")
    if not equals or not last.strip() or re.search(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+", "", before)):
        return None
    return _read(last.strip(), depth)


def _with_unit(text: str, depth: int) -> Form | None:
    r"""A formula with words after it that are a unit: `12\pi square inches`."""
    for place in (match.start() for match in re.finditer(r" (?=[A-Za-z])", text)):
        head = text[:place]
        if not re.search(r"[\d\\]", head) or not _is_formula(head):
            continue
        unit = read_unit(text[place:])
        if unit is not None and len(text) - place > 2:  # one letter may be a variable
            return replace(_formula(head), unit=unit)
    return None


def _formula(text: str) -> Formula:
    return Formula(_FUNCTION.sub(r"\\\1 ", text))


def _is_formula(text: str) -> bool:
    runs = _LETTERS.findall(_INDEX.sub("", _ENVIRONMENT.sub("", text)))
    prose = [run for run in runs if (len(run) > 2 or run.lower() in _SHORT_WORDS) and not _FUNCTION.fullmatch(run)]
    if prose:
        return False
    return re.search(r"[\\^_+<>|=/!]", text) is not None or not re.fullmatch(r"[\W\d_]*", text)


def _plain_words(text: str) -> str:
    text = " ".join(text.casefold().replace("\\", " ").split())
    return re.sub(r"^(?:the|an|a) (?=\w)", "", text).strip(" .,;:!?\"'$")
