"""Keeps the replies of a recording beside its file, each when it is there, until the file has all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from econ_env.app.record.recording import Cell, Key, Recording, Setup
from econ_env.errors import BankError, ConfigError
from econ_env.problems.hub_sets import one_line
from econ_env.recorded import BankRow, Manifest, write_bank
from econ_env.records import Problem
from econ_env.traces import JsonLines, read_lines

Line = dict[str, Any]
"""A reply as the part file has it: the fields of `BankRow` that are known, without question and gold."""


def part_of(out: Path) -> Path:
    """The file beside a bank's file that keeps its replies until it is complete."""
    return out.with_name(f"{out.name}.part.jsonl")


class Kept:
    """The replies that are there, in the order in which they came; a context manager.

    Args:
        out: The bank's file.
        recording: What is recorded.
        force: Whether another bank or recording there is replaced.

    Raises:
        ConfigError: Another process records into the file, or it holds another recording or another bank.
        TraceError: The part file can't be read or written.
        BankError: The bank there can't be read.

    Attributes:
        done: What names the replies that are there.
    """

    def __init__(self, out: Path, recording: Recording, *, force: bool) -> None:
        self.out, self.part = out, part_of(out)
        self._recording, self._setup = recording, recording.setup()
        self._lock = out.with_name(f".{out.name}.lock")
        with ExitStack() as stack:
            out.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(FileLock(self._lock, blocking=False))
            except Timeout:
                raise ConfigError(f"another process records into {out}; wait for it, or give another --out") from None
            other = self._other()
            if other is not None and not force:
                raise ConfigError(f"{other}, or --force to replace it")
            if other is not None:
                self.part.unlink(missing_ok=True)
            fresh = not any(read_lines(self.part))
            self._lines = stack.enter_context(JsonLines(self.part))
            if fresh:
                self._lines.append({"setup": self._setup})
                for line in _lines_of(out) if other is None else ():
                    self._lines.append(line)
            self.done: set[Key] = {_key(line) for line in self.lines()}
            self._held = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def lines(self) -> Iterator[Line]:
        """The replies, read one by one."""
        return (line for line in read_lines(self.part) if "setup" not in line)

    def add(self, line: Line) -> None:
        """Keep a reply."""
        self._lines.append(line)
        self.done.add(_key(line))

    def write(self, manifest: Manifest) -> None:
        """Write the replies that are there into the bank's file.

        Raises:
            BankError: There is none, or the file can't be written.
        """
        problems = {problem.id: problem for problem in self._recording.problems}
        models = {name: place for place, name in enumerate(self._recording.models)}
        rows = [_row(line, problems[line["problem"]]) for line in self.lines()]
        places = {id: place for place, id in enumerate(problems)}
        rows.sort(key=lambda row: (places[row.problem], models[row.model], _cell(row), row.sample))
        write_bank(self.out, rows, manifest)

    def remove(self) -> None:
        """Remove what was kept, once the bank's file has everything."""
        self._lines.close()
        self.part.unlink(missing_ok=True)
        self._lock.unlink(missing_ok=True)

    def _other(self) -> str | None:
        """The message that another bank or recording is there; `None` if there is none."""
        first = next(read_lines(self.part), None)
        if first is not None:
            return self._differs(first.get("setup", {}), self.part)
        if not self.out.exists():
            return None
        text = recorded_in(self.out)
        return self._differs(json.loads(text), self.out) if text else no_recording(self.out)

    def _differs(self, before: Setup, where: Path) -> str | None:
        changed = [name for name, value in self._setup.items() if before.get(name) != value]
        if not changed:
            return None
        told = ", ".join(f"{name} was {before.get(name)!r}, is {self._setup[name]!r}" for name in changed)
        return (
            f"{where} holds another recording ({told}); give another --out, for which known replies come from the cache"
        )


def no_recording(out: Path) -> str:
    """The message that a file is none of `econ record`."""
    return f"{out} exists, and is no recording; give another --out"


def refuse_other_file(out: Path, *, force: bool) -> None:
    """Refuse a file that is no recording, before any model is loaded.

    Raises:
        ConfigError: It is none.
        BankError: It can't be read.
    """
    if out.exists() and not force and not part_of(out).exists() and not recorded_in(out):
        raise ConfigError(f"{no_recording(out)}, or --force to replace it")


def recorded_in(path: Path) -> str:
    """What `econ record` was asked for when it made a bank; empty if it did not.

    Raises:
        BankError: The file can't be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return Manifest.from_metadata(pq.read_schema(path).metadata).recording
    except (pa.ArrowException, OSError) as error:
        raise BankError(
            f"{path} exists, and is no bank that can be read ({one_line(error)}); remove it, or give another --out"
        ) from error


def _lines_of(bank: Path) -> Iterator[Line]:
    """The replies in a bank's file, if it exists, as the part file has them."""
    import pyarrow.parquet as pq

    if not bank.exists():
        return
    known = {part.name for part in fields(BankRow)} - {"question", "gold"}
    with pq.ParquetFile(bank) as file:
        for batch in file.iter_batches(columns=[name for name in file.schema_arrow.names if name in known]):
            yield from batch.to_pylist()


def _key(line: Mapping[str, Any]) -> Key:
    return line["model"], line["problem"], Cell(*(line[name] for name in Cell._fields)), line["sample"]


def _cell(row: BankRow) -> tuple[float | None, ...]:
    return row.temperature, row.repetition_penalty, row.top_p, row.min_p


def _row(line: Line, problem: Problem) -> BankRow:
    return BankRow(**{**line, "gold": problem.answer, "question": problem.question})
