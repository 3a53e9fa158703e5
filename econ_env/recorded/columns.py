"""Reads the columns of a bank: their names, their types, and what is refused.

| column | meaning |
|---|---|
| `problem` | number or id of the problem, within its `exam` if there is one |
| `exam` | set that the problem belongs to; optional |
| `model` | the model that replied; optional where all replies are of one |
| a control | `temperature`, `repetition_penalty` (or `rep_penalty`), `top_p`, `min_p`; those that are known |
| `sample` | number of the reply among those with equal controls; by default counted in the order of the rows |
| `gold` | the right answer |
| `answer` | the answer as read in the reply; empty where none could be read |
| `question`, `reply` | texts; optional |
| `tokens`, `reply_chars` | length of the reply; optional |
| `equations`, `wrong_equations` | equations in the reply's working, and those that do not hold; optional |
| `working_numbers` | numbers in the working; optional |
| `ends_with_answer`, `shows_answer` | 1 if the working's last number, or any, is the answer, else 0; optional |
| `mean_logprob` | mean log-probability of the reply's tokens, in nats; optional |
| `finish_reason` | why the reply ended; optional |
| `correct` | the verdict when the bank was made; optional, and only compared with |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from econ_env.answers.working import working_of
from econ_env.errors import BankError
from econ_env.problems.fields import listed, suggestion
from econ_env.recorded.bank import Codes, Floats

if TYPE_CHECKING:
    import pyarrow as pa

CONTROLS = ("temperature", "repetition_penalty", "top_p", "min_p")
"""Controls that a bank may name, in this order."""
ALIASES: Mapping[str, tuple[str, ...]] = {"repetition_penalty": ("rep_penalty",)}
"""Other names of columns."""
NEEDED = ("problem", "gold", "answer")
WORKING = ("equations", "wrong_equations", "working_numbers", "ends_with_answer", "shows_answer")
"""What is known of a reply's working, in the order of the fields of `Working`."""
NUMBERS = ("tokens", "reply_chars", *WORKING, "mean_logprob")
FACTS = ("exam", "problem", "model", *CONTROLS, "sample", "gold", "answer", *NUMBERS, "finish_reason", "correct")
"""All columns but the texts, which are read when they are asked for."""
CODED = ("exam", "problem", "model", "gold", "answer", "finish_reason", "question")
"""Columns with the same texts again and again."""
TEXTS = ("question", "reply")


class Coded(NamedTuple):
    """A column of texts as numbers."""

    codes: Codes
    """Place in `texts` by row; -1 where there is none."""
    texts: tuple[str, ...]
    """The different texts."""


def named(columns: Sequence[str], where: str) -> dict[str, str]:
    """The file's own name of each column that a bank knows.

    Args:
        columns: The file's columns.
        where: The file, for messages.

    Raises:
        BankError: A needed column is missing, or one is there under two names.
    """
    found: dict[str, str] = {}
    for name in (*FACTS, *TEXTS):
        there = [other for other in (name, *ALIASES.get(name, ())) if other in columns]
        if len(there) > 1:
            raise BankError(f"{where} has the columns {' and '.join(there)}, which mean the same: leave one out")
        if there:
            found[name] = there[0]
    missing = [name for name in NEEDED if name not in found]
    if missing:
        plural = "columns" if len(missing) > 1 else "column"
        raise BankError(
            f"{where} has no {plural} {' and '.join(missing)}; it has {listed(list(columns))}."
            f"{suggestion(missing[0], columns)} A file of another kind becomes a bank with econ bank --from FILE"
        )
    return found


def coded(column: pa.ChunkedArray, name: str, where: str, *, optional: bool = False) -> Coded:
    """A column of texts or numbers as codes; a number that is not one, and a blank text, count as missing.

    Raises:
        BankError: A value is neither, or is missing in a column that is not optional.
    """
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        column = _as_texts(column.cast(kind), name, where)
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    texts = tuple("" if text is None else str(text) for text in encoded.dictionary.to_pylist())
    codes = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int32)
    empty = [number for number, text in enumerate(texts) if not text.strip()]
    if empty:
        codes = np.where(np.isin(codes, empty), -1, codes).astype(np.int32)
    if not optional and (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise BankError(f"row {row} of {where} has no {name}; every reply needs one")
    return Coded(codes, texts)


def _as_texts(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """Numbers, truth values or nothing as texts; whole numbers without a point."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise BankError(f"the column {name} of {where} has values of the type {kind}; it needs text or numbers")
    return column.cast(pa.string())


def numbers(column: pa.ChunkedArray, name: str, where: str, *, optional: bool = True) -> Floats:
    """A column of numbers, NaN where one is missing.

    Raises:
        BankError: A value is no number, or is missing in a column that is not optional.
    """
    import pyarrow as pa

    try:
        values: Floats = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BankError(f"the column {name} of {where} needs numbers: {str(error).splitlines()[0]}") from None
    if not optional and not np.isfinite(values).all():
        row = int(np.argmax(~np.isfinite(values)))
        raise BankError(f"row {row} of {where} has no {name}; leave the column out if it is unknown")
    return values


def truths(column: pa.ChunkedArray, name: str, where: str) -> NDArray[np.int8]:
    """A column of truth values as 1 and 0, -1 where one is missing; numbers and texts such as `true` count too.

    Raises:
        BankError: A value is none.
    """
    import pyarrow as pa

    try:
        values = column.cast(pa.bool_()).cast(pa.int8()).fill_null(-1)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BankError(f"the column {name} of {where} needs true and false: {str(error).splitlines()[0]}") from None
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int8)


def working_facts(text: str | None, answer: str | None) -> dict[str, int | None]:
    """The columns `WORKING` of a reply; all `None` without its text."""
    if text is None:
        return dict.fromkeys(WORKING)
    found = working_of(text, answer)
    values = (found.equations, found.wrong, found.numbers, int(found.ends), int(found.shows))
    return dict(zip(WORKING, values, strict=True))


def gold_of(problems: Codes, golds: Coded, names: Sequence[str], where: str) -> list[str]:
    """The gold answer of each problem.

    Raises:
        BankError: A problem has two.
    """
    first = np.full(len(names), -1, np.int64)
    first[problems[::-1]] = golds.codes[::-1]  # the first row of a problem is written last
    other = np.flatnonzero(first[problems] != golds.codes)
    if len(other):
        row = int(other[0])
        problem = problems[row]
        raise BankError(
            f"row {row} of {where} gives the problem {names[problem]} the gold {golds.texts[golds.codes[row]]!r}, an "
            f"earlier one {golds.texts[first[problem]]!r}; a problem has one"
        )
    return [golds.texts[code] for code in first]


def joined_names(exams: Coded | None, problems: Coded) -> Coded:
    """The problems' ids: `exam/problem`, or `problem` where there are no exams."""
    if exams is None:
        return problems
    count = len(problems.texts)
    both, codes = np.unique(exams.codes.astype(np.int64) * count + problems.codes, return_inverse=True)
    pairs = (divmod(pair, count) for pair in both.tolist())
    texts = tuple(f"{exams.texts[exam]}/{problems.texts[problem]}" for exam, problem in pairs)
    return Coded(np.asarray(codes, np.int32), texts)


def cells_of(models: Codes, controls: Sequence[Floats]) -> tuple[Codes, Floats, Codes]:
    """The cells of replies: what combinations there are of a model and values of controls.

    Args:
        models: Model of each reply.
        controls: Values of each control by reply.

    Returns:
        Model of each cell, its controls [G, A], and the cell of each reply. Cells are sorted by model and controls.
    """
    key = models.astype(np.int64)
    for values in controls:
        different, codes = np.unique(values, return_inverse=True)
        key = key * len(different) + codes
    _, first, cell_R = np.unique(key, return_index=True, return_inverse=True)
    values_GA = np.stack([values[first] for values in controls], axis=1) if controls else np.zeros((len(first), 0))
    return models[first].astype(np.int32), values_GA, np.asarray(cell_R, np.int32)


def counted(keys: NDArray[Any]) -> NDArray[np.int64]:
    """For each row how many earlier rows have the same key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(keys)])
    within = np.arange(len(keys)) - np.repeat(starts, lengths)
    numbered = np.empty(len(keys), np.int64)
    numbered[order] = within
    return numbered
