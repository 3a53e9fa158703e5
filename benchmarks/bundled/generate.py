"""Generates and writes the bundled problem set; the same seed gives the same file, byte for byte."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.bundled import level1, level2, level3_exercises, level3_stories
from benchmarks.bundled.words import Draft

Template = Callable[[random.Random], Draft]

LEVELS: dict[str, Sequence[Template]] = {
    "level1": level1.TEMPLATES,
    "level2": level2.TEMPLATES,
    "level3": level3_stories.TEMPLATES + level3_exercises.TEMPLATES,
}
"""The templates of each level."""

SIZES = {"train": 100, "test": 50}
"""Problems per level in each split."""

_TRIES = 200


def generate(seed: int) -> list[dict[str, str]]:
    """All rows of the set: `id`, `split`, `kind` (the level), `template`, `question`, `answer`, `equation`.

    No two problems have the same template and equation. So the splits share no problem, not even one that differs only
    in names.

    Args:
        seed: Any integer.
    """
    by_split: dict[str, list[dict[str, str]]] = {split: [] for split in SIZES}
    for level, templates in LEVELS.items():
        rows = _draw(random.Random(f"{seed} {level}"), templates, sum(SIZES.values()))
        start = 0
        for split, size in SIZES.items():
            by_split[split] += [{"split": split, "kind": level, **row} for row in rows[start : start + size]]
            start += size
    return [{"id": f"{split}-{number}", **row} for split, rows in by_split.items() for number, row in enumerate(rows)]


def write(path: Path, seed: int) -> int:
    """Write the set as JSON lines and return how many problems it has."""
    rows = generate(seed)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return len(rows)


def _draw(rng: random.Random, templates: Sequence[Template], count: int) -> list[dict[str, str]]:
    """Problems from each template in turn, shuffled; a template that finds no new problem is skipped."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for template in cycle(templates):
        if len(rows) == count:
            break
        name = template.__name__.removeprefix("_")
        for _ in range(_TRIES):
            draft = template(rng)
            if (name, draft.equation) not in rows:
                rows[name, draft.equation] = {
                    "template": name,
                    "question": draft.question,
                    "answer": draft.answer,
                    "equation": draft.equation,
                }
                break
    drawn = list(rows.values())
    rng.shuffle(drawn)
    return drawn
