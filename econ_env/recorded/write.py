"""Writes banks: a Parquet file with the columns of `columns` and the manifest in its metadata."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from econ_env.errors import BankError
from econ_env.recorded.columns import WORKING
from econ_env.recorded.manifest import KEY, Manifest


@dataclass(frozen=True)
class BankRow:
    """A recorded reply; what is `None` is unknown."""

    problem: str
    """The problem's id."""
    model: str
    """The model's name."""
    gold: str
    """The right answer."""
    answer: str | None
    """The answer as read in the reply; `None` if none could be read."""
    temperature: float | None = None
    """Sampling temperature."""
    repetition_penalty: float | None = None
    """Repetition penalty."""
    top_p: float | None = None
    """Nucleus mass."""
    min_p: float | None = None
    """Least probability of a token, as a share of the most likely one's."""
    sample: int = 0
    """Number among the replies with equal controls."""
    question: str | None = None
    """The question."""
    reply: str | None = None
    """The reply's text."""
    tokens: int | None = None
    """Generated tokens."""
    reply_chars: int | None = None
    """Characters of the reply."""
    mean_logprob: float | None = None
    """Mean log-probability of the reply's tokens, in nats."""
    finish_reason: str | None = None
    """Why the reply ended."""
    correct: bool | None = None
    """The verdict by the manifest's rule."""
    equations: int | None = None
    """Equations in its working whose sides can be computed."""
    wrong_equations: int | None = None
    """Those of them that do not hold."""
    working_numbers: int | None = None
    """Numbers in its working."""
    ends_with_answer: int | None = None
    """1 if the last of them is the answer, else 0."""
    shows_answer: int | None = None
    """1 if the answer is among them, else 0."""


_TYPES: Mapping[str, str] = {
    "temperature": "float64", "repetition_penalty": "float64", "top_p": "float64", "min_p": "float64",
    "sample": "int32", "tokens": "int32", "reply_chars": "int32", "mean_logprob": "float64", "correct": "bool",
    **dict.fromkeys(WORKING, "int32"),
}  # fmt: skip


def write_bank(path: str | os.PathLike[str], rows: Iterable[BankRow], manifest: Manifest) -> Path:
    """Write a bank; columns of which nothing is known are left out, and an existing file is replaced whole.

    Args:
        path: Where to write.
        rows: The replies.
        manifest: Where they come from.

    Raises:
        BankError: There is no reply, or the file can't be written.
    """
    kept = list(rows)
    if not kept:
        raise BankError("a bank needs at least one reply")
    columns: dict[str, list[Any]] = {part.name: [getattr(row, part.name) for row in kept] for part in fields(BankRow)}
    known = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    return write_columns(path, known | {"answer": columns["answer"]}, manifest)


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, list[Any]], manifest: Manifest) -> Path:
    """Write a bank that is given as columns; see `write_bank`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = Path(path)
    arrays = {name: pa.array(values, pa.type_for_alias(_TYPES.get(name, "string"))) for name, values in columns.items()}
    table = pa.table(arrays).replace_schema_metadata({KEY: manifest.to_json()})
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, part, compression="zstd", compression_level=12)
        part.replace(target)
    except OSError as error:
        raise BankError(f"{target} can't be written: {error.strerror}") from error
    return target
