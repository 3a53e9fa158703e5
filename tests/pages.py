"""README and the pages of docs/: their fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES if page.exists()}
PROGRAMS = ("econ", "python", "make", "pip")
"""What an inline command begins with."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language ('' for none), its text, and where it starts, as `README.md:23`."""

    language: str
    text: str
    place: str


@dataclass(frozen=True)
class Command:
    """A simple command of a page."""

    words: tuple[str, ...]
    place: str

    @property
    def text(self) -> str:
        return shlex.join(self.words)


def blocks(page: str, *languages: str) -> list[Block]:
    """The fenced blocks of a page, of all languages or of these."""
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", TEXTS[page], re.M | re.S)
    made = [Block(m[1], m[2], f"{page}:{TEXTS[page].count(chr(10), 0, m.start()) + 2}") for m in found]
    return [block for block in made if not languages or block.language in languages]


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.M | re.S)


def commands(page: str) -> list[Command]:
    """The commands in a page's shell blocks, in order."""
    return [
        Command(words, block.place) for block in blocks(page, "bash", "sh", "shell") for words in simple(block.text)
    ]


def inline_commands(page: str) -> list[Command]:
    """The commands with arguments in a page's prose, between single backticks.

    Forms such as `econ rejudge LOGDIR`, with a word in capitals to be replaced, are none.
    """
    texts = re.findall(rf"(?<!`)`((?:{'|'.join(PROGRAMS)})\s[^`]+)`", prose(page))
    found = [Command(words, page) for text in texts for words in simple(" ".join(text.split()))]
    return [command for command in found if not any(re.match(r"[A-Z]{2}", word) for word in command.words)]


def simple(text: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a shell text, without variables set before them, comments and operators."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in (*lexer, ";"):
            if not set(word) <= set("();|&"):
                if words or not re.match(r"\w+=", word):
                    words.extend(braced(word))
            elif words:
                yield tuple(words)
                words = []


def braced(word: str) -> list[str]:
    """A word after brace expansion of numbers, as bash does it: `a{1..3}`."""
    match = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", word)
    if match is None:
        return [word]
    return [f"{match[1]}{number}{match[4]}" for number in range(int(match[2]), int(match[3]) + 1)]
