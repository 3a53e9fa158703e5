"""Loads banks: shipped ones by name, and Parquet files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from econ_env.errors import BankError
from econ_env.problems.fields import suggestion
from econ_env.problems.hub_sets import one_line
from econ_env.recorded.bank import Bank, Texts, stand_ins
from econ_env.recorded.columns import (
    CODED,
    CONTROLS,
    FACTS,
    NUMBERS,
    Coded,
    cells_of,
    coded,
    counted,
    gold_of,
    joined_names,
    named,
    numbers,
    truths,
)
from econ_env.recorded.manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

SCHEME = "recorded:"
"""Before the name of a bank it makes an `llm` of it."""

SHIPPED: Mapping[str, str] = {"gsm8k-small7": "gsm8k-small7.parquet"}
"""Banks that come with the package, by name."""


def load_bank(source: str | os.PathLike[str] | Bank, *, models: Sequence[str] | None = None) -> Bank:
    """Load recorded replies; a file that is loaded again is read once a process, as long as it is the same.

    Examples:
        >>> bank = econ_env.load_bank("gsm8k-small7")
        >>> env = econ_env.parallel_env(llm=bank, executors=["Qwen2-7B-Instruct", "Yi-1.5-9B-Chat"])

    Args:
        source: A name of `SHIPPED`, a Parquet file with the columns of `econ_env.recorded.columns`, or a bank.
        models: Only the replies of these models, in this order.

    Raises:
        BankError: There is no such file, or it can't be read; a column that is needed is missing; a problem has two
            golds; a reply is there twice; or a model is not in it.
    """
    if isinstance(source, Bank):
        bank = source
    else:
        path = _find(os.fspath(source))
        state = path.stat()
        bank = _load(str(path), state.st_mtime_ns, state.st_size, _name(os.fspath(source)))
    return bank if models is None else only(bank, models)


def _name(source: str) -> str:
    return source if source in SHIPPED else Path(source).name


def _find(source: str) -> Path:
    if source in SHIPPED:
        return Path(str(resources.files("econ_env.recorded").joinpath(SHIPPED[source])))
    path = Path(source).expanduser()
    if not path.is_file():
        raise BankError(
            f"there is no bank {source}.{suggestion(source, SHIPPED)} Give a Parquet file, or one that is shipped: "
            f"{', '.join(SHIPPED)}"
        )
    return path


@lru_cache(maxsize=4)
def _load(path: str, modified: int, size: int, name: str) -> Bank:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise BankError(f"{name} is no Parquet file that can be read: {one_line(error)}") from error
    names = named(schema.names, name)
    table = _table(path, [names[column] for column in FACTS if column in names], name)
    if not len(table):
        raise BankError(f"{name} has no reply")
    return _bank(table, names, Manifest.from_metadata(schema.metadata), path, name)


def _table(path: str, columns: list[str], name: str) -> pa.Table:
    """Some columns of the file, in memory; texts that come again and again are kept once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        types = {field.name: field.type for field in pq.read_schema(path)}
        often = [name for name in columns if name in CODED and types[name] in (pa.string(), pa.large_string())]
        with pq.ParquetFile(path, read_dictionary=often) as file:
            return file.read(columns)
    except (pa.ArrowException, OSError) as error:
        raise BankError(f"{name} could not be read: {one_line(error)}") from error


def _texts(path: str, column: str, name: str) -> Texts:
    return Texts(_table(path, [column], name)[column])


def given_bank(llm: object) -> Bank | None:
    """The bank that an `llm` is, or names as `recorded:BANK`; `None` if it is none.

    Raises:
        BankError: As `load_bank`.
    """
    if not isinstance(llm, str):
        return llm if isinstance(llm, Bank) else None
    name = llm.partition(":")[2].strip()
    if not is_recorded(llm):
        return None
    if not name:
        raise BankError(f"{llm} names no bank: give {SCHEME}FILE.parquet, or {SCHEME}{next(iter(SHIPPED))}")
    return load_bank(name)


def is_recorded(llm: str) -> bool:
    """Whether a description of an `llm` means a bank."""
    return f"{llm}:".startswith(SCHEME)


def _bank(table: pa.Table, names: Mapping[str, str], manifest: Manifest, path: str, name: str) -> Bank:
    rows = len(table)
    problems = coded(table[names["problem"]], "problem", name)
    exams = coded(table[names["exam"]], "exam", name) if "exam" in names else None
    ids = joined_names(exams, problems)
    golds = gold_of(ids.codes, coded(table[names["gold"]], "gold", name), ids.texts, name)
    if "model" in names:
        models = coded(table[names["model"]], "model", name)
    else:
        models = Coded(np.zeros(rows, np.int32), (Path(name).stem,))
    controls = tuple(control for control in CONTROLS if control in names)
    # a file may keep 0.1 with fewer digits than another
    values = [numbers(table[names[control]], control, name, optional=False).round(6) for control in controls]
    order_M = np.argsort(np.array(models.texts, object))
    rank_M = np.empty(len(order_M), np.int32)
    rank_M[order_M] = np.arange(len(order_M))
    cell_model_G, cell_controls_GA, cell_R = cells_of(rank_M[models.codes], values)
    P = len(ids.texts)
    key_R = cell_R.astype(np.int64) * P + ids.codes
    if "sample" in names:
        sample_R = numbers(table[names["sample"]], "sample", name, optional=False).astype(np.int64)
    else:
        sample_R = counted(key_R)
    order_R = np.lexsort((sample_R, key_R))
    ordered, samples = key_R[order_R], sample_R[order_R]
    twice = np.flatnonzero((ordered[1:] == ordered[:-1]) & (samples[1:] == samples[:-1]))
    if len(twice):
        row = int(order_R[twice[0] + 1])
        raise BankError(
            f"row {row} of {name} repeats sample {sample_R[row]} of the problem {ids.texts[ids.codes[row]]} and the "
            f"model {models.texts[models.codes[row]]} with equal controls; leave it out, or leave out the column sample"
        )
    answers = coded(table[names["answer"]], "answer", name, optional=True)
    correct = truths(table[names["correct"]], "correct", name)[order_R] if "correct" in names else None
    ends = (
        coded(table[names["finish_reason"]], "finish_reason", name, optional=True) if "finish_reason" in names else None
    )
    return Bank(
        name=name,
        manifest=manifest,
        problems=stand_ins(ids.texts, golds, _questions(path, names, ids, name), name),
        models=tuple(models.texts[place] for place in order_M),
        controls=controls,
        cell_model_G=cell_model_G,
        cell_controls_GA=cell_controls_GA,
        start=np.searchsorted(ordered, np.arange(len(cell_model_G) * P + 1)),
        answer_R=answers.codes[order_R],
        answers=answers.texts,
        numbers={column: numbers(table[names[column]], column, name)[order_R] for column in NUMBERS if column in names},
        row_R=order_R,
        has_questions="question" in names,
        read_replies=partial(_texts, path, names["reply"], name) if "reply" in names else None,
        correct_R=correct,
        end_R=None if ends is None else ends.codes[order_R],
        ends=() if ends is None else ends.texts,
    )


def _questions(path: str, names: Mapping[str, str], ids: Coded, name: str) -> list[str] | None:
    """The question of each problem, from its first row; `None` if the bank has none.

    Raises:
        BankError: A problem has no question, or two.
    """
    if "question" not in names:
        return None
    column = coded(_table(path, [names["question"]], name)[names["question"]], "question", name)
    first = np.full(len(ids.texts), -1, np.int64)
    first[ids.codes[::-1]] = column.codes[::-1]
    other = np.flatnonzero(first[ids.codes] != column.codes)
    if len(other):
        problem = ids.texts[ids.codes[other[0]]]
        raise BankError(f"row {int(other[0])} of {name} asks another question as problem {problem} than an earlier row")
    return [column.texts[code] for code in first]


def only(bank: Bank, models: Sequence[str]) -> Bank:
    """The part of a bank with these models, each once, in this order.

    Raises:
        BankError: A model is not in it, or none is named.
    """
    wanted = list(dict.fromkeys(bank.model(name) for name in models))
    if not wanted:
        raise BankError(f"name at least one model of {bank.name}: {', '.join(bank.models)}")
    P = len(bank.problems)
    cells = [int(cell) for model in wanted for cell in bank.cells(model)]
    counts = np.diff(bank.start).reshape(-1, P)
    kept_R = np.concatenate([np.arange(bank.start[cell * P], bank.start[(cell + 1) * P]) for cell in cells])
    starts = np.r_[0, np.cumsum(counts[cells].ravel())]
    place = {model: number for number, model in enumerate(wanted)}
    return replace(
        bank,
        models=tuple(bank.models[model] for model in wanted),
        cell_model_G=np.array([place[int(bank.cell_model_G[cell])] for cell in cells], np.int32),
        cell_controls_GA=bank.cell_controls_GA[cells],
        start=starts,
        answer_R=bank.answer_R[kept_R],
        numbers={name: values[kept_R] for name, values in bank.numbers.items()},
        row_R=bank.row_R[kept_R],
        correct_R=None if bank.correct_R is None else bank.correct_R[kept_R],
        end_R=None if bank.end_R is None else bank.end_R[kept_R],
        _judged={},
    )
