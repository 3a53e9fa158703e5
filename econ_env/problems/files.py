"""Reads rows from files: JSON lines, JSON, CSV and TSV, also compressed, without guessing what their texts mean.

A text stays as it is written, even if it looks like a date, a number or a truth value, and a number keeps all its
digits.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, cast

from econ_env.errors import ProblemSourceError
from econ_env.problems.fields import short

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""File suffixes that can be read, in upper or lower case."""

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that may follow one of `FORMATS`, except `.parquet`."""

_INT_DIGITS = 4000
"""Python reads no longer whole number as an int."""


def format_of(name: str | Path) -> str | None:
    """The suffix of `FORMATS` that a file's name ends with, before any of `COMPRESSIONS`; `None` if there is none."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    compressed = bool(suffixes) and suffixes[-1] in COMPRESSIONS
    found = suffixes[-2:-1] if compressed else suffixes[-1:]
    if not found or found[0] not in FORMATS or (compressed and found[0] == ".parquet"):
        return None
    return found[0]


@dataclass(frozen=True)
class FileRows(Iterable[dict[str, Any]]):
    """The rows of some text files, one after the other; read again at each iteration. Picklable.

    A `.json` file is held in memory, the others are read row by row.
    """

    paths: tuple[Path, ...]
    """The files; `format_of` knows each of them, and none is a `.parquet` file."""
    header: tuple[str, ...] = ()
    """Names of the columns of `.csv` and `.tsv` files whose first line names none of them; empty: it always does."""
    separator: str | None = None
    """What separates the columns of a `.csv` file; a comma by default."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for path in self.paths:
            with _open(path) as file:
                match format_of(path):
                    case ".jsonl" | ".ndjson":
                        yield from _json_lines(file)
                    case ".json":
                        yield from _json(file.read())
                    case ".tsv":
                        yield from _table(file, "\t", self.header)
                    case _:
                        yield from _table(file, self.separator or ",", self.header)


def _open(path: Path) -> IO[str]:
    suffix = path.suffix.lower()
    if suffix == ".zst":
        return io.TextIOWrapper(_zstandard(path), encoding="utf-8-sig", newline="")
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return cast(IO[str], openers.get(suffix, open)(path, "rt", encoding="utf-8-sig", newline=""))


def _zstandard(path: Path) -> Any:
    import pyarrow

    if not pyarrow.Codec.is_available("zstd"):
        raise ProblemSourceError("this build of pyarrow can't read .zst files; unpack the file, or pack it as .gz")
    return pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")


def _json_lines(file: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        if number == 1 and line.lstrip().startswith("["):
            yield from _json(line + file.read())  # a list in a file with the wrong suffix
            return
        yield _row(_value(line, f"line {number}"), f"line {number}")


def _json(text: str) -> Iterator[dict[str, Any]]:
    """The rows of a list, of columns, of a list under a name, of rows by name, or of objects one after the other."""
    text = text.strip()
    if text.startswith("{"):
        try:
            value = _value(text, "the file")
        except ProblemSourceError:
            value = _objects(text)
    else:
        value = _value(text, "the file") if text else []
    if isinstance(value, dict):
        value = _of_group(value)
    if not isinstance(value, list):
        raise ProblemSourceError(f"it must hold a list of objects, not {short(value)}")
    for number, row in enumerate(value):
        yield _row(row, f"element {number}")


def _of_group(group: dict[str, Any]) -> list[Any]:
    lists = [value for value in group.values() if isinstance(value, list)]
    tables = [value for value in lists if value and all(isinstance(row, dict) for row in value)]
    if len(tables) == 1 and not {"question", "problem", "answer"} & set(group):
        return tables[0]
    if len(lists) == len(group) > 1 and len({len(value) for value in lists}) == 1 and len(lists[0]) > 1:
        return [dict(zip(group, row, strict=True)) for row in zip(*lists, strict=True)]
    if len(group) > 1 and all(isinstance(value, dict) for value in group.values()):
        return list(group.values())
    return [group]


def _objects(text: str) -> list[Any]:
    decoder = json.JSONDecoder(parse_int=_whole, parse_float=_decimal)
    values, place = [], 0
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except ValueError as error:
            raise ProblemSourceError(f"the file is not JSON: {error}") from None
        values.append(value)
        place += len(text[place:]) - len(text[place:].lstrip()) if text[place : place + 1].isspace() else 0
    return values


def _value(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_int=_whole, parse_float=_decimal)
    except ValueError as error:
        raise ProblemSourceError(f"{where} is not JSON: {error}") from None


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) < _INT_DIGITS else Decimal(text)


def _decimal(text: str) -> float | Decimal:
    """A whole number to its last digit; others as floats, which undoes digits that come from binary: 5.5999999996."""
    exact, rounded = Decimal(text), float(text)
    whole = exact == exact.to_integral_value()
    return exact if whole or (exact and not rounded) else rounded


def _row(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProblemSourceError(f"{where} must be an object with named values, got {short(value)}")
    return value


def _table(file: IO[str], separator: str, header: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    reader = csv.reader(file, delimiter=separator)
    lines = ((reader.line_num, cells) for cells in reader if len(cells) > 1 or any(cell.strip() for cell in cells))
    _, names = next(lines, (0, []))
    if header and not set(header) & set(names):
        yield _cells(list(header), names, 1)
        names = list(header)
    names = _unique(names)
    for number, cells in lines:
        yield _cells(names, cells, number)


def _cells(names: list[str], cells: list[str], number: int) -> dict[str, Any]:
    if len(cells) > len(names):
        raise ProblemSourceError(
            f"line {number} has {len(cells)} cells, but there are {len(names)} columns; put quotes around a cell that "
            "contains the separator"
        )
    return dict(zip_longest(names, cells))


def _unique(names: list[str]) -> list[str]:
    """Columns of equal names get numbers, so that none is lost."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        unique.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return unique
