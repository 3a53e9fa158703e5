"""Turns formulas in model text into MathML, as plain nested lists that a page can build without parsing any markup.

A text becomes pieces: strings, and formulas as `[source, tree]`. A tree is a string (text) or
`[element, attributes, children]`. Only elements and attributes of the lists below ever get into a tree, so that what a
model writes can't become anything but presentation: https://www.w3.org/TR/mathml-core/
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
"""Longer formulas stay source text: they are no formulas but runaway text."""
MAX_DEPTH = 60
"""Deeper trees stay source text."""
MAX_RESTARTS = 20
"""How often the converter may end before its time; what is left then stays source text."""

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
    # A single dollar is mostly money: it opens a formula only if the text up to the next one, on the same line, has
    # something that only formulas have, or no words, and neither dollar has a blank on its inner side.
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
    """As it stands there, delimiters included."""
    latex: str
    """Without delimiters."""
    display: bool
    """Whether it stands on lines of its own."""


def find_formulas(text: str) -> list[str | RenderedFormula]:
    r"""A text cut at its formulas: those in `\\(...\\)`, `\\[...\\]`, `$$...$$`, `$...$` and `\\boxed{...}`."""
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
    """Converts formulas to trees, in a process of its own, and remembers them."""

    def __init__(self) -> None:
        self._trees: dict[tuple[str, bool], Tree | None] = {}
        self._restarts = 0

    def learn(self, texts: Iterable[str]) -> None:
        """Convert all formulas of these texts at once."""
        found = [part for text in texts for part in find_formulas(text) if isinstance(part, RenderedFormula)]
        new = list(dict.fromkeys((f.latex, f.display) for f in found if (f.latex, f.display) not in self._trees))
        for formula, markup in zip(new, self._convert(new), strict=True):
            self._trees[formula] = None if markup is None else to_tree(markup)

    def pieces(self, text: str) -> Pieces:
        """A text's strings and formulas; joined with the formulas' sources they are the text again.

        A formula that can't be converted, or was not learned, stays in its string.
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
        """Markup of each formula; `None` where the converter refuses it, or came to its end over it."""
        while formulas:
            if self._restarts > MAX_RESTARTS:
                _log.warning("%d formulas are left as text: the converter ended too often", len(formulas))
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
    """Markup of the formulas up to the one that ended the process, if one did."""
    done = subprocess.run(
        [sys.executable, "-P", str(_WORKER)],
        input=json.dumps(formulas).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines(keepends=True) if line.endswith(b"\n")]


def to_tree(markup: str) -> Tree | None:
    """The tree of a `math` element; `None` if the markup is anything else, or nested too deep."""
    try:
        root = ElementTree.fromstring(_ENTITY.sub(_character, markup))
    except ElementTree.ParseError:
        return None
    return _tree(root, MAX_DEPTH) if root.tag == "math" else None


def _tree(element: ElementTree.Element, depth: int) -> Tree | None:
    kept = {name: value for name, value in element.items() if name in ATTRIBUTES}
    style = element.get("style", "")
    if element.tag == "mtd" and "text-align: " in style:  # the page allows no style attributes, so this is a class
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
    """A character that HTML has a name for and XML has not."""
    return match[0] if match[1] in ("amp", "lt", "gt", "quot") else html.unescape(match[0])
