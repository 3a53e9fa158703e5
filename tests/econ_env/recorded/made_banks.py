"""Small banks that are made by hand, for the tests of the room and of its commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from econ_env import Bank, load_bank
from econ_env.errors import BankError
from econ_env.problems.load import ProblemSet
from econ_env.recorded import BankRow, Manifest, write_bank

COLD, HOT = 0.2, 1.0
"""The two temperatures of `two_cells`."""


def row(problem: object, answer: str | None, **changes: Any) -> BankRow:
    """A reply of the model `m` to a problem whose gold answer is 1."""
    return BankRow(**{"problem": str(problem), "model": "m", "gold": "1", "answer": answer, **changes})


def bank_of(folder: Path, rows: Iterable[BankRow], name: str = "made.parquet", **about: Any) -> Bank:
    """A bank of these rows, written and loaded."""
    return load_bank(write_bank(folder / name, rows, Manifest(**about)))


def file_of(folder: Path, columns: Mapping[str, Any], name: str = "columns.parquet") -> Path:
    """A Parquet file of these columns, as other programs write it."""
    path = folder / name
    pq.write_table(pa.table(dict(columns)), path)
    return path


def two_cells(problems: int = 4, samples: int = 5, models: tuple[str, ...] = ("m",)) -> list[BankRow]:
    """Replies that are all right when cold and all wrong when hot; each wrong answer tells where it comes from."""
    return [
        row(
            f"p{problem}",
            "1" if temperature == COLD else f"{100 + 10 * problem + sample}",
            model=model,
            temperature=temperature,
            repetition_penalty=1.0,
            sample=sample,
        )
        for model in models
        for problem in range(problems)
        for temperature in (COLD, HOT)
        for sample in range(samples)
    ]


def counted(problems: int, samples: int, models: tuple[str, ...] = ("m",)) -> list[BankRow]:
    """Replies at one temperature, each with an answer of its own: its number in the file, plus 1000."""
    places = [(model, problem, sample) for model in models for problem in range(problems) for sample in range(samples)]
    return [
        row(f"p{problem}", str(1000 + number), model=model, temperature=0.7, sample=sample)
        for number, (model, problem, sample) in enumerate(places)
    ]


def refused(message: str) -> pytest.RaisesExc[BankError]:
    """Expects a `BankError` whose text has these words."""
    return pytest.raises(BankError, match=re.escape(message))


def grid_bank(points: Sequence[Sequence[float]], controls: tuple[str, ...]) -> Bank:
    """A bank of one model with cells at these points, and no reply."""
    cells = len(points)
    return Bank(
        name="grid",
        manifest=Manifest(),
        problems=ProblemSet(()),
        models=("m",),
        controls=controls,
        cell_model_G=np.zeros(cells, np.int32),
        cell_controls_GA=np.array(points, float).reshape(cells, len(controls)),
        start=np.zeros(1, np.int64),
        answer_R=np.zeros(0, np.int32),
        answers=(),
        numbers={},
        row_R=np.zeros(0, np.int64),
        has_questions=False,
        read_replies=None,
    )
