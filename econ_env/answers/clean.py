"""Rewrites an answer in one plain spelling: ASCII digits and signs, LaTeX without typesetting, no markdown."""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = {ch: f"^{{{n}}}" for n, ch in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_SUBSCRIPTS = {ch: f"_{{{n}}}" for n, ch in enumerate("₀₁₂₃₄₅₆₇₈₉")}
_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
    "⅙": "1/6", "⅚": "5/6", "⅐": "1/7", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅑": "1/9", "⅒": "1/10",
}  # fmt: skip
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ",
    "∗": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/", "√": r"\sqrt ", "π": r"\pi ", "∞": r"\infty ",
    "±": r"\pm ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ",
    "≈": r"\approx ", "∶": ":", "ℝ": r"\mathbb{R}", "“": '"', "”": '"', "„": '"', "’": "'", "‘": "'", "′": "'",
    "º": "°",
    "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "", "\u00ad": "",
}  # fmt: skip
_CHARACTERS = str.maketrans(
    {**_SUPERSCRIPTS, **_SUBSCRIPTS, **{ch: f" {part}" for ch, part in _VULGAR.items()}, **_SYMBOLS}
)

_WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|hbox|operatorname|emph|boldsymbol|textsuperscript)\s*\{([^{}]*)\}"
)
_UNIT_FRACTION = re.compile(
    r"\\[dt]?frac\s*\{\s*\\(?:text|mathrm)\s*\{([^{}]*)\}\s*\}\s*\{\s*\\(?:text|mathrm)\s*\{([^{}]*)\}\s*\}"
)
_LATEX_RULES = [
    (re.compile(r"\\\\\[[^\]\n]{0,12}\]"), r"\\\\"),  # row spacing, `\\[4pt]`
    (re.compile(r"(?<!\\)\\[()\[\]]"), " "),  # math delimiters
    (re.compile(r"\\(?:left|right|[bB]igg?[lrm]?)(?![a-zA-Z])\.?"), ""),
    (re.compile(r"\\(?:displaystyle|textstyle|limits|nolimits|boldmath)(?![a-zA-Z])"), ""),
    (re.compile(r"(?<=\d)(?:\{,\}|,?\\!|\\[,;: ]|~)\s*(?=\d{3}(?!\d))"), ","),  # typeset thousands
    (re.compile(r"(?<!\\)\\!|\\(?:[hv]?phantom|hspace\*?|vspace)\{[^{}]*\}"), ""),
    (re.compile(r"(?<!\\)(?:\\(?:[,;: ]|(?:q?quad|thinspace|enspace)(?![a-zA-Z]))|~)"), " "),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\([%#])"), r"\1"),
    (re.compile(r"\^\s*\{?\s*\\(?:circ|degrees?)(?![a-zA-Z])\s*\}?|\\degrees?(?![a-zA-Z])"), "°"),
    (re.compile(r"\\(?:times|ast)(?![a-zA-Z])"), r"\\cdot "),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\(?:leq(?:slant)?|le)(?![a-zA-Z])"), r"\\le "),
    (re.compile(r"\\(?:geq(?:slant)?|ge)(?![a-zA-Z])"), r"\\ge "),
    (re.compile(r"\\neq(?![a-zA-Z])"), r"\\ne "),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (re.compile(r"\\(?:infin)(?![a-zA-Z])"), r"\\infty"),
    (re.compile(r"\\(?:varnothing|O)(?![a-zA-Z])"), r"\\emptyset"),
    (re.compile(r"\\lbrace(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![a-zA-Z])"), r"\\}"),
]
_PLAIN_RULES = [
    (re.compile(r"\*\*(?=\S)([^*]+)\*\*"), r"\1"),  # bold
    (re.compile(r"(?<=\d)\{,\}(?=\d)"), ","),
    (re.compile(r"(?<=\d) x (?=\d)"), r" \\cdot "),
    (re.compile(r"(?<=[\w)])\s*\*\*\s*(?=[\w(-])"), "^"),  # power, as programs write it
    (re.compile(r"(?<=[\w)}])\s*\*\s*(?=[\w(\\-])"), r"\\cdot "),
    (re.compile(r"\*+"), " "),
    (re.compile(r"(?<![a-zA-Z\\])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![a-zA-Z\\])pi(?![a-zA-Z])"), r"\\pi "),
    (re.compile(r"(?<![a-zA-Z\\])(?:infinity|inf|oo)(?![a-zA-Z])"), r"\\infty"),
    (re.compile(r"(?<=\S) (?:equals|is equal to) (?=\S)"), " = "),
    (re.compile(r"\+\s?/?\s?-(?=\s?[\d\\(])"), r"\\pm "),
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"(?<=\d)\s*[\^-]?\s*\{?\s*(st|nd|rd|th)\b\s*\}?"), r"\1"),  # an ordinal: 12^{th}
    (re.compile(r"(?<=\d)\s*degrees?\b"), "°"),
    (re.compile(r"\s+"), " "),
    (re.compile(r"\s+(?=\^)"), ""),
]
_MATH = re.compile(r"(?<!\\)\$(?=[^\s$])([^$]*[^\s$\\])\$(?!\d)")  # a price is no formula: `$5, $6`
_LAYOUT = re.compile(
    r"\\(?:[hv]?phantom|hspace\*?|vspace)\s*\{[^{}]*\}|\\(?:square|Box|q?quad|ldots|dots|[hv]fill)(?![a-zA-Z])"
)
_LEAD = re.compile(
    r"(?i)(?:(?:so|thus|hence|therefore|then),?\s+)?(?:(?:approximately|approx\.?|about|around|roughly|exactly|precisely|only|just|simply|either|equals?|"
    r"equal to|a total of|is)\s+|\\approx\s*|[≈=]\s*|~\s*(?=\d))*"
)
_TAKES_ARGUMENTS = re.compile(r"(\\frac|\\sqrt(?:\[[^\[\]]*\])?)(?![a-zA-Z])\s*")
_TOKEN = re.compile(r"\\(?:sqrt(?:\{[^{}]*\}|\d)|[a-zA-Z]+)|[\da-zA-Z]")
_CONTENT = re.compile(r"[^\W_]|\\[a-zA-Z{]|[∅∞]")
_EDGE = " \t\r\n\"'`.,;:\\"


def clean(text: str) -> str:
    """Rewrite an answer in one plain spelling; nothing is evaluated.

    Args:
        text: A bare answer, not a whole reply.

    Returns:
        The same answer on one line, in ASCII except for letters without an ASCII form, `°` and currency signs.
    """
    if not text.isascii():
        text = _to_ascii(text)
    if text.count("$") > 1:
        text = _MATH.sub(r" \1 ", text)
    text = text.replace(r"\$", "$")
    if "\\" in text:
        text = _UNIT_FRACTION.sub(r" \1 per \2 ", text)
        for _ in range(3):  # wrappers nest: \text{\bf x}
            text, found = _WRAPPER.subn(r" \1 ", text)
            if not found:
                break
        for pattern, replacement in _LATEX_RULES:
            text = pattern.sub(replacement, text)
        if "\\frac" in text or "\\sqrt" in text:
            text = _braced(text)
    for pattern, replacement in _PLAIN_RULES:
        text = pattern.sub(replacement, text)
    text = strip_edges(text)
    lead = _LEAD.match(text)
    return strip_edges(text[lead.end() :]) if lead and lead.end() else text


def has_content(text: str) -> bool:
    r"""Whether there is anything that could be an answer: a letter, a digit, a LaTeX command, an empty set, infinity.

    Empty space and boxes to fill in, `\phantom{x}` and `\square`, are nothing.
    """
    if "\\" in text:
        text = _LAYOUT.sub("", text)
    return _CONTENT.search(text) is not None


def strip_edges(text: str) -> str:
    """Remove quotes, end punctuation, math dollars and braces that enclose the whole text."""
    while True:
        before = text
        text = text.lstrip(" \t\r\n\"'`:;,").rstrip(_EDGE)
        if text.startswith("$") and text.endswith("$") and len(text) > 1:
            text = text[1:-1]
        elif text.endswith("$") and text.count("$") % 2:
            text = text[:-1]
        elif text.startswith("{") and closing(text, 0) == len(text) - 1:
            text = text[1:-1]
        if text == before:
            return text


def closing(text: str, start: int) -> int:
    """Index of the brace that closes the one at `start`; -1 if there is none. Escaped braces do not count."""
    depth = 0
    skip = False
    for place in range(start, len(text)):
        char = text[place]
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return place
    return -1


def _braced(text: str) -> str:
    r"""Fractions and roots with braces around each argument: `\frac1x` is `\frac{1}{x}`."""
    parts: list[str] = []
    place = 0
    for command in _TAKES_ARGUMENTS.finditer(text):
        if command.start() < place:
            continue
        parts.append(text[place : command.end(1)])
        place = command.end()
        for _ in range(2 if command[1] == r"\frac" else 1):
            end = _argument_end(text, place)
            if end <= place:
                break
            argument = text[place:end].strip()
            parts.append(_braced(argument) if argument.startswith("{") else f"{{{argument}}}")
            place = end
    return "".join([*parts, text[place:]])


def _argument_end(text: str, start: int) -> int:
    """Where the argument ends that TeX reads here: a group, a command, or one character; `start` if there is none."""
    begin = start + len(text[start:]) - len(text[start:].lstrip())
    if text[begin : begin + 1] == "{":
        return closing(text, begin) + 1
    token = _TOKEN.match(text, begin)
    return token.end() if token else start


def _to_ascii(text: str) -> str:
    """Signs, fractions and digits of other scripts in their ASCII or LaTeX form."""
    text = unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS)
    return "".join(str(unicodedata.decimal(ch)) if ch.isdecimal() else ch for ch in text)
