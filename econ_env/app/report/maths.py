"""Converts formulas in model text to MathML, as nested lists that a page can build without parsing markup.

A text becomes pieces: strings, and formulas as `[source, tree]`. A tree is a string (text) or
`[element, attributes, children]`. A tree has only elements and attributes from the lists below, so a model's text can
only change how formulas look: https://www.w3.org/TR/mathml-core/
"""

from __future__ import annotations

import html
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

Tree = str | list[Any]
Pieces = list[str | list[Any]]

MAX_LENGTH = 1000
"""Maximum characters of a formula; longer matches are not formulas and stay source text."""
MAX_DEPTH = 60
"""Maximum depth of a tree; formulas with deeper trees stay source text."""
MAX_RESTARTS = 20
"""How often the converter may crash or time out; the remaining formulas then stay source text."""

ELEMENTS = frozenset({
    "math", "menclose", "merror", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom",
    "mprescripts", "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd",
    "mtext", "mtr", "munder", "munderover", "none",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "accent", "accentunder", "columnspan", "depth", "display", "displaystyle", "fence", "form", "height", "largeop",
    "linethickness", "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "notation", "rowspan", "rspace",
    "scriptlevel", "separator", "stretchy", "symmetric", "voffset", "width",
})  # fmt: skip

_FORMULA = re.compile(
    rf"\\\[(?P<block>.{{1,{MAX_LENGTH}}}?)\\\]"
    rf"|\\\((?P<inline>.{{1,{MAX_LENGTH}}}?)\\\)"
    rf"|\$\$(?P<dollars>[^$]{{1,{MAX_LENGTH}}})\$\$"
    # A single dollar usually means money. It opens a formula only if the text up to the next dollar on the line has a
    # character that only formulas have, or has no words, and neither dollar has a blank on its inner side.
    rf"|(?<![\\$\w])\$(?P<dollar>(?=[^$\n]*[\\^_=]|(?![^$\n]*[A-Za-z]{{2}}))[^\s$](?:[^$\n]{{0,{MAX_LENGTH}}}[^\s$\\])?)\$(?![\w$])"
    r"|(?P<boxed>\\boxed\{(?:[^{}\n]|\{[^{}\n]*\}){0,200}\})",
    re.DOTALL,
)
_BLOCKS = ("block", "dollars")
_ENTITY = re.compile(r"&([A-Za-z]+);")
_WORKER = Path(__file__).with_name("maths_worker.py")
_log = logging.getLogger(__name__)


class RenderedFormula(NamedTuple):
    """A formula in a text."""

    source: str
    """The formula as written, with delimiters."""
    latex: str
    """The formula without delimiters."""
    display: bool
    """Whether it is shown on its own line."""


def find_formulas(text: str) -> list[str | RenderedFormula]:
    r"""Split a text at its formulas: those in `\\(...\\)`, `\\[...\\]`, `$$...$$`, `$...$` and `\\boxed{...}`."""
    parts: list[str | RenderedFormula] = []
    plain = 0
    for match in _FORMULA.finditer(text):
        name = match.lastgroup
        assert name is not None
        if match.start() > plain:
            parts.append(text[plain : match.start()])
        parts.append(RenderedFormula(match[0], match[name], name in _BLOCKS))
        plain = match.end()
    if plain < len(text) or not text:
        parts.append(text[plain:])
    return parts


class Converter:
    """Converts formulas to trees in a separate process, and caches the trees."""

    def __init__(self) -> None:
        self._trees: dict[tuple[str, bool], Tree | None] = {}
        self._restarts = 0

    def learn(self, texts: Iterable[str]) -> None:
        """Convert all new formulas of these texts in one call."""
        found = [part for text in texts for part in find_formulas(text) if isinstance(part, RenderedFormula)]
        new = list(dict.fromkeys((f.latex, f.display) for f in found if (f.latex, f.display) not in self._trees))
        for formula, markup in zip(new, self._convert(new), strict=True):
            self._trees[formula] = None if markup is None else to_tree(markup)

    def pieces(self, text: str) -> Pieces:
        """Split a text into strings and formulas; the strings and formula sources joined give the text again.

        A formula that can't be converted, or was not passed to `learn`, stays text.
        """
        pieces: Pieces = []
        for part in find_formulas(text):
            tree = self._trees.get((part.latex, part.display)) if isinstance(part, RenderedFormula) else None
            if tree is not None and isinstance(part, RenderedFormula):
                pieces.append([part.source, tree])
                continue
            plain = part.source if isinstance(part, RenderedFormula) else part
            if pieces and isinstance(pieces[-1], str):
                pieces[-1] += plain
            else:
                pieces.append(plain)
        return pieces

    def _convert(self, formulas: list[tuple[str, bool]]) -> Iterator[str | None]:
        """Markup of each formula; `None` if the converter refuses it, crashes or times out."""
        while formulas:
            if self._restarts > MAX_RESTARTS:
                _log.warning("%d formulas are left as text: the converter failed too often", len(formulas))
                yield from [None] * len(formulas)
                return
            done = _run_worker(formulas)
            yield from done
            formulas = formulas[len(done) :]
            if formulas:
                self._restarts += 1
                yield None
                formulas = formulas[1:]


def _run_worker(formulas: list[tuple[str, bool]]) -> list[str | None]:
    """Markup of the formulas in order; fewer than given if a formula ended the process."""
    done = subprocess.run(
        [sys.executable, "-P", str(_WORKER)],
        input=json.dumps(formulas).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines(keepends=True) if line.endswith(b"\n")]


def to_tree(markup: str) -> Tree | None:
    """The tree of a `math` element; `None` if the markup is something else or too deeply nested."""
    try:
        root = ElementTree.fromstring(_ENTITY.sub(_character, markup))
    except ElementTree.ParseError:
        return None
    return _tree(root, MAX_DEPTH) if root.tag == "math" else None


def _tree(element: ElementTree.Element, depth: int) -> Tree | None:
    kept = {name: value for name, value in element.items() if name in ATTRIBUTES}
    style = element.get("style", "")
    if element.tag == "mtd" and "text-align: " in style:  # the page forbids style attributes, so use a class
        kept["class"] = "right" if "text-align: right" in style else "left"
    children: list[Tree] = [element.text] if element.text else []
    for child in element:
        tree = _tree(child, depth - 1) if depth > 1 else None
        if tree is None:
            return None
        children.append(tree)
        if child.tail:
            children.append(child.tail)
    return [element.tag if element.tag in ELEMENTS else "mrow", kept, children]


def _character(match: re.Match[str]) -> str:
    """Replace an HTML entity that XML does not know by its character."""
    return match[0] if match[1] in ("amp", "lt", "gt", "quot") else html.unescape(match[0])
