"""Finds the rows of a problem set: bundled, in a file or a directory, on the Hugging Face hub, or already in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

from econ_env import plugins
from econ_env.errors import ProblemSourceError, ProblemSplitError, ProblemUnreachableError
from econ_env.problems.fields import suggestion
from econ_env.problems.files import COMPRESSIONS, FORMATS, FileRows, format_of
from econ_env.problems.hub_sets import one_line, open_hub, quiet
from econ_env.problems.presets import PRESETS, Preset
from econ_env.records import Problem

Row = Problem | Mapping[str, Any]
"""A problem, or values by column name."""

LEVELS = ("level1", "level2", "level3")
"""The kinds of the bundled set."""


@dataclass(frozen=True)
class SourceTable:
    """The rows of one split; can be iterated over several times."""

    name: str
    """The source of its problems."""
    split: str
    """Its split, empty where the source has only the one table."""
    rows: Iterable[Row]
    preset: Preset | None = None
    """What is known of its columns."""

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from self.rows
        except Exception as error:  # a reader may raise anything; the message names the source
            raise ProblemSourceError(f"{self.name} could not be read: {one_line(error)}") from error

    def given(
        self, field: str | None, usual: Callable[[Preset], tuple[str, ...]], row: Mapping[str, Any]
    ) -> str | None:
        """The column that was asked for, else that of the preset; `None` leaves it to the usual rule."""
        if field is not None or self.preset is None:
            return field
        names = usual(self.preset)
        return next((name for name in names if name in row), names[0])

    def keeps(self, row: Mapping[str, Any]) -> bool:
        """Whether a row belongs to the set."""
        only = () if self.preset is None else self.preset.only
        return all(row.get(name, value) == value for name, value in only)


def open_table(source: object, split: str | None, revision: str | None, *, streaming: bool) -> SourceTable:
    """Find the rows that `load_problems` asks for; its docstring describes the arguments.

    Raises:
        ProblemSourceError: There is no such source or split, or it can't be reached or read.
    """
    if isinstance(source, str):
        name, _, part = source.partition(":")
        if name == "bundled":
            return _bundled(part, split)
        if name in PRESETS:
            return _preset(name, part, split, revision, streaming)
        if format_of(source) is not None or Path(source).expanduser().exists():
            return _path(source, split)
        if plugins.find(plugins.DATASETS, source) is not None:
            table = open_table(plugins.make(plugins.DATASETS, source), split, revision, streaming=streaming)
            return replace(table, name=source)
        if name.count("/") == 1 and not name.startswith((".", "/", "~")):
            tables = open_hub(name, part or None, revision, streaming)
            chosen = choose_split(list(tables), split, name)
            return SourceTable(source, chosen, tables[chosen])
        if "/" in source:
            return _path(source, split)
        known = plugins.names(plugins.DATASETS)
        raise ProblemSourceError(
            f"no problem set is called {source!r}.{suggestion(name, known)} Known: {', '.join(known)}; "
            "else give a hub id (owner/name), a path, or module:attribute"
        )
    if isinstance(source, PathLike):
        return _path(str(source), split)
    if isinstance(source, Mapping):
        chosen = choose_split(list(source), split, "the given data")
        return SourceTable("custom", chosen, source[chosen])
    if isinstance(source, Iterable):
        _only_table(split, "the given data")
        return SourceTable("custom", "", source)
    raise ProblemSourceError(
        f"problems can't be loaded from {type(source).__name__}; give a name, path, hub id, Dataset or list"
    )


def choose_split(existing: Collection[str], wanted: str | None, where: str, note: str = "") -> str:
    """Choose the split to load: the requested one, else `train`, else the only one there is.

    Raises:
        ProblemSourceError: The split does not exist, or none of several was chosen.
    """
    if wanted is not None:
        if wanted in existing:
            return wanted
        hint = note or suggestion(wanted, existing)
        raise ProblemSplitError(f"{where} has no split {wanted!r}; it has: {', '.join(existing)}.{hint}")
    if "train" in existing:
        return "train"
    if len(existing) == 1:
        return next(iter(existing))
    raise ProblemSourceError(f"{where} has several splits; say which one with split=: {', '.join(existing)}")


def _only_table(split: str | None, where: str) -> None:
    # `datasets` calls the content of a single table `train`, so that name is accepted
    if split not in (None, "train"):
        raise ProblemSplitError(
            f"{where} has no split {split!r}: it is a single table; leave split out, "
            "or put train.jsonl, test.jsonl … into a directory and give that"
        )


def _bundled(levels: str, split: str | None) -> SourceTable:
    wanted = {f"level{word.strip().removeprefix('level')}" for word in levels.split(",")} if levels else set(LEVELS)
    unknown = sorted(wanted - set(LEVELS))
    if unknown:
        raise ProblemSourceError(f"the bundled set has no {unknown[0]}; it has: {', '.join(LEVELS)}")
    chosen = choose_split(("train", "test"), split, "the bundled set")
    text = resources.files("econ_env.problems").joinpath("bundled.jsonl").read_text(encoding="utf-8")
    problems = [
        Problem(row["question"], row["answer"], row["id"], "bundled", row["kind"])
        for row in map(json.loads, text.splitlines())
        if row["split"] == chosen and row["kind"] in wanted
    ]
    return SourceTable("bundled", chosen, problems)


def _preset(name: str, part: str, split: str | None, revision: str | None, streaming: bool) -> SourceTable:
    known = PRESETS[name]
    source = f"{name}:{part}" if part else name
    if part and part not in known.configs:
        if format_of(part) is None and "/" not in part and not Path(part).expanduser().exists():
            there = f"has the configurations {', '.join(known.configs)}" if known.configs else "has no configurations"
            raise ProblemSourceError(f"{name} {there}, and there is no file {part}")
        return replace(_path(part, split, known), name=source)
    if not part and known.configs and known.config is None:
        raise ProblemSourceError(f"say which part of {name}, as {name}:{known.configs[0]}: {', '.join(known.configs)}")
    chosen = choose_split(known.splits, split, f"{name} ({known.hub_id})", known.note)
    try:
        tables = open_hub(known.hub_id, part or known.config, revision or known.revision, streaming)
    except ProblemUnreachableError as error:
        raise ProblemUnreachableError(f"{error}; a copy of {known.url} is read with {name}:PATH") from error
    return SourceTable(source, choose_split(list(tables), chosen, known.hub_id), tables[chosen], known)


def _path(name: str, split: str | None, preset: Preset | None = None) -> SourceTable:
    """Open a file or directory as a stream, which leaves no converted copy behind."""
    path = Path(name).expanduser()
    if not path.exists():
        raise ProblemSourceError(f"there is no file {name}")
    header = () if preset is None else preset.header
    if path.is_dir():
        tables = _directory(path, name, header)
        chosen = choose_split(list(tables), split, name)
        return SourceTable(name, chosen, tables[chosen], preset)
    suffix = format_of(path)
    if suffix is None:
        raise ProblemSourceError(
            f"{name} is no {', '.join(FORMATS)} file (all but .parquet also with {', '.join(COMPRESSIONS)}); convert "
            "it to one of these"
        )
    _only_table(split, name)
    if path.stat().st_size == 0:
        raise ProblemSourceError(f"{name} is empty")
    if suffix == ".parquet":
        return SourceTable(name, "", _opened(name, "parquet", str(path))["train"], preset)
    return SourceTable(name, "", FileRows((path,), header), preset)


def _directory(path: Path, name: str, header: tuple[str, ...]) -> Mapping[str, Iterable[Row]]:
    """The splits of a directory, as `datasets` finds them; files of text are read by this package."""
    import datasets
    from datasets.packaged_modules.csv.csv import CsvConfig
    from datasets.packaged_modules.json.json import JsonConfig

    try:
        with quiet(), tempfile.TemporaryDirectory() as scratch:
            config = datasets.load_dataset_builder(str(path), cache_dir=scratch).config
    except Exception as error:  # a reader may raise anything; the message names the directory
        raise ProblemSourceError(f"{name} could not be read: {one_line(error)}") from error
    files = {str(split): tuple(map(Path, paths)) for split, paths in (config.data_files or {}).items()}
    suffixes = {format_of(file) for paths in files.values() for file in paths}
    # a directory's README may describe its files; such descriptions are left to `datasets`
    described = (isinstance(config, JsonConfig) and config.field) or (
        isinstance(config, CsvConfig) and (config.names or config.column_names or config.skiprows)
    )
    if described or not suffixes or suffixes & {None, ".parquet"}:
        return _opened(name, str(path))
    separator = config.sep if isinstance(config, CsvConfig) else None
    return {split: FileRows(paths, header, separator) for split, paths in files.items()}


def _opened(name: str, path: str, file: str | None = None) -> Mapping[str, Iterable[Row]]:
    import datasets

    try:
        # opening a stream needs a cache folder for a lock; a temporary one leaves nothing behind
        with quiet(), tempfile.TemporaryDirectory() as scratch:
            tables: Mapping[str, Iterable[Row]] = datasets.load_dataset(
                path, data_files=file, cache_dir=scratch, streaming=True
            )
    except Exception as error:  # a reader may raise anything; the message names the file
        raise ProblemSourceError(f"{name} could not be read: {one_line(error)}") from error
    return tables
