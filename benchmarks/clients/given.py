"""What every client script gets and says: the team's URL, problems it can answer, and one line of JSON."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

MODEL = "econ"
KEY = "any"
"""Clients insist on a key; a team without one takes any."""


class Given(NamedTuple):
    """The arguments of a script."""

    url: str
    """Base URL of the team, `http://127.0.0.1:PORT/v1`."""
    questions: list[str]
    """Questions that it can answer."""
    answers: list[str]
    """Their gold answers."""


def given() -> Given:
    """Read `URL PROBLEMS.json`; the file holds `{"question", "answer"}` of each problem."""
    url, file = sys.argv[1:]
    problems = json.loads(Path(file).read_text(encoding="utf-8"))
    return Given(url, [one["question"] for one in problems], [one["answer"] for one in problems])


def tell(package: str, *, release: str | None = None, **seen: Any) -> None:
    """Print what was seen, as one line of JSON.

    Args:
        package: The client's distribution, whose version is told too.
        release: The version, if it is no distribution of Python's.
        seen: Plain values by name.
    """
    print(json.dumps({"client": package, "version": release or version(package), **seen}))
