"""Loads problem sets: by name, from a file, from the Hugging Face hub, or from what is already in memory.

problems = load_problems("bundled:level1", split="test", limit=20)
problems = load_problems("gsm8k", split="train", seed=0)
problems = load_problems("my_problems.csv", question_field="task", answer_field="result")
problems = load_problems("chats.jsonl", question_field="messages.user", answer_field="messages.assistant")
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from os import PathLike
from typing import Any, Literal, Never, overload

from econ_env.errors import ConfigError, ProblemError, ProblemFieldError, ProblemSourceError
from econ_env.problems.columns import Fields, choose_columns
from econ_env.problems.fields import listed
from econ_env.problems.hub_sets import quiet
from econ_env.problems.rows import RowError, to_problem, with_bare_gold
from econ_env.problems.tables import SourceTable, open_table
from econ_env.records import Problem

ProblemRows = Iterable[Problem | Mapping[str, Any]]
"""A `datasets.Dataset`, a list of `Problem`, a list of dicts."""

Source = str | PathLike[str] | ProblemRows | Mapping[str, ProblemRows]
"""A name, a path, a hub id, rows, or rows by split (a `datasets.DatasetDict`)."""

FAILING_ROWS = 100
"""Rows that are read from the start before a column is said to fail throughout."""

SHUFFLE_BUFFER = 1000
"""Problems that a shuffled stream holds in memory; the next one is drawn from these."""


@dataclass(frozen=True)
class ProblemSet(Sequence[Problem]):
    """Problems in a fixed order, held in memory; immutable, picklable, and a slice of it is a `ProblemSet` again."""

    problems: tuple[Problem, ...]
    """The problems; their ids are unique."""
    source: str = "custom"
    """Name of their source."""
    split: str = ""
    """Their split, empty where the source is a single table."""

    def __post_init__(self) -> None:
        id, times = Counter(problem.id for problem in self.problems).most_common(1)[0] if self.problems else ("", 1)
        if times > 1:
            raise ProblemError(f"{times} problems of {self.source} have the id {id!r}; ids must be unique")

    def __len__(self) -> int:
        return len(self.problems)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> ProblemSet: ...
    def __getitem__(self, index: int | slice) -> Problem | ProblemSet:
        if isinstance(index, slice):
            return replace(self, problems=self.problems[index])
        return self.problems[index]

    def __deepcopy__(self, memo: dict[int, Any]) -> ProblemSet:
        return self  # nothing in it can change

    def __repr__(self) -> str:
        split = f", split={self.split!r}" if self.split else ""
        return f"ProblemSet({self.source!r}{split}, {len(self)} problems)"


@dataclass(frozen=True)
class ProblemStream(Iterable[Problem]):
    """Problems that are read during iteration, with constant memory; each iteration starts again. Picklable."""

    table: SourceTable
    """The rows."""
    question_field: str | None = None
    answer_field: str | None = None
    context_field: str | None = None
    choices_field: str | None = None
    limit: int | None = None
    seed: int | None = None
    max_question_length: int | None = None
    max_answer_length: int | None = None

    @property
    def source(self) -> str:
        """Where the problems come from."""
        return self.table.name

    @property
    def split(self) -> str:
        """Their split, empty where the source is a single table."""
        return self.table.split

    def __repr__(self) -> str:
        split = f", split={self.split!r}" if self.split else ""
        return f"ProblemStream({self.source!r}{split})"

    def __iter__(self) -> Iterator[Problem]:
        problems = self.in_order()
        if self.seed is not None:
            problems = _shuffled(problems, random.Random(self.seed))
        return islice(problems, self.limit)

    def in_order(self) -> Iterator[Problem]:
        """All problems within the maximum lengths, in the order of the source."""
        for problem in self._all():
            question_fits = self.max_question_length is None or len(problem.question) <= self.max_question_length
            answer_fits = self.max_answer_length is None or len(problem.answer) <= self.max_answer_length
            if question_fits and answer_fits:
                yield problem

    def _all(self) -> Iterator[Problem]:
        rows = iter(self.table)
        first = next(rows, None)
        if first is None:
            split = f"the split {self.split!r} of " if self.split else ""
            raise ProblemSourceError(f"{split}{self.source} is empty")
        field = self.question_field or self.answer_field or self.context_field or self.choices_field
        if isinstance(first, Problem) and field:
            raise ProblemFieldError(f"{self.source} has problems, not columns; leave out the field {field!r}")
        failed: list[tuple[str, RowError]] = []
        kept = False
        for number, row in enumerate(chain([first], rows)):
            # numbered before anything is left out or shuffled, so that an id always means the same row
            id = f"{self.split or 'row'}-{number}"
            try:
                problem = self._problem(row, id, number)
            except RowError as error:
                failed.append((id, error))
                if number + 1 < FAILING_ROWS and len(failed) == number + 1:
                    continue  # one bad row, or a column that fails throughout?
                break
            if failed:
                break
            if problem is not None:
                kept = True
                yield problem
        if failed:
            self._refuse(failed, number + 1, list(first) if isinstance(first, Mapping) else [])
        if not kept and self.table.preset is not None:
            wanted = " and ".join(f"{name} {value!r}" for name, value in self.table.preset.only)
            raise ProblemSourceError(f"{self.source} has no row with {wanted}")

    def _problem(self, row: object, id: str, number: int) -> Problem | None:
        if isinstance(row, Problem):
            return with_bare_gold(row, self.source)
        if not isinstance(row, Mapping):
            place = f"{self.split or 'row'} {number} of {self.source}"
            raise ProblemSourceError(f"{place} is {row!r}; it must be a Problem or a dict")
        if not self.table.keeps(row):
            return None
        fields = Fields(
            self.table.given(self.question_field, lambda preset: preset.question, row),
            self.table.given(self.answer_field, lambda preset: preset.answer, row),
            self.context_field,
            self.choices_field,
        )
        columns = choose_columns(row, fields, where=f"{id} of {self.source}" if number else self.source)
        problem = to_problem(row, columns, id=id, source=self.source)
        preset = self.table.preset
        return problem if preset is None else replace(problem, answer=preset.gold(problem.answer))

    def _refuse(self, failed: Sequence[tuple[str, RowError]], rows: int, columns: list[str]) -> Never:
        """Say whether the first row that failed is at fault, or its column."""
        id, error = failed[0]
        if len(failed) < rows or rows == 1 or len({(other.option, other.column) for _, other in failed}) > 1:
            raise error.kind(f"{id} of {self.source}: {error.text}; fix the row or remove it")
        raise error.kind(
            f"the column {error.column!r} of {self.source} can't be used: all {rows} rows that were read fail; the "
            f"first one: {error.text}; name another column with {error.option}=, there are: {listed(columns)}"
        )


@overload
def load_problems(
    source: Source = ...,
    *,
    split: str | None = ...,
    question_field: str | None = ...,
    answer_field: str | None = ...,
    context_field: str | None = ...,
    choices_field: str | None = ...,
    limit: int | None = ...,
    seed: int | None = ...,
    max_question_length: int | None = ...,
    max_answer_length: int | None = ...,
    streaming: Literal[False] = ...,
    revision: str | None = ...,
) -> ProblemSet: ...
@overload
def load_problems(
    source: Source = ...,
    *,
    split: str | None = ...,
    question_field: str | None = ...,
    answer_field: str | None = ...,
    context_field: str | None = ...,
    choices_field: str | None = ...,
    limit: int | None = ...,
    seed: int | None = ...,
    max_question_length: int | None = ...,
    max_answer_length: int | None = ...,
    streaming: Literal[True],
    revision: str | None = ...,
) -> ProblemStream: ...
def load_problems(
    source: Source = "bundled",
    *,
    split: str | None = None,
    question_field: str | None = None,
    answer_field: str | None = None,
    context_field: str | None = None,
    choices_field: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
    max_question_length: int | None = None,
    max_answer_length: int | None = None,
    streaming: bool = False,
    revision: str | None = None,
) -> ProblemSet | ProblemStream:
    r"""Load problems with their gold answers.

    A problem's id is its split (or `row`) and its row number, so it stays the same under shuffling and limits.
    Of the modules of `econ_env.problems`, `columns` says which columns make a problem, `rows` how the parts of a
    question are joined, `gold` and `choices` how a gold answer is read, `fields` what a dotted name means, and
    `presets` which sets have names.

    Args:
        source: `bundled` (`bundled:level1` or `bundled:1,2` for some of its levels); a name of `PRESETS`, such as
            `gsm8k`, `math` (MATH-500), `mgsm:de`, or with the path of a copy, `gsm-hard:my/gsmhardv2.jsonl`; a hub id
            `owner/name` or `owner/name:configuration`; a path to a .jsonl, .ndjson, .json, .csv, .tsv or .parquet file
            (all but the last also as .gz, .bz2, .xz, .zst) or to a directory of them, one per split; a `Dataset`, a
            `DatasetDict`, a list of `Problem` or of dicts; or a name under which a package registers one of these, or a
            function that makes one.
        split: Which split; by default `train`, or the only one there is. A file or a list is a single table and
            has none; MATH-500 has only `test`.
        question_field: The question's column; by default `question`, or the column of the named set. A dotted name is a
            part of a column: `data.question`, `messages.user`, `prompt.0.content`.
        answer_field: The answer's column; by default `answer`, or the column of the named set.
        context_field: The column with what must be read before the question; by default `body`, `context` or another
            of `CONTEXT_NAMES`, where there is one. Empty text: none.
        choices_field: The column of the choices; by default `choices` or `options`, or one column a choice (`A`, `B`,
            `C`; `option_a`), where there are any. Empty text: none.
        limit: Most problems to load: the first ones after length limits and shuffling.
        seed: Shuffles, always alike for one seed. A stream shuffles within a buffer of `SHUFFLE_BUFFER` problems.
        max_question_length: Leaves out longer questions; in characters.
        max_answer_length: Leaves out longer gold answers; in characters.
        streaming: Read during iteration, with constant memory; the result then has no length and no index.
        revision: Commit, tag or branch on the hub; the named sets are pinned to a commit by default.

    Returns:
        A `ProblemSet`, or with `streaming` a `ProblemStream`. Neither is ever empty.

    Raises:
        ProblemSourceError: The source or the split does not exist, is empty, or can't be reached or read.
        ProblemFieldError: A column is missing, a question is empty, or it can't be told which column is a part of it.
        ProblemGoldError: A gold answer can't be read.
        ProblemError: Two of the given problems share an id.
        ConfigError: A limit is below 1.
    """
    limits = {"limit": limit, "max_question_length": max_question_length, "max_answer_length": max_answer_length}
    for option, value in limits.items():
        if value is not None and value < 1:
            raise ConfigError(f"{option} must be at least 1, got {value}")
    if streaming and isinstance(source, Iterator):
        raise ProblemSourceError("an iterator can be read only once; give a list or another iterable to stream from")
    table = open_table(source, split, revision, streaming=streaming)
    stream = ProblemStream(
        table,
        question_field,
        answer_field,
        context_field,
        choices_field,
        limit,
        seed,
        max_question_length,
        max_answer_length,
    )
    with quiet():
        if streaming:
            found = next(iter(replace(stream, seed=None)), None) is not None  # report wrong fields now
            problems = []
        elif seed is None:
            problems = list(stream)
            found = bool(problems)
        else:
            problems = list(stream.in_order())
            random.Random(seed).shuffle(problems)
            found = bool(problems)
    if not found:
        raise ProblemSourceError(
            f"no problem of {stream.source} is short enough: {max_question_length=}, {max_answer_length=} characters"
        )
    return stream if streaming else ProblemSet(tuple(problems[:limit]), stream.source, stream.split)


def _shuffled(problems: Iterator[Problem], rng: random.Random) -> Iterator[Problem]:
    """Yield each problem once, drawn from a buffer; shuffling by `datasets` would lose the row numbers."""
    buffer = list(islice(problems, SHUFFLE_BUFFER))
    for problem in problems:
        drawn = rng.randrange(len(buffer))
        yield buffer[drawn]
        buffer[drawn] = problem
    rng.shuffle(buffer)
    yield from buffer
